"""Hands messages to a syslog server by TCP, with TLS or without (RFC 5425, RFC 6587).

Syslog knows no answer. A message counts as taken when the server's computer has acknowledged every byte of it
and, with TLS, has not complained since: such a complaint, of a certificate that it misses, comes late.
"""

import contextlib
import fcntl
import os
import socket
import ssl
import struct
import termios
import time
from collections.abc import Iterator
from functools import partial

from allegro.notify import syslog_line
from allegro.notify.delivery import STEP_TIMEOUT_S, Send, Taken, explain
from allegro.notify.notice import Notice
from allegro.settings.notifications import Syslog
from allegro.trust import trusting

_LOOK_EVERY_S = 0.02
_LISTEN_S = 0.5
"""So long the server may complain of what it was sent first; later messages are looked after in passing."""


class SyslogWay:
    """By syslog, as the settings have it."""

    def __init__(self, settings: Syslog, certificate: str) -> None:
        self._settings = settings
        self._certificate = certificate
        self._place = f"{settings.server}:{settings.port}"

    @property
    def target(self) -> str:
        """The server."""
        return self._place

    @contextlib.contextmanager
    def connection(self) -> Iterator[Send]:
        """Connects. Raises Undelivered."""
        own = self._settings
        try:
            with contextlib.ExitStack() as stack:
                wire = stack.enter_context(socket.create_connection((own.server, own.port), STEP_TIMEOUT_S))
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STEP_TIMEOUT_S * 1000))
                if own.tls:
                    context = trusting(self._certificate)
                    wire = stack.enter_context(context.wrap_socket(wire, server_hostname=own.server))
                yield partial(self._send, _Line(wire))
        except OSError as error:
            raise explain(error, self._place) from error

    def _send(self, line: "_Line", notice: Notice) -> Taken:
        line.put(syslog_line.frame(notice))
        return Taken(
            f"The message has arrived at {self._place}, {line.encryption}. Syslog servers do not answer: "
            "look there whether it is in the log."
        )


class _Line:
    """One connection. All methods raise OSError."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._listen_s = _LISTEN_S

    @property
    def encryption(self) -> str:
        """In words."""
        return f"by {self._wire.version()}" if isinstance(self._wire, ssl.SSLSocket) else "without encryption"

    def put(self, content: bytes) -> None:
        """Returns when the peer's TCP has everything (SIOCOUTQ, tcp(7)), and no complaint has come."""
        self._wire.sendall(content)
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while struct.unpack("i", fcntl.ioctl(self._wire.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]:
            self._raise_broken()
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(_LOOK_EVERY_S)
        self._raise_broken()
        self._listen()

    def _raise_broken(self) -> None:
        if number := self._wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(number, os.strerror(number))

    def _listen(self) -> None:
        """Hears what comes, for a moment. An end in order comes after the peer has read everything."""
        self._wire.settimeout(self._listen_s)
        self._listen_s = _LOOK_EVERY_S
        try:
            self._wire.recv(256)
        except TimeoutError:
            pass
        finally:
            self._wire.settimeout(STEP_TIMEOUT_S)
