import pytest

from tests.unit.cli.playing_api import Api, run


def test_time(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    clock = {
        "time": "2026-11-21T14:30:05.000000000Z",
        "zone": "Europe/Berlin",
        "utc_offset": "+01:00",
        "synchronised": False,
        "server": "",
        "address": "",
        "servers": [],
        "servers_from_network": [],
        "fallback_servers": ["pool.example"],
    }
    api.answer("GET /time", clock)
    api.answer("PUT /time", clock)
    assert run(api, "time") == 0
    text = capsys.readouterr().out
    assert "Europe/Berlin (UTC+01:00)" in text
    assert "pool.example" in text
    assert run(api, "time", "set", "2026-11-21T14:30:05Z") == 0
    assert ("PUT /time", {"time": "2026-11-21T14:30:05Z"}) in api.asked
