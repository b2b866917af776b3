"""The web page: `python -m allegro.web`."""

import argparse
import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from allegro.accounts.tokens import TokenStore
from allegro.accounts.users import UserStore
from allegro.errors import AllegroError, Unavailable
from allegro.keeping import Damaged, trouble
from allegro.paths import Paths
from allegro.system.notify import alive, alive_every_s, notify
from allegro.web import certificate
from allegro.web.app import create_app, inside_app, make_site, redirecting_app
from allegro.web.backend import Backend, over_socket
from allegro.web.certificate import CertificateInfo
from allegro.web.crowd import Crowd, Limits
from allegro.web.known_browsers import KnownBrowsers, kept_key
from allegro.web.own_addresses import DeviceName
from allegro.web.page_server import DoorServer, InsideServer
from allegro.web.served_certificate import UPLOADED, ServedCertificate

BUILT = Path(__file__).parent / "built"
"""What scripts/web_assets.py makes: the files of others, and the manual."""

_HTTP_LIMITS = Limits(silent=256, silent_of_one=64, inside=64, inside_of_one=16)
"""All that is said there is that the page is elsewhere."""

_BACKLOG = 1024  # connections that the kernel takes while the program is busy with another one

log = logging.getLogger("allegro.web")


def listen(port: int) -> socket.socket:
    """A listening TCP socket on every address, IPv6 and IPv4; port 0 takes a free one. Raises Unavailable.

    Every address is right: measuring ports have none.
    """
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
            )
        return socket.create_server(("", port), backlog=_BACKLOG)
    except OSError as error:
        reason = "somebody else has it" if error.errno == errno.EADDRINUSE else error.strerror
        raise Unavailable(f"Port {port} cannot be used: {reason}.", place="port") from error


def listen_inside(path: Path) -> socket.socket:
    """A listening unix socket at `path`, for root only: the device's own way to the page. Raises Unavailable.

    The watchdog and the confirmation of an update ask there. What happens at the doors does not reach it.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
    except OSError as error:
        listener.close()
        raise Unavailable(f"The socket cannot be made ({error.strerror}).", place=str(path)) from error
    return listener


async def serve(
    page: ASGIApp,
    redirect: ASGIApp,
    inside: ASGIApp,
    tls: Callable[[], ssl.SSLContext],
    https: socket.socket,
    http: socket.socket,
    own_path: Path,
    on_stop: Callable[[], None],
) -> None:
    """Until SIGTERM or SIGINT, when `on_stop` is called first.

    `redirect` answers on the port of HTTP, `inside` on the socket `own_path`; raises Unavailable without it.
    """
    gc.freeze()  # what is there now stays: looking for what can go need not go through it
    asyncio.get_running_loop().set_exception_handler(told)
    own = listen_inside(own_path)
    servers = [
        (DoorServer(page, Crowd(Limits()), tls, lifespan=True), https),
        (DoorServer(redirect, Crowd(_HTTP_LIMITS), None), http),
        (InsideServer(inside), own),
    ]

    def stop() -> None:
        notify("STOPPING=1")
        on_stop()
        for server, _ in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    running = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    while not all(server.started for server, _ in servers) and not any(task.done() for task in running):
        await asyncio.sleep(0.02)
    log.info("Ready: HTTPS on port %d, HTTP on port %d", https.getsockname()[1], http.getsockname()[1])
    notify("READY=1")
    watched = asyncio.create_task(_tell_alive(own_path))
    await asyncio.gather(*running)
    watched.cancel()
    own_path.unlink(missing_ok=True)


def told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """As asyncio tells it, but for a read of anyio that was cancelled in the turn in which it had come.

    Whoever waited for it is gone, and nothing is lost.
    """
    woken = "set_result" in str(context.get("message"))
    if not (woken and isinstance(context.get("exception"), asyncio.InvalidStateError)):
        loop.default_exception_handler(context)


async def _tell_alive(inside: Path) -> None:
    """Tells systemd's watchdog that the page answers: to a request like any browser's, from inside."""
    every_s = alive_every_s()
    if every_s is None:
        return
    while True:
        if await _answers(inside, every_s):
            alive()
        await asyncio.sleep(every_s)


async def _answers(inside: Path, within_s: float) -> bool:
    writer = None
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(inside)
            writer.write(b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return (await reader.read(16)).startswith(b"HTTP/1.1 ")
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()


def run(paths: Paths, built: Path, https_port: int, http_port: int) -> None:
    """Serves the page. Raises AllegroError if it cannot."""
    with tempfile.TemporaryDirectory(prefix="allegro-web-") as spare:
        _run(paths, built, https_port, http_port, Path(spare))


def _run(paths: Paths, built: Path, https_port: int, http_port: int, spare: Path) -> None:
    host_name = socket.gethostname()
    with contextlib.suppress(OSError):  # without a data partition the page comes up, and says so
        paths.web.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem, info, certificate_problem = _certificate(paths.web, spare, host_name)
    served = ServedCertificate(pem, info, paths.web / UPLOADED)
    made = make_site(
        UserStore(paths.users, paths.had_users),
        Backend(over_socket(paths.api_socket)),
        built,
        served,
        DeviceName(host_name),
        KnownBrowsers(kept_key(paths.web / "browsers.key")),
        TokenStore(paths.web / "tokens.json"),
        certificate_problem,
    )
    page = create_app(made, built)
    inside = inside_app(made, page)
    sockets = listen(https_port), listen(http_port)
    apps = page, redirecting_app(made, sockets[0].getsockname()[1]), inside
    asyncio.run(serve(*apps, lambda: served.context, *sockets, paths.page_socket, made.lasting.end))


def _certificate(folder: Path, spare: Path, host_name: str) -> tuple[Path, CertificateInfo, str]:
    """The page's certificate, and what was wrong with it; one for this run only if none can be kept."""
    names = certificate.names_for(host_name)
    file = folder / "certificate.pem"
    found = certificate.kept(file).read()
    wrong = trouble(found)
    anew = " It is made anew: browsers ask again." if isinstance(found, Damaged) else ""
    problem = f"The certificate of this page {wrong}.{anew}" if wrong else ""
    try:
        return file, certificate.ensure(file, names, certificate.utc_now()), problem
    except OSError as error:
        problem = (
            f"The certificate of this page cannot be read or kept ({error.strerror}); until the next start it"
            " has another one."
        )
        log.error("%s", problem)
        file = spare / file.name
        return file, certificate.ensure(file, names, certificate.utc_now()), problem


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
