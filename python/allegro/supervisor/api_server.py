"""Serves the REST API on its unix socket, until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from allegro.api.asker import OWNER
from allegro.api.event_stream import STOPPING
from allegro.system.notify import alive, alive_every_s

_GRACE_S = 3  # for requests that are being answered at the end


log = logging.getLogger(__name__)


class _Connection(H11Protocol):
    """Tells the API whether root is at its other end: the kernel knows (unix(7), SO_PEERCRED).

    And whether the server is about to end, so that an answer without end does not keep it from that.
    """

    def __init__(self, *, stopping: Callable[[], bool], **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._stopping = stopping

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer: socket.socket = transport.get_extra_info("socket")
        # For a developer's supervisor, which is not root, the same user counts.
        owner = _user_of(peer) in (0, os.geteuid())
        self.app_state = {**self.app_state, OWNER: owner, STOPPING: self._stopping}


def _user_of(peer: socket.socket) -> int:
    """User id of the process at the other end of a unix socket, when it connected."""
    ids = struct.Struct("3i")
    _process, user, _group = ids.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, ids.size))
    return int(user)


class _Server(uvicorn.Server):
    """Says when it serves, and that it still does."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], hung: Callable[[], str]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._hung = hung
        self._watched: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()
        every_s = alive_every_s()
        if every_s is not None:
            self._watched = asyncio.create_task(self._tell_alive(every_s))

    async def _tell_alive(self, every_s: float) -> None:
        """Goes the way of a request: through the event loop, and a thread of the pool that answers."""
        while True:
            try:
                hung = await run_in_threadpool(self._hung)
            except Exception:
                log.exception("Whether all parts work cannot be seen")
            else:
                if hung:
                    log.error("The %s hangs", hung)
                else:
                    alive()
            await asyncio.sleep(every_s)


def serve(
    app: ASGIApp, listener: socket.socket, on_ready: Callable[[], None], hung: Callable[[], str]
) -> None:
    """Blocks until SIGTERM or SIGINT; running requests get a few seconds. Main thread only.

    `hung` is asked again and again and answers with the name of a part that does not get on any more, or "":
    systemd's watchdog is told that the supervisor works only if there is none, and requests are answered.
    """
    server: _Server
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http=partial(_Connection, stopping=lambda: server.should_exit),  # type: ignore[arg-type]
        loop="asyncio",
        timeout_graceful_shutdown=_GRACE_S,
    )
    # What it says at these levels is said elsewhere, in plain words.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    # uvicorn raises the signal again when it has ended; the clean-up of our caller is still to come.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    server = _Server(config, on_ready, hung)
    server.run(sockets=[listener])
