from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allegro.capture.recorder.link_states import LinkEvent, LinkWatch, parse

UP, LOWER_UP = 1, 1 << 16
NEW, DEL = 16, 17


def message(kind: int, ifindex: int, flags: int, family: int = socket.AF_UNSPEC, rest: bytes = b"") -> bytes:
    body = struct.pack("=BxHiII", family, 1, ifindex, flags, 0) + rest
    head = struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0)
    return (head + body).ljust(-(-len(body) // 4) * 4 + 16, b"\0")


@pytest.mark.spec("R10")
def test_what_the_kernel_says_of_links() -> None:
    data = message(NEW, 3, UP | LOWER_UP, rest=b"abc") + message(NEW, 4, UP) + message(NEW, 5, LOWER_UP)
    data += message(NEW, 3, UP | LOWER_UP, family=socket.AF_BRIDGE) + message(20, 6, UP)
    data += message(DEL, 3, UP | LOWER_UP)
    assert parse(data) == [
        LinkEvent(3, present=True, link_up=True),
        LinkEvent(4, present=True, link_up=False),
        LinkEvent(5, present=True, link_up=False),
        LinkEvent(3, present=False, link_up=False),
    ]


@given(st.binary(max_size=200))
def test_rubbish_ends_the_reading(data: bytes) -> None:
    assert isinstance(parse(data), list)
    assert isinstance(parse(message(NEW, 3, UP) + data), list)


def test_a_quiet_machine_tells_nothing() -> None:
    watch = LinkWatch()
    watch.events()
    watch.close()
