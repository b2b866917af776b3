"""One connection of the page: uvicorn's, with deadlines for what strangers send, and a place in the crowd."""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from allegro.web.crowd import Crowd, Guest, Stage

HEADER_S = 15.0
"""So long the header of a request may take, from when one could come; a connection that is kept ends then."""

BODY_S = 30.0
"""So long the body of a request may take whose sender is not known (a login); users have more time."""

_LOOK_AGAIN_S = 1.0
_KNOWN = "known"


class Connection(H11Protocol):
    """Ends what takes too long; tells the crowd how far it has got."""

    def __init__(self, guest: Guest, crowd: Crowd, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        # Not uvicorn's own count: in that, those who were sent away just now are still there.
        self.limit_concurrency = 0 if guest.told else None
        self._guest = guest
        self._crowd = crowd
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # noqa: D102
        super().connection_made(transport)
        self._guest.leave = transport.abort
        self.app_state = {**self.app_state, _KNOWN: self._user_known}
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        super().connection_lost(exc)
        self._after(None)
        self._crowd.gone(self._guest)

    def handle_events(self) -> None:  # noqa: D102
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and not self.cycle.response_complete:
            self._move(Stage.ASKING)
            self._after(BODY_S, self._body_is_late)

    def on_response_complete(self) -> None:  # noqa: D102
        self._wait_for_delivery()  # first: the next request may have come already
        super().on_response_complete()
        # Ours looks at what is still to be sent, too; and uvicorn's would hold a connection that was reset.
        self._unset_keepalive_if_required()

    def _wait_for_delivery(self) -> None:
        """A slow reader gets all of the answer, and keeps its place as long as that takes."""
        if _delivered(self.transport):
            self._wait_for_request()
        else:
            self._after(_LOOK_AGAIN_S, self._wait_for_delivery)

    def _wait_for_request(self) -> None:
        self._move(Stage.IDLE)
        self._after(HEADER_S, self.transport.close)

    def _body_is_late(self) -> None:
        if self.cycle.more_body:
            self.transport.abort()

    def _user_known(self) -> None:
        self._move(Stage.KNOWN)
        self._after(None)

    def _move(self, stage: Stage) -> None:
        self._crowd.move(self._guest, stage, self.loop.time())

    def _after(self, seconds: float | None, then: Callable[[], None] = lambda: None) -> None:
        """Does `then` after so long, instead of what was to be done before; None: nothing."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, then)


def user_is_known(scope: Scope) -> None:
    """The request is a user's: from now on it has time, and its connection stays."""
    known = scope.get("state", {}).get(_KNOWN)
    if known is not None:
        known()


def _delivered(transport: asyncio.Transport) -> bool:
    """Whether the peer has got all that it will get: nothing waits here or in the kernel (SIOCOUTQ)."""
    connected: socket.socket | None = transport.get_extra_info("socket")
    if transport.is_closing() or connected is None or connected.fileno() < 0:
        return True
    if transport.get_write_buffer_size():
        return False
    (waiting,) = struct.unpack("i", fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4)))
    return not waiting
