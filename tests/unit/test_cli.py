import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from allegro import cli, cli_text
from allegro.errors import InvalidInput
from allegro.system.configuration_reset import KEEPS

JOB: dict[str, Any] = {
    "id": 7,
    "state": "accepted",
    "message": "",
    "source": "cli",
    "key": "manual",
    "device": "",
    "press_ns": 1,
    "press_time": "2026-11-21T14:30:05.123456789Z",
    "start_time": "2026-11-21T14:29:05.123456789Z",
    "end_time": "2026-11-21T14:30:05.123456789Z",
    "created_time": "2026-11-21T14:30:05.223456789Z",
    "finished_time": None,
    "before_s": 60.0,
    "after_s": 0.0,
    "progress": 0.0,
    "file": "",
    "directory": "",
    "size": None,
    "packets": None,
    "bytes": None,
    "drops": None,
}
COMPLETE = {
    **JOB,
    "state": "complete",
    "progress": 1.0,
    "file": "20261121T143005Z_cli_manual.pcapng",
    "directory": "storage",
    "size": 1234567,
    "packets": 4321,
    "drops": 0,
}
SETTINGS: dict[str, Any] = {
    "trigger": {"before_s": 60, "beep": True},
    "export": {"host": "", "password": "********"},
}
RING: dict[str, Any] = {
    "state": "recording",
    "message": "",
    "size": 1 << 30,
    "used": 1 << 20,
    "oldest_time": "2026-11-21T14:20:05.000000000Z",
    "newest_time": None,
    "ring_packets": 1234567,
    "ring_bytes": 5,
    "packets": 8,
    "bytes": 9,
    "packets_per_s": 1.5,
    "bytes_per_s": 2048.0,
    "drops": 3,
    "nic_missed": 4,
    "write_errors": 0,
    "reach_back_s": 7300.0,
    "ports": [
        {
            "name": "port1",
            "link_up": True,
            "packets": 8,
            "bytes": 9,
            "drops": 3,
            "nic_missed": 4,
            "packets_per_s": 1.5,
            "bytes_per_s": 2048.0,
        }
    ],
}
STATUS: dict[str, Any] = {
    "name": "allegro-mm-3456",
    "system_id": "5764fb6b",
    "firmware": "1.2.3",
    "time": "2026-11-21T14:30:05.000000000Z",
    "ring": RING,
    "storage": {"size": 2 << 30, "free": 1 << 30, "files": 2},
    "export_enabled": True,
    "uploads_waiting": 3,
    "presenters": ["Logitech R400"],
    "jobs": [COMPLETE],
    "actions": [{"name": "install", "text": "Copying slot-a.", "progress": 0.256, "state": "running"}],
    "problems": [{"id": "x", "severity": "error", "text": "It is broken.", "remedy": "Mend it."}],
}
EXPORT: dict[str, Any] = {
    "state": "idle",
    "problem": "",
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


class Api(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers from a table, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.answers: dict[str, list[tuple[int, object]]] = {}
        self.asked: list[tuple[str, Any]] = []
        super().__init__(str(path), Handler)

    def answer(self, request: str, *answers: object, status: int = 200) -> None:
        """What to answer to `METHOD /path`; the last answer is repeated."""
        self.answers[request] = [(status, answer) for answer in answers]


class Handler(BaseHTTPRequestHandler):
    server: Api

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        sent = self.rfile.read(length)
        binary = self.headers.get("Content-Type") == "application/octet-stream"
        body = sent if binary else json.loads(sent) if sent else None
        request = f"{self.command} {self.path.removeprefix('/api')}"
        self.server.asked.append((request, body))
        answers = self.server.answers[request]
        status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
        content = (
            answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
        )
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if content:
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with Api(tmp_path / "api.sock") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(api: Api, *arguments: str) -> int:
    return cli.main([*arguments, "--socket", str(api.server_address)])


def test_status_is_text_for_people(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /status", STATUS)
    assert run(api, "status") == 0
    text = capsys.readouterr().out
    for expected in (
        "allegro-mm-3456, Allegro 1.2.3",
        "yes, reaches back 2 h",
        "1.0 GiB of 2.0 GiB free, 2 captures",
        "on, 3 waiting",
        "Logitech R400",
        "20261121T143005Z_cli_manual.pcapng",
        "install  26%  Copying slot-a.",
        "It is broken.",
        "Mend it.",
    ):
        assert expected in text


@pytest.mark.parametrize("arguments", [("--json", "status"), ("status", "--json")])
def test_export_takes_json_before_and_after_the_action(
    api: Api, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    api.answer("GET /export", EXPORT)
    assert run(api, "export", *arguments) == 0
    assert json.loads(capsys.readouterr().out) == EXPORT


def test_ring_and_export_as_text(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /ring", RING)
    api.answer("GET /export", EXPORT)
    assert run(api, "ring") == 0
    assert run(api, "export") == 0
    text = capsys.readouterr().out
    assert "1 234 567 packets" in text
    assert (
        "failed 2 times: The server does not answer. Switch it on. Next try 2026-11-21 15:00:00 UTC." in text
    )


@pytest.mark.spec("T8")
def test_trigger_sends_what_was_given_and_waits(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("POST /trigger", JOB, status=202)
    api.answer("GET /jobs/7", {**JOB, "state": "cutting", "progress": 0.5}, COMPLETE)
    assert run(api, "trigger", "--before", "90", "--key", "next", "--wait") == 0
    assert api.asked[0] == ("POST /trigger", {"source": "cli", "before_s": 90.0, "key": "next"})
    assert "4 321, 0 lost" in capsys.readouterr().out


@pytest.mark.parametrize(("state", "code"), [("accepted", 0), ("refused", 1)])
def test_a_trigger_that_is_refused_is_a_failure(
    api: Api, capsys: pytest.CaptureFixture[str], state: str, code: int
) -> None:
    api.answer("POST /trigger", {**JOB, "state": state, "message": "No ring."}, status=202)
    assert run(api, "trigger") == code
    assert "No ring." in capsys.readouterr().out


def test_jobs(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /jobs?limit=20", [COMPLETE])
    api.answer("GET /jobs/7", COMPLETE)
    api.answer("POST /jobs/7/cancel", {**JOB, "state": "cancelled"})
    assert run(api, "jobs") == 0
    assert "complete  4 321    1.2 MiB  20261121T143005Z_cli_manual.pcapng" in capsys.readouterr().out
    assert run(api, "jobs", "7") == 0
    assert "20261121T143005Z_cli_manual.pcapng, 1.2 MiB, in storage" in capsys.readouterr().out
    assert run(api, "jobs", "7", "--cancel") == 0
    assert "cancelled" in capsys.readouterr().out
    assert run(api, "jobs", "--cancel") == 1
    assert "number of the capture is missing" in capsys.readouterr().err


def test_log(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"time": "2026-11-21T14:30:05.000000000Z", "level": "error", "program": "kernel", "text": "bad"}
    api.answer("GET /log?limit=5&level=error", {"entries": [entry]})
    assert run(api, "log", "--limit", "5", "--level", "error") == 0
    assert capsys.readouterr().out == "2026-11-21 14:30:05  error  kernel: bad\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_is_one_message_with_its_remedy(
    api: Api, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    error = {"message": "There is no capture number 9.", "place": "id", "remedy": "Look again."}
    api.answer("GET /jobs/9", {"error": error}, status=404)
    assert run(api, "jobs", "9", *(["--json"] if as_json else [])) == 1
    shown = capsys.readouterr()
    if as_json:
        assert json.loads(shown.out) == {"error": error}
    else:
        assert shown.err == "allegro: id: There is no capture number 9. Look again.\n"
        assert shown.out == ""


@pytest.mark.parametrize("content", [b"<html>", b'{"x": 1}', b"[]"])
def test_an_answer_that_makes_no_sense_is_told(
    api: Api, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    api.answer("GET /status", content, status=502)
    assert run(api, "status") == 1
    assert capsys.readouterr().err.startswith("allegro: The supervisor")


def test_a_supervisor_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    for name in ("dead.sock", "none.sock"):
        assert cli.main(["status", "--socket", str(tmp_path / name)]) == 1
        error = capsys.readouterr().err
        assert "The supervisor cannot be reached" in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [[], ["dance"], ["trigger", "--before", "x"], ["settings"], ["files", "delete"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: allegro" in capsys.readouterr().err


def test_settings_get(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /settings", SETTINGS)
    assert run(api, "settings", "get", "trigger.beep") == 0
    assert capsys.readouterr().out == "true\n"
    assert run(api, "settings", "get", "trigger") == 0
    assert capsys.readouterr().out == "trigger.before_s  =  60\ntrigger.beep      =  true\n"
    assert run(api, "settings", "get", "triger.before_s") == 1
    assert (
        "triger.before_s: There is no such setting. Do you mean trigger.before_s?" in capsys.readouterr().err
    )


def test_settings_set_sends_one_patch_and_shows_what_holds(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answer("GET /settings", SETTINGS)
    new = {"trigger": {"before_s": 90, "beep": True}, "export": {"host": "123", "password": "********"}}
    api.answer(
        "PATCH /settings", {"settings": new, "warnings": ["The recorder sleeps."], "confirm_within_s": 120.0}
    )
    assert run(api, "settings", "set", "trigger.before_s=90", "export.host=123", "export.password=a=b") == 0
    assert api.asked[-1] == (
        "PATCH /settings",
        {"trigger": {"before_s": 90}, "export": {"host": "123", "password": "a=b"}},
    )
    shown = capsys.readouterr().out
    assert "a=b" not in shown
    assert "Saved, but not in effect yet: The recorder sleeps." in shown


def test_settings_patch_reads_json_where_the_setting_is_no_text() -> None:
    present = {"a": {"n": 1, "flag": False, "list": [], "text": ""}}
    changes = ["a.n=5", "a.flag=true", 'a.list=["x"]', "a.text=true"]
    patch = {"a": {"n": 5, "flag": True, "list": ["x"], "text": "true"}}
    assert cli.settings_patch(present, changes) == patch
    assert cli.settings_patch(present, ["a.n=many"]) == {"a": {"n": "many"}}
    with pytest.raises(InvalidInput, match="PATH=VALUE"):
        cli.settings_patch(present, ["a.n"])
    with pytest.raises(InvalidInput, match="no such setting"):
        cli.settings_patch(present, ["a.n.deeper=1"])


@pytest.mark.spec("X2")
def test_accept_host_key_takes_what_the_last_test_showed_or_what_is_given(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = {"fingerprint": "SHA256:x", "pinned": "", "accepted": False, "file": "", "message": "Look."}
    api.answer("POST /export/test", shown, {**shown, "pinned": "SHA256:w", "message": "It has changed."})
    api.answer("POST /export/host-key", {**EXPORT, "host_key": "SHA256:x"})
    assert run(api, "export", "test") == 0
    assert "accept-host-key" in capsys.readouterr().out
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


def test_files_are_listed_and_deleted_by_any_name(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    file = {
        "name": "a.pcapng",
        "directory": "upload",
        "size": 5,
        "modified_time": "2026-11-21T14:30:05.000000000Z",
    }
    api.answer("GET /files", [file])
    api.answer("DELETE /files/a%2Fb%20c", None, status=204)
    assert run(api, "files") == 0
    assert "a.pcapng  5 bytes  2026-11-21 14:30:05  upload" in capsys.readouterr().out
    assert run(api, "files", "delete", "a/b c") == 0
    assert capsys.readouterr().out == "Deleted a/b c.\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (200 << 20, "200 MiB"),
        (1 << 60, "1024 PiB"),
    ],
)
def test_size(count: float | None, text: str) -> None:
    assert cli_text.size(count) == text


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


@pytest.mark.spec("W9")
@pytest.mark.parametrize(("word", "action"), [("reboot", "reboot"), ("off", "power-off")])
def test_power(api: Api, capsys: pytest.CaptureFixture[str], word: str, action: str) -> None:
    api.answer("POST /power", {"action": action}, status=202)
    assert run(api, "power", word) == 0
    assert api.asked == [("POST /power", {"action": action})]
    assert "device" in capsys.readouterr().out


@pytest.mark.spec("W9", "U5")
@pytest.mark.parametrize("keep", [[], ["users", "keys"]])
def test_reset_configuration(api: Api, capsys: pytest.CaptureFixture[str], keep: list[str]) -> None:
    api.answer("POST /reset", {"keep": keep}, status=202)
    assert run(api, "reset", "configuration", *(["--keep", *keep] if keep else [])) == 0
    assert api.asked == [("POST /reset", {"keep": keep})]
    assert "defaults" in capsys.readouterr().out


def test_reset_keeps_what_the_api_knows() -> None:
    assert cli.KEEPS == KEEPS


NETWORK: dict[str, Any] = {
    "host_name": "allegro-mm-3456",
    "links_mode": "bridge",
    "ports": [
        {
            "name": "mgmt0",
            "role": "management",
            "kind": "wired",
            "key": "02:00:00:00:34:56",
            "driver": "e1000",
            "place": "pci",
            "present": True,
            "link_up": True,
            "speed_mbit": 1000,
            "mtu": 1500,
            "link": "",
        },
        {
            "name": "port1",
            "role": "measuring",
            "kind": "",
            "key": "02:00:00:00:34:57",
            "driver": "",
            "place": "",
            "present": False,
            "link_up": False,
            "speed_mbit": None,
            "mtu": None,
            "link": "br1",
        },
    ],
    "management": [
        {
            "name": "mgmt0",
            "addresses": [{"address": "192.0.2.7/24", "source": "DHCPv4"}],
            "gateways": ["192.0.2.1"],
            "dns": [],
        }
    ],
    "temporary_address": {"address": "192.168.77.1/24", "dhcp_server": True, "probed": False},
    "confirm_within_s": 17.2,
    "taken_back": "",
}


def test_the_network_for_people(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer(
        "GET /network",
        NETWORK,
        {**NETWORK, "confirm_within_s": None, "taken_back": "because the device restarted"},
    )
    assert run(api, "network") == 0
    text = capsys.readouterr().out
    assert "mgmt0  management  up         1000 Mbit/s  -        02:00:00:00:34:56" in text
    assert "port1  measuring   not there  -            br1      02:00:00:00:34:57" in text
    assert "mgmt0: 192.0.2.7/24 (DHCPv4)" in text
    assert "192.168.77.1/24 until power-off, with DHCP server; without a cable" in text
    assert "taken back in 17 s" in text
    assert run(api, "network", "status") == 0
    assert "The last change was taken back because the device restarted." in capsys.readouterr().out


def test_network_commands_ask_for_the_right_things(api: Api) -> None:
    api.answer("POST /network/confirm", NETWORK)
    api.answer("POST /network/take-back", NETWORK)
    api.answer("PUT /network/ports", NETWORK)
    api.answer("POST /network/temporary-address", NETWORK["temporary_address"])
    api.answer("DELETE /network/temporary-address", NETWORK)
    assert run(api, "network", "confirm") == 0
    assert run(api, "network", "take-back") == 0
    assert run(api, "network", "ports", "mgmt0=port1", "port1=mgmt0") == 0
    assert ("PUT /network/ports", {"names": {"mgmt0": "port1", "port1": "mgmt0"}}) in api.asked
    assert run(api, "network", "temporary-address", "--dhcp-server") == 0
    assert ("POST /network/temporary-address", {"dhcp_server": True}) in api.asked
    assert run(api, "network", "temporary-address", "--release") == 0
    assert run(api, "network", "ports", "mgmt0") == 1


def test_bmc_and_time(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    lan = {"present": True, "source": "static", "address": "192.0.2.9/24", "gateway": "", "mac": "02:00"}
    api.answer("GET /bmc", {**lan, "present": False}, lan)
    api.answer("PUT /bmc", lan)
    assert run(api, "bmc") == 0
    assert "no BMC" in capsys.readouterr().out
    assert run(api, "bmc") == 0
    assert "192.0.2.9/24" in capsys.readouterr().out
    assert run(api, "bmc", "set", "192.0.2.9/24", "--gateway", "192.0.2.1") == 0
    wanted = {"source": "static", "address": "192.0.2.9/24", "gateway": "192.0.2.1"}
    assert ("PUT /bmc", wanted) in api.asked
    assert run(api, "bmc", "set", "dhcp") == 0
    assert ("PUT /bmc", {"source": "dhcp", "gateway": ""}) in api.asked
    capsys.readouterr()
    api.answer(
        "GET /time",
        {
            "time": "2026-11-21T14:30:05.000000000Z",
            "zone": "Europe/Berlin",
            "utc_offset": "+01:00",
            "synchronised": False,
            "server": "",
            "address": "",
            "servers": [],
            "servers_from_network": [],
            "fallback_servers": ["pool.example"],
        },
    )
    assert run(api, "time") == 0
    text = capsys.readouterr().out
    assert "Europe/Berlin (UTC+01:00)" in text
    assert "pool.example" in text
