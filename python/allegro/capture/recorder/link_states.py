"""Tells at once when a network interface appears, vanishes, or gets or loses its link (rtnetlink(7))."""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

_RTMGRP_LINK = 1
_RTM_NEWLINK = 16
_RTM_DELLINK = 17
_IFF_UP = 1
_IFF_LOWER_UP = 1 << 16
_RECEIVE_BUFFER = 1 << 20
_LONGEST = 1 << 16

_MESSAGE = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_INTERFACE = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change


class LinkEvent(NamedTuple):
    """What the kernel says of an interface: whether it is there, and has a link."""

    ifindex: int
    present: bool
    link_up: bool


def parse(data: bytes) -> list[LinkEvent]:
    """The events in what was received; messages of other kinds, or cut off, are left out."""
    events, offset = [], 0
    while offset + _MESSAGE.size + _INTERFACE.size <= len(data):
        length, kind, *_ = _MESSAGE.unpack_from(data, offset)
        if length < _MESSAGE.size:
            break
        if kind in (_RTM_NEWLINK, _RTM_DELLINK):
            family, _, ifindex, flags, _ = _INTERFACE.unpack_from(data, offset + _MESSAGE.size)
            if family == socket.AF_UNSPEC:  # not a bridge's word on its port (AF_BRIDGE)
                up = bool(flags & _IFF_UP and flags & _IFF_LOWER_UP)
                events.append(LinkEvent(ifindex, kind == _RTM_NEWLINK, up and kind == _RTM_NEWLINK))
        offset += (length + 3) & -4
    return events


class LinkWatch:
    """For poll; readable when there are events. Raises OSError if the kernel refuses."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket.bind((0, _RTMGRP_LINK))

    def fileno(self) -> int:
        """For poll."""
        return self._socket.fileno()

    def events(self) -> list[LinkEvent]:
        """All since the last call. Some may be missing if very many came at once: look at all interfaces."""
        found: list[LinkEvent] = []
        while True:
            try:
                found += parse(self._socket.recv(_LONGEST))
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def close(self) -> None:
        """Gives the socket back."""
        self._socket.close()
