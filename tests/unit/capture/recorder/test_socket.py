"""The packet socket of a port where the kernel refuses; what it does else is for tests with the kernel."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from allegro.capture.recorder.socket import RingSocket
from allegro.errors import Unavailable

BLOCK_SIZE = 1 << 16
BLOCKS = 4
FILES = Path("/proc/self/fd")


class Refusing:
    """A socket with memory for its blocks, of an interface that is gone when it is to be bound."""

    def __init__(self, *_: object) -> None:
        self._descriptor = os.memfd_create("blocks")
        os.ftruncate(self._descriptor, BLOCK_SIZE * BLOCKS)

    def fileno(self) -> int:
        return self._descriptor

    def setsockopt(self, *_: object) -> None: ...

    def bind(self, *_: object) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.mark.spec("R5", "T6")
def test_an_interface_that_goes_while_its_port_is_opened_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "socket", Refusing)
    before = len(list(FILES.iterdir()))
    with pytest.raises(Unavailable, match="cannot be recorded: No such device"):
        RingSocket("port1", 7, BLOCK_SIZE, BLOCKS, 10)
    assert len(list(FILES.iterdir())) == before
