"""The list of events as it grows, with the real programs: told at once, and as long as the log-in lasts."""

import json
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.waiting import PATIENCE, wait_for
from tests.harness.web_programs import PASSWORDS, UNCHECKED, Programs, basic, web_programs

ADMIN = basic("admin", PASSWORDS["admin"])
END = b"0\r\n\r\n"
"""Of an answer in pieces (RFC 9112, 7.1) that was brought to its end."""


class Stream:
    """A request to the stream on a connection of its own, and what has come of the answer."""

    def __init__(self, connection: socket.socket, headers: dict[str, str]) -> None:
        self._connection = connection
        self.content = b""
        lines = [f"{name}: {value}" for name, value in headers.items()]
        connection.settimeout(20 * PATIENCE)
        connection.sendall(
            "\r\n".join(["GET /api/events/stream HTTP/1.1", "Host: x", *lines, "", ""]).encode()
        )

    def until(self, wanted: bytes) -> bytes:
        while wanted not in self.content:
            part = self._connection.recv(4096)
            assert part, self.content
            self.content += part
        return self.content

    def to_its_end(self) -> bytes:
        while not self.content.endswith(END) and (part := self._connection.recv(4096)):
            self.content += part
        return self.content


def by_tls(stack: ExitStack, programs: Programs, headers: dict[str, str]) -> Stream:
    plain = socket.create_connection(("127.0.0.1", programs.https_port), 10)
    return Stream(stack.enter_context(UNCHECKED.wrap_socket(plain)), headers)


def opened_and_closed(programs: Programs) -> bool:
    with ExitStack() as stack:
        return by_tls(stack, programs, ADMIN).until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.spec("S7", "S1")
def test_events_are_told_as_they_come_and_only_to_who_is_logged_in(tmp_path: Path) -> None:
    with web_programs(tmp_path) as programs, ExitStack() as stack:

        def change(seconds: int) -> None:
            patch = json.dumps({"before_s": seconds}).encode()
            headers = ADMIN | {"Content-Type": "application/json"}
            assert programs.request("PATCH", "/api/settings/trigger", headers, patch)[0] == 200

        for role in ("viewer", "capture"):
            assert programs.request("GET", "/api/events/stream", basic(role, PASSWORDS[role]))[0] == 403
        status, headers, content = programs.request("HEAD", "/api/events/stream", ADMIN)
        assert (status, content) == (200, b"")
        assert headers["content-type"].startswith("text/event-stream")

        wanted = json.dumps({"name": "watcher", "role": "admin"}).encode()
        as_json = ADMIN | {"Content-Type": "application/json"}
        token = json.loads(programs.request("POST", "/api/tokens", as_json, wanted)[2])
        watcher = by_tls(stack, programs, {"Authorization": f"Bearer {token['token']}"})
        watcher.until(b": events")
        change(77)
        told = watcher.until(b"Changed trigger.before_s")
        assert b"text/event-stream" in told
        assert b'event: event\ndata: {"id": ' in told

        again = by_tls(stack, programs, ADMIN | {"Last-Event-ID": "0"})
        again.until(b"Changed trigger.before_s")

        assert programs.request("DELETE", f"/api/tokens/{token['id']}", ADMIN)[0] == 204
        watcher.to_its_end()
        change(78)
        assert watcher.content.endswith(END)
        again.until(b'"count": 2')  # the same line, which happened once more

        for _ in range(5):  # who goes away gives his place back
            wait_for(lambda: opened_and_closed(programs), "a place at the stream", 20)

        inside = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        inside.connect(str(programs.paths.api_socket))
        roots = Stream(inside, {})
        roots.until(b": events")
        programs.stop()
        assert again.to_its_end().endswith(END)
        assert roots.to_its_end().endswith(END)
