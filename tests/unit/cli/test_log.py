import pytest

from tests.unit.cli.playing_api import Api, run


def test_log(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"time": "2026-11-21T14:30:05.000000000Z", "level": "error", "program": "kernel", "text": "bad"}
    api.answer("GET /log?limit=5&level=error", {"entries": [entry]})
    assert run(api, "log", "--limit", "5", "--level", "error") == 0
    assert capsys.readouterr().out == "2026-11-21 14:30:05  error  kernel: bad\n"


def test_events(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    event = {
        "id": 7,
        "time": "2026-11-21T14:30:05.000000001Z",
        "last_time": "2026-11-21T14:31:05.000000001Z",
        "count": 3,
        "kind": "login-failed",
        "who": "",
        "source": "192.0.2.1",
        "text": "Unknown user name",
    }
    api.answer("GET /events?limit=100", {"events": [event], "before": None})
    assert run(api, "log", "--events") == 0
    assert capsys.readouterr().out.splitlines()[1].split("  ")[0] == "2026-11-21 14:30:05"
    assert run(api, "log", "--events") == 0
    assert "Unknown user name (3 times, last 2026-11-21 14:31:05)" in capsys.readouterr().out
