"""Lets connections in, with bounds that hold before TLS.

asyncio's own server starts TLS for whoever connects, which takes 300 kB, and waits a minute for the first
byte. Here a connection waits as a mere socket until its first byte has come, for a few seconds, and `crowd`
says who has to go when there are too many.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from allegro.web.crowd import Crowd, Guest, Stage
from allegro.web.neighbourhood import neighbourhood

SILENT_S = 10.0
"""So long the first byte may take."""

GREETING_S = 15.0
"""So long the TLS handshake may take: a small device that is busy needs a second for one."""

_GOODBYE_S = 60.0  # for what is still to be sent, and the end of TLS
_AT_ONCE = 64
_OUT_OF_SOCKETS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_S = 0.5

# A peer that is gone without a word (asleep, out of reach) is noticed after a minute (tcp(7)). Not by a limit
# for how long what is sent may wait: a download may be paused.
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)

Welcome = Callable[[Guest], asyncio.Protocol]
"""Makes the protocol of a connection that has come in; it tells the crowd when it ends."""

log = logging.getLogger(__name__)


class Door:
    """One listening socket. `tls` gives what the next connection is greeted with; None for plain HTTP."""

    def __init__(
        self,
        listener: socket.socket,
        crowd: Crowd,
        welcome: Welcome,
        tls: Callable[[], ssl.SSLContext] | None,
    ) -> None:
        self._listener = listener
        self._crowd = crowd
        self._welcome = welcome
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._greeting: set[asyncio.Task[None]] = set()
        self._open = False

    def open(self) -> None:
        """From now on connections are accepted."""
        self._open = True
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """No more are. Who is inside stays."""
        self._open = False
        self._loop.remove_reader(self._listener)
        self._crowd.end()

    async def wait_closed(self) -> None:
        """Returns when no handshake is going on."""
        await asyncio.gather(*self._greeting)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_SOCKETS:
                    raise
                self._pause()
                return
            self._wait_for_first_byte(connection, str(address[0]))

    def _pause(self) -> None:
        """Without this the loop would do nothing but try again."""
        self._loop.remove_reader(self._listener)
        self._loop.call_later(_PAUSE_S, lambda: self.open() if self._open else None)

    def _wait_for_first_byte(self, connection: socket.socket, address: str) -> None:
        connection.setblocking(False)
        for option in _KEEP_ALIVE:
            connection.setsockopt(*option)

        def leave() -> None:
            self._loop.remove_reader(connection)
            late.cancel()
            connection.close()

        def too_late() -> None:
            self._crowd.gone(guest)
            leave()

        def first_byte() -> None:
            if _has_hung_up(connection):
                too_late()
                return
            self._loop.remove_reader(connection)
            late.cancel()
            self._let_in(connection, guest)

        late = self._loop.call_later(SILENT_S, too_late)
        guest = Guest(neighbourhood(address), self._loop.time(), leave)
        self._loop.add_reader(connection, first_byte)
        self._crowd.arrive(guest)

    def _let_in(self, connection: socket.socket, guest: Guest) -> None:
        # While the handshake goes on, the connection belongs to asyncio: it ends as if the peer had gone.
        guest.leave = lambda: _hang_up(connection)
        if not self._crowd.enter(guest, self._loop.time()):
            self._crowd.gone(guest)
            connection.close()
            return
        task = self._loop.create_task(self._greet(connection, guest))
        self._greeting.add(task)
        task.add_done_callback(self._greeting.discard)

    async def _greet(self, connection: socket.socket, guest: Guest) -> None:
        limits = (
            {"ssl_handshake_timeout": GREETING_S, "ssl_shutdown_timeout": _GOODBYE_S} if self._tls else {}
        )
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._welcome(guest), connection, ssl=self._tls() if self._tls else None, **limits
            )
        except OSError:  # of TLS, or the peer is gone: it is not our failure
            if guest.stage is Stage.GREETING:
                self._crowd.gone(guest)
                connection.close()


def _has_hung_up(connection: socket.socket) -> bool:
    """Whether there is the end of what it sends, and not its first byte."""
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
