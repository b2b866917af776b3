from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.playing_api import Api, run

FIRMWARE: dict[str, Any] = {
    "version": "1.0.0",
    "slot": "slot-a",
    "confirmed": True,
    "newer": "2.0.0",
    "checked_time": None,
    "check_problem": "",
    "versions": [
        {
            "place": "slot-a",
            "name": "slot-a",
            "version": "1.0.0",
            "date": "2026-11-01T00:00:00Z",
            "notes": "",
            "size": 1 << 29,
            "compared": "same",
            "running": True,
            "starts_next": True,
            "good": True,
            "problem": "",
        },
        {
            "place": "file",
            "name": "old.raucb",
            "version": "0.9.0",
            "date": "",
            "notes": "",
            "size": 5,
            "compared": "older",
            "running": False,
            "starts_next": False,
            "good": None,
            "problem": "",
        },
    ],
}


def action(state: str, text: str, progress: float | None = None) -> dict[str, Any]:
    return {"actions": [{"name": "firmware", "text": text, "progress": progress, "state": state}]}


@pytest.mark.spec("U2")
def test_firmware_lists_the_versions_at_hand(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /firmware", FIRMWARE)
    assert run(api, "firmware") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Running: 1.0.0 in slot-a", "On the update server: 2.0.0"]
    assert lines[4].split("  ")[0] == "1.0.0"
    assert lines[4].endswith("running, starts next")
    assert lines[5].endswith("older")


@pytest.mark.spec("U2")
def test_firmware_is_uploaded_installed_and_activated(
    api: Api, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    api.answer("GET /firmware", FIRMWARE)
    api.answer("PUT /firmware/files/a%20b.raucb", None, status=204)
    api.answer("POST /firmware/install", {"action": "firmware"}, status=202)
    api.answer(
        "GET /status",
        action("running", "Installing.", 0.5),
        action("done", "It is installed."),
    )
    api.answer("POST /firmware/activate", {"version": "2.0.0", "restarts": True})
    (tmp_path / "a b.raucb").write_bytes(b"bundle")
    assert run(api, "firmware", "upload", str(tmp_path / "a b.raucb")) == 0
    assert run(api, "firmware", "install", "a b.raucb", "--older") == 0
    assert run(api, "firmware", "activate") == 0
    shown = capsys.readouterr()
    assert "50%  Installing." in shown.err
    assert shown.out.splitlines()[1:] == ["It is installed.", "The device restarts with version 2.0.0."]
    assert [each for each in api.asked if each[0].startswith("P")] == [
        ("PUT /firmware/files/a%20b.raucb", b"bundle"),
        ("POST /firmware/install", {"name": "a b.raucb", "older": True}),
        ("POST /firmware/activate", {"slot": "slot-b", "older": False, "restart": True}),
    ]
    assert run(api, "firmware", "upload", str(tmp_path / "missing.raucb")) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_firmware_that_fails_says_why(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("POST /firmware/download", {"action": "firmware"}, status=202)
    api.answer("GET /status", action("failed", "The server is gone."))
    assert run(api, "firmware", "download", "2.0.0") == 1
    assert "The server is gone." in capsys.readouterr().err
    api.answer(
        "GET /firmware/events", [{"time": "2026-11-21T14:30:05.0Z", "kind": "x", "text": "Fell back."}]
    )
    assert run(api, "firmware", "events") == 0
    assert capsys.readouterr().out == "2026-11-21 14:30:05  Fell back.\n"
    api.answer("DELETE /firmware/files/a.raucb", None, status=204)
    assert run(api, "firmware", "delete", "a.raucb") == 0
    api.answer("POST /firmware/check", {**FIRMWARE, "newer": ""})
    assert run(api, "firmware", "check") == 0
    assert "nothing newer" in capsys.readouterr().out
