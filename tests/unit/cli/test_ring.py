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


@pytest.mark.spec("R8")
def test_a_ring_in_memory_is_shown(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    message = "Packets are kept in memory only: The disk does not take packets."
    api.answer("GET /ring", {**RING, "in_memory_since": "2026-11-21T12:00:00Z", "message": message})
    assert run(api, "ring") == 0
    told = capsys.readouterr().out
    assert message in told
    assert "In memory only    since 2026-11-21 12:00:00" in told
