"""A dissector that says what no dissector of ours would: with a socket, and who answers there."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

import pytest

from allegro.packets.dissector import Dissector, DissectorGone
from allegro.packets.packet_sources import Capture, PacketSources, Source, WindowSource
from allegro.packets.packet_views import PacketViews
from allegro.packets.sandbox_contract import Refusal, Task, parse_answer

pytestmark = pytest.mark.spec("W12")


@contextmanager
def answering(path: Path, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """`answer` speaks for one dissector, in a thread, until it returns or nobody listens."""
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
        yield
        thread.join()


def test_an_answer_that_only_trickles_ends_with_its_time(tmp_path: Path) -> None:
    def trickle(peer: socket.socket) -> None:
        while True:
            peer.sendall(b" ")
            time.sleep(0.001)

    path = tmp_path / "socket"
    with (
        answering(path, trickle),
        closing(Dissector(path, patience=0.01)) as dissector,
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

    path = tmp_path / "socket"
    with (
        answering(path, refuse),
        closing(Dissector(path)) as dissector,
        pytest.raises(DissectorGone, match="said what cannot be shown"),
    ):
        dissector.details(1)
    assert len(caplog.messages) == 1
    assert "\n" not in caplog.messages[0]


def test_of_a_part_of_the_ring_there_is_nothing_to_download(tmp_path: Path) -> None:
    class Ring:
        @contextmanager
        def open(self, _: Source) -> Iterator[Capture]:
            with Path(os.devnull).open("rb") as nothing:
                yield Capture(nothing.fileno())

    path = tmp_path / "socket"
    views = PacketViews(cast(PacketSources, Ring()), path, lambda: "UTC")
    with answering(path, lambda _: None), pytest.raises(DissectorGone) as told:
        views.shown(WindowSource(0, 1))
    assert "Capture it as a file" in told.value.remedy


def test_what_the_sandbox_says_is_short_and_controls_nothing() -> None:
    told = parse_answer(json.dumps({"reason": "It is\x1b[2J" + "x" * 1000}).encode())
    assert isinstance(told, Refusal)
    assert told.reason.startswith("It is·[2Jx")
    assert len(told.reason) == 300
    taken = {"packets": 1, "digest": "d", "more": False, "searched": 0, "broken": "a\u202eb"}
    assert "\u202e" not in str(parse_answer(json.dumps(taken).encode()))
    assert parse_answer(json.dumps(taken | {"searched": float("inf")}).encode()) is None
