"""A dissector that says what no dissector of ours would: with a socket, and who answers there."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from allegro.packets.dissector import Dissector, DissectorGone
from allegro.packets.sandbox_contract import Refusal, Task, parse_answer

pytestmark = pytest.mark.spec("W12")


@contextmanager
def answered(
    path: Path, answer: Callable[[socket.socket], None], patience: float = 1.0
) -> Iterator[Dissector]:
    """A dissector for which `answer` speaks, in a thread, until it ends or nobody listens."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as peer:
                try:
                    answer(peer)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        dissector = Dissector(path, patience)
        try:
            yield dissector
        finally:
            dissector.close()
            thread.join()


def test_an_answer_that_only_trickles_ends_with_its_time(tmp_path: Path) -> None:
    def trickle(peer: socket.socket) -> None:
        while True:
            peer.sendall(b" ")
            time.sleep(0.001)

    with (
        answered(tmp_path / "socket", trickle, patience=0.01) as dissector,
        Path(os.devnull).open("rb") as nothing,
        pytest.raises(DissectorGone, match="did not answer within 50 s"),
    ):
        dissector.take(Task(), nothing.fileno())


@pytest.mark.parametrize("error", [{"message": "no\nlines: of the log"}, {"message": [[]]}, "why", None])
def test_what_it_gives_as_a_reason_writes_no_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: object
) -> None:
    def refuse(peer: socket.socket) -> None:
        peer.recv(1 << 16)
        peer.sendall(json.dumps({"id": 1, "error": error}).encode() + b"\n")

    with (
        answered(tmp_path / "socket", refuse) as dissector,
        pytest.raises(DissectorGone, match="said what cannot be shown"),
    ):
        dissector.details(1)
    assert len(caplog.messages) == 1
    assert "\n" not in caplog.messages[0]


def test_what_the_sandbox_says_is_short_and_controls_nothing() -> None:
    told = parse_answer(json.dumps({"reason": "It is\x1b[2J" + "x" * 1000}).encode())
    assert isinstance(told, Refusal)
    assert told.reason.startswith("It is·[2Jx")
    assert len(told.reason) == 300
    taken = {"packets": 1, "digest": "d", "more": False, "searched": 0, "broken": "a\u202eb"}
    assert "\u202e" not in str(parse_answer(json.dumps(taken).encode()))
    assert parse_answer(json.dumps(taken | {"searched": float("inf")}).encode()) is None
