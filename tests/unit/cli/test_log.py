import pytest

from tests.unit.cli.playing_api import Api, run


def test_log(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"time": "2026-11-21T14:30:05.000000000Z", "level": "error", "program": "kernel", "text": "bad"}
    api.answer("GET /log?limit=5&level=error", {"entries": [entry]})
    assert run(api, "log", "--limit", "5", "--level", "error") == 0
    assert capsys.readouterr().out == "2026-11-21 14:30:05  error  kernel: bad\n"
