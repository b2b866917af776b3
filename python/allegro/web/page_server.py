"""uvicorn's server behind our own door, and one for the device itself."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from allegro.web.connection import Connection
from allegro.web.crowd import Crowd, Guest
from allegro.web.door import Door
from allegro.web.tidying import Tidying, tidy

_GRACE_S = 3  # for requests that are being answered at the end


class InsideServer(uvicorn.Server):
    """One of several in one process: signals are handled for all of them together."""

    def __init__(self, app: ASGIApp, **config: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                **{"lifespan": "off", **config},
                http="h11",
                ws="none",
                loop="asyncio",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:  # noqa: D102
        yield


class DoorServer(InsideServer):
    """Lets connections in by a `Door`. What is beyond the crowd's limits and cannot go is answered by 503."""

    def __init__(
        self, app: ASGIApp, crowd: Crowd, tls: Callable[[], ssl.SSLContext] | None, *, lifespan: bool = False
    ) -> None:
        super().__init__(app, lifespan="on" if lifespan else "off")
        self._crowd = crowd
        self._tidying = Tidying()
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: D102
        # Everything but the listening, which the doors do.
        await super().startup(sockets=[])
        doors = [Door(listener, self._crowd, self._welcome, self._tls) for listener in sockets or ()]
        self.servers = doors  # type: ignore[assignment]
        for door in doors:
            door.open()

    async def on_tick(self, counter: int) -> bool:  # noqa: D102
        if self._tidying.due(self._crowd.ended, time.monotonic()):
            tidy()
        return await super().on_tick(counter)

    def _welcome(self, guest: Guest) -> Connection:
        return Connection(
            guest,
            self._crowd,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
