"""Logging in at a mail server, word by word. Real ones: tests/host/test_notifications.py."""

from base64 import b64encode
from typing import Any, cast

import pytest

from allegro.notify.mail_way import _authenticated

pytestmark = pytest.mark.spec("X7")

PROOF = b64encode("\0meter\0s3cret-ä".encode()).decode()
USER, PASSWORD = (b64encode(each.encode()).decode() for each in ("meter", "s3cret-ä"))


class Server:
    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.heard: list[str] = []

    def docmd(self, command: str, more: str = "") -> tuple[int, bytes]:
        self.heard.append(f"{command} {more}".rstrip())
        return self.answers.pop(0), b""


@pytest.mark.parametrize(
    ("mechanism", "answers", "heard"),
    [
        ("PLAIN", (235,), [f"AUTH PLAIN {PROOF}"]),
        ("PLAIN", (535,), [f"AUTH PLAIN {PROOF}"]),
        ("PLAIN", (334, 235), [f"AUTH PLAIN {PROOF}", PROOF]),  # it leaves out what came with the command
        ("LOGIN", (334, 334, 235), ["AUTH LOGIN", USER, PASSWORD]),
        ("LOGIN", (503,), ["AUTH LOGIN"]),
    ],
)
def test_a_server_gets_what_it_asks_for(mechanism: str, answers: tuple[int, ...], heard: list[str]) -> None:
    server = Server(*answers)
    code, _ = _authenticated(cast(Any, server), mechanism, b"meter", "s3cret-ä".encode())
    assert (code, server.heard, server.answers) == (answers[-1], heard, [])
