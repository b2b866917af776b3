import json
from typing import Any

import pytest

from tests.unit.cli.playing_api import Api, run

EXPORT: dict[str, Any] = {
    "state": "idle",
    "problem": "",
    "protocol": "sftp",
    "server": "probe@files.example:22",
    "host_key": "",
    "public_key": "ssh-ed25519 AAAA allegro@x",
    "next_run_time": "2026-11-22T02:00:00.000000000Z",
    "running": None,
    "last_run": None,
    "queue": [
        {
            "name": "a.pcapng",
            "size": 10,
            "released": True,
            "attempts": 2,
            "last_try_time": None,
            "next_try_time": "2026-11-21T15:00:00.000000000Z",
            "error": "The server does not answer.",
            "remedy": "Switch it on.",
        }
    ],
}


@pytest.mark.parametrize("arguments", [("--json", "status"), ("status", "--json")])
def test_export_takes_json_before_and_after_the_action(
    api: Api, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    api.answer("GET /export", EXPORT)
    assert run(api, "export", *arguments) == 0
    assert json.loads(capsys.readouterr().out) == EXPORT


def test_export_as_text(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /export", EXPORT)
    assert run(api, "export") == 0
    text = capsys.readouterr().out
    assert (
        "failed 2 times: The server does not answer. Switch it on. Next try 2026-11-21 15:00:00 UTC." in text
    )


@pytest.mark.spec("X2")
def test_accept_host_key_takes_what_the_last_test_showed_or_what_is_given(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = {"fingerprint": "SHA256:x", "host_key_type": "ssh-rsa", "pinned": "", "accepted": False}
    shown |= {"file": "", "message": "Look."}
    api.answer("POST /export/test", shown, {**shown, "pinned": "SHA256:w", "message": "It has changed."})
    api.answer("POST /export/host-key", {**EXPORT, "host_key": "SHA256:x"})
    assert run(api, "export", "test") == 0
    text = capsys.readouterr().out
    assert "Host key SHA256:x (ssh-rsa)" in text
    assert "accept-host-key" in text
    assert run(api, "export", "test") == 1
    text = capsys.readouterr().out
    assert "It has changed." in text
    assert "accept-host-key" in text
    asked = len(api.asked)
    assert run(api, "export", "accept-host-key") == 0
    assert api.asked[asked:] == [("POST /export/host-key", {})]  # no second look at the server
    assert "Accepted host key SHA256:x" in capsys.readouterr().out
    assert run(api, "export", "accept-host-key", "SHA256:y") == 0
    assert api.asked[-1] == ("POST /export/host-key", {"fingerprint": "SHA256:y"})


@pytest.mark.spec("X1")
def test_export_now_and_public_key(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("POST /export/now", {"files": 3}, status=202)
    api.answer("GET /export", EXPORT, {**EXPORT, "public_key": "", "problem": "The key cannot be read."})
    assert run(api, "export", "now") == 0
    assert "3 files" in capsys.readouterr().out
    assert run(api, "export", "public-key") == 0
    assert capsys.readouterr().out == "ssh-ed25519 AAAA allegro@x\n"
    assert run(api, "export", "public-key") == 1
    assert "The key cannot be read." in capsys.readouterr().err


@pytest.mark.spec("X6")
def test_export_by_webdav_knows_no_keys(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /export", {**EXPORT, "protocol": "webdav", "server": "https://cloud.example/dav"})
    assert run(api, "export") == 0
    text = capsys.readouterr().out
    assert text.startswith("WebDAV export  idle\nServer         https://cloud.example/dav\nNext upload ")
    tested = {"fingerprint": "", "host_key_type": "", "pinned": "", "accepted": True, "file": "a"}
    api.answer("POST /export/test", {**tested, "message": "The test file was written: a."})
    assert run(api, "export", "test") == 0
    assert capsys.readouterr().out == "The test file was written: a.\n"
