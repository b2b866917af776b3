import pytest

from tests.unit.cli.answers import RING
from tests.unit.cli.playing_api import Api, run


def test_ring_as_text(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /ring", RING)
    assert run(api, "ring") == 0
    assert "1 234 567 packets" in capsys.readouterr().out


@pytest.mark.spec("R3")
def test_rules_in_force_are_shown(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /ring", {**RING, "rules": "1. web: discard port == 80", "discarded": 1234})
    assert run(api, "ring") == 0
    told = capsys.readouterr().out
    assert "about 1 234" in told
    assert "1. web: discard port == 80" in told
