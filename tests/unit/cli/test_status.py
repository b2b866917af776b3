from typing import Any

import pytest

from tests.unit.cli.answers import COMPLETE, RING
from tests.unit.cli.playing_api import Api, run

STATUS: dict[str, Any] = {
    "name": "allegro-mm-3456",
    "system_id": "5764fb6b",
    "firmware": "1.2.3",
    "time": "2026-11-21T14:30:05.000000000Z",
    "ring": RING,
    "storage": {"size": 2 << 30, "free": 1 << 30, "files": 2},
    "export_enabled": True,
    "export_protocol": "webdav",
    "uploads_waiting": 3,
    "presenters": ["Logitech R400"],
    "jobs": [COMPLETE],
    "actions": [{"name": "install", "text": "Copying slot-a.", "progress": 0.256, "state": "running"}],
    "problems": [{"id": "x", "severity": "error", "text": "It is broken.", "remedy": "Mend it."}],
}


def test_status_is_text_for_people(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /status", STATUS)
    assert run(api, "status") == 0
    text = capsys.readouterr().out
    for expected in (
        "allegro-mm-3456, Allegro 1.2.3",
        "yes, reaches back 2 h",
        "1.1 GB of 2.1 GB free, 5 captures",
        "WebDAV export  on, 3 waiting",
        "Logitech R400",
        "20261121T143005Z_cli_manual.pcapng",
        "install  26%  Copying slot-a.",
        "It is broken.",
        "Mend it.",
    ):
        assert expected in text
