"""The web page: `python -m allegro.web`."""

import argparse
import asyncio
import contextlib
import errno
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from allegro.accounts.users import UserStore
from allegro.errors import AllegroError, Unavailable
from allegro.paths import Paths
from allegro.system.notify import alive, alive_every_s, notify
from allegro.web import certificate
from allegro.web.app import create_app, make_site, redirecting_app
from allegro.web.backend import Backend, over_socket

BUILT = Path(__file__).parent / "built"
"""What scripts/web_assets.py makes: the files of others, and the manual."""

_GRACE_S = 3  # for requests that are being answered at the end
_MOST_CONNECTIONS = 200

log = logging.getLogger("allegro.web")


class _Server(uvicorn.Server):
    """One of several in one process: signals are handled for all of them together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(port: int) -> socket.socket:
    """A listening TCP socket on every address, IPv6 and IPv4; port 0 takes a free one. Raises Unavailable.

    Every address is right: measuring ports have none.
    """
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
        return socket.create_server(("", port), backlog=128)
    except OSError as error:
        reason = "somebody else has it" if error.errno == errno.EADDRINUSE else error.strerror
        raise Unavailable(f"Port {port} cannot be used: {reason}.", place="port") from error


async def serve(page: ASGIApp, pem: Path, https: socket.socket, http: socket.socket) -> None:
    """Until SIGTERM or SIGINT."""
    redirect = redirecting_app(https.getsockname()[1])
    servers = [(_Server(_config(page, pem)), https), (_Server(_config(redirect, None)), http)]

    def stop() -> None:
        notify("STOPPING=1")
        for server, _ in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    running = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    while not all(server.started for server, _ in servers) and not any(task.done() for task in running):
        await asyncio.sleep(0.02)
    log.info("Ready: HTTPS on port %d, HTTP on port %d", https.getsockname()[1], http.getsockname()[1])
    notify("READY=1")
    watched = asyncio.create_task(_tell_alive(http.getsockname()[1]))
    await asyncio.gather(*running)
    watched.cancel()


async def _tell_alive(port: int) -> None:
    """Tells systemd's watchdog that the page answers: to a request that any browser could send."""
    every_s = alive_every_s()
    if every_s is None:
        return
    while True:
        if await _answers(port, every_s):
            alive()
        await asyncio.sleep(every_s)


async def _answers(port: int, within_s: float) -> bool:
    writer = None
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return (await reader.read(16)).startswith(b"HTTP/1.1 ")
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()


def _config(app: ASGIApp, pem: Path | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ssl_certfile=pem,
        lifespan="on" if pem else "off",
        http="h11",
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
    )


def run(paths: Paths, built: Path, https_port: int, http_port: int) -> None:
    """Serves the page. Raises AllegroError if it cannot."""
    pem = paths.web / "certificate.pem"
    host_name = socket.gethostname()
    try:
        paths.web.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = certificate.ensure(pem, certificate.names_for(host_name), certificate.utc_now())
        public = certificate.public_part(pem)
    except OSError as error:
        raise Unavailable(f"The certificate cannot be kept: {error.strerror}.", place=str(pem)) from error
    log.info("Certificate SHA-256 %s", info.fingerprint)
    made = make_site(
        UserStore(paths.web / "users.json"),
        Backend(over_socket(paths.api_socket)),
        built,
        (info, public),
        host_name,
    )
    asyncio.run(serve(create_app(made, built), pem, listen(https_port), listen(http_port)))


def main() -> int:
    """Returns the exit code."""
    defaults = Paths()
    parser = argparse.ArgumentParser(prog="allegro-web", description="Serves the web page of the device.")
    parser.add_argument("--data", type=Path, default=defaults.data, help="data partition (%(default)s)")
    parser.add_argument("--run", type=Path, default=defaults.run, help="runtime directory (%(default)s)")
    parser.add_argument("--built", type=Path, default=BUILT, help="what `make web-assets` made (%(default)s)")
    parser.add_argument("--https-port", type=int, default=443, help="0: a free one (%(default)s)")
    parser.add_argument("--http-port", type=int, default=80, help="0: a free one (%(default)s)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    try:
        run(Paths(arguments.data, arguments.run), arguments.built, arguments.https_port, arguments.http_port)
    except AllegroError as error:
        log.critical("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
