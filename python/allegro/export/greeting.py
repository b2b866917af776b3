"""What a server says before SSH begins: its greeting (RFC 4253, 4.2), other words, or nothing."""

import socket
from dataclasses import dataclass

_KEPT = 1024
_LOG_IN = 16 * 1024
"""Bytes: a server says less until files go."""


@dataclass(frozen=True)
class Greeting:
    """`ended`: the server closed the connection after these words."""

    words: bytes
    ended: bool

    @property
    def is_ssh(self) -> bool:
        """Lines of other text may stand before it."""
        return any(line.startswith(b"SSH-") for line in self.words.splitlines())


class ListeningSocket(socket.socket):
    """Remembers the first bytes that come, which the SSH library does not tell.

    Until files go, what comes is acknowledged at once: sshd says two things after the log-in, the second only
    when the first is acknowledged (RFC 896), which would wait 40 ms for something to be said here (tcp(7),
    TCP_QUICKACK, which the kernel takes back with each answer).
    """

    _first = b""
    _length = 0
    _ended = False

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As that of a socket."""
        try:
            data = super().recv(size, flags)
        except ConnectionError:
            self._ended = True
            raise
        if len(self._first) < _KEPT:
            self._first += data[:_KEPT]
        if self._length < _LOG_IN:
            self._length += len(data)
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._ended = self._ended or not data
        return data

    @property
    def greeting(self) -> Greeting:
        """What came so far."""
        return Greeting(self._first, self._ended)


def connect(host: str, port: int, timeout_s: float) -> ListeningSocket:
    """A TCP connection. Raises OSError, or UnicodeError for a name that cannot be one."""
    return ListeningSocket(fileno=socket.create_connection((host, port), timeout_s).detach())


def in_words(greeting: Greeting, port: int) -> tuple[str, str]:
    """Message and remedy for a greeting that is not SSH's."""
    busy = (
        "It may have too many connections at the moment, or not let this device's address in; its log knows. "
        "It is tried again by itself."
    )
    wrong_port = "Check host and port: SFTP needs the SSH port, usually 22. FTP and FTPS are something else."
    line = next((each for each in greeting.words.splitlines() if each.strip()), b"")
    said = "".join(c for c in line.decode(errors="replace").strip()[:100] if c.isprintable())
    if not said:
        if greeting.ended:
            return "The server closed the connection before it said anything.", busy
        return f"The server takes the connection on port {port}, but says nothing.", wrong_port
    # The codes of FTP, SMTP and others have three digits (RFC 959, 4.2).
    if greeting.ended and not said[:3].isdigit() and not said.startswith("HTTP"):
        return f"The server closed the connection before SSH began; it said: {said.rstrip('.')}.", busy
    return f"What answers on port {port} is not an SSH server; it says: {said.rstrip('.')}.", wrong_port
