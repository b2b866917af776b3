"""Serves the REST API on its unix socket, until SIGTERM or SIGINT."""

import logging
import signal
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

_GRACE_S = 3  # for requests that are being answered at the end


class _Server(uvicorn.Server):
    """Says when it serves."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def serve(app: FastAPI, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Blocks until SIGTERM or SIGINT; running requests get a few seconds. Main thread only."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
        loop="asyncio",
        timeout_graceful_shutdown=_GRACE_S,
    )
    # What it says at these levels is said elsewhere, in plain words.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    # uvicorn raises the signal again when it has ended; the clean-up of our caller is still to come.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    _Server(config, on_ready).run(sockets=[listener])
