import pytest

from tests.unit.cli.answers import RING
from tests.unit.cli.playing_api import Api, run


def test_ring_as_text(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /ring", RING)
    assert run(api, "ring") == 0
    assert "1 234 567 packets" in capsys.readouterr().out
