"""Word from the kernel that a network interface or an IPv4 address came, went or changed (rtnetlink(7))."""

import contextlib
import errno
import select
import socket
import time

_RTMGRP_LINK = 1  # linux/rtnetlink.h
_RTMGRP_IPV4_IFADDR = 0x10
_SETTLING_S = 0.5  # one plugging in makes several messages


class LinkEvents:
    """Waits without any work until something happens; `wake` ends a wait from another thread."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._kernel.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR))
        self._kernel.setblocking(False)
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)

    def wait(self, timeout_s: float | None) -> bool:
        """Until something has happened, `wake` was called, or the time is over (None: it never is).

        Says whether the kernel told something.
        """
        ready, _, _ = select.select([self._kernel, self._woken], [], [], timeout_s)
        if self._kernel in ready:
            time.sleep(_SETTLING_S)
        for source in (self._kernel, self._woken):
            _drain(source)
        return self._kernel in ready

    def wake(self) -> None:
        """Ends the present wait, or the next one."""
        with contextlib.suppress(BlockingIOError):
            self._waker.send(b"!")

    def close(self) -> None:
        """Nobody waits any more."""
        for each in (self._kernel, self._woken, self._waker):
            each.close()


def _drain(source: socket.socket) -> None:
    while True:
        try:
            source.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:  # there was more than the kernel keeps; what it was does not matter
            if error.errno != errno.ENOBUFS:
                raise
