"""The packet socket of a port where the kernel refuses; what it does else is for tests with the kernel."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from allegro.capture.port_rules import KEEP_ALL
from allegro.capture.recorder import socket as ring_socket
from allegro.capture.recorder.socket import RingSocket
from allegro.errors import Unavailable

BLOCK_SIZE = 1 << 16
BLOCKS = 4
FILES = Path("/proc/self/fd")


class Memory:
    """A socket with memory for its blocks, while which is made packets come in."""

    received = bound_at = 0

    def __init__(self, *_: object) -> None:
        self._descriptor = os.memfd_create("blocks")
        os.ftruncate(self._descriptor, BLOCK_SIZE * BLOCKS)

    def fileno(self) -> int:
        return self._descriptor

    def setsockopt(self, *_: object) -> None:
        Memory.received += 1

    def bind(self, *_: object) -> None:
        Memory.bound_at = Memory.received

    def close(self) -> None:
        os.close(self._descriptor)


class Refusing(Memory):
    """The interface is gone when it is to be bound."""

    def bind(self, *_: object) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))


@pytest.mark.spec("R5", "T6")
def test_an_interface_that_goes_while_its_port_is_opened_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "socket", Refusing)
    before = len(list(FILES.iterdir()))
    with pytest.raises(Unavailable, match="cannot be recorded: No such device"):
        RingSocket("port1", 7, BLOCK_SIZE, BLOCKS, 10)
    assert len(list(FILES.iterdir())) == before


@pytest.mark.spec("R5", "R12")
def test_it_says_what_the_interface_had_received_when_it_began_to_receive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "socket", Memory)
    monkeypatch.setattr(ring_socket, "packets_received", lambda _: Memory.received)
    made = RingSocket("port1", 7, BLOCK_SIZE, BLOCKS, 10, KEEP_ALL)
    made.close()
    assert made.received_before == Memory.bound_at > 3
