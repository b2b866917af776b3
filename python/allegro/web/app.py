"""The web page: all routes together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from allegro.accounts.tokens import TokenStore
from allegro.accounts.users import UserStore
from allegro.api.regular_paths import RegularPaths
from allegro.errors import AllegroError, NotFound
from allegro.web import gateway, history, live_parts, login, site
from allegro.web.accounts import AccountsApi
from allegro.web.backend import Backend
from allegro.web.headers import Headers
from allegro.web.known_browsers import KnownBrowsers
from allegro.web.manual import Manual
from allegro.web.menu import menu
from allegro.web.own_addresses import DeviceName, own_addresses
from allegro.web.own_files import OwnFiles
from allegro.web.pages import PAGES
from allegro.web.reports import Reports
from allegro.web.served_certificate import ServedCertificate
from allegro.web.site import Site
from allegro.web.welcome import Welcome

OWN_FILES = Path(__file__).parent / "static"


def make_site(
    users: UserStore,
    backend: Backend,
    built: Path,
    certificate: ServedCertificate,
    named: DeviceName,
    browsers: KnownBrowsers,
    tokens: TokenStore,
    certificate_problem: str = "",
) -> Site:
    """The parts of the page. `built`: the folder that scripts/web_assets.py makes."""
    return Site(
        users=users,
        backend=backend,
        manual=Manual(built / "manual"),
        certificate=certificate,
        named=named,
        browsers=browsers,
        tokens=tokens,
        reports=Reports(backend),
        certificate_problem=certificate_problem,
        pages=PAGES,
        menu=menu([each for each in PAGES if not each.below]),
        templates=site.templates(),
    )


def create_app(made: Site, built: Path) -> ASGIApp:
    """The page, ready to be served over HTTPS."""
    doorkeeper = login.Doorkeeper(made)
    own = AccountsApi(made, doorkeeper)
    files = OwnFiles({"": OWN_FILES, "vendor/": built / "vendor"})
    made.templates.globals["static"] = files.address
    routes = [
        files.route(),
        *gateway.routes(made, doorkeeper, own),
        *login.routes(made, doorkeeper),
        live_parts.route(made),
        *(site.route(made, action, page) for page in made.pages for action in page.actions),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(history.sample(made.history, made.backend)),
            asyncio.create_task(
                made.certificate.care(made.named, lambda: own_addresses(made.backend, made.named))
            ),
            asyncio.create_task(made.reports.run()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, TimeoutError):
                    await task
            await made.backend.close()

    of_forms = {action.path: page.path for page in made.pages for action in page.actions}

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 (registered for it)
        if error.status_code == 405 and request.method in site.LOOKS and request.url.path in of_forms:
            # The address of a form that was shown again with its mistakes is loaded anew, or was kept.
            return RedirectResponse(of_forms[request.url.path], status_code=303)
        if error.status_code == 404:
            return site.plain_error(made, NotFound("There is no such page.", remedy="Go to the dashboard."))
        failure = AllegroError(f"This is not possible here ({error.detail}).")
        failure.status = error.status_code
        return site.plain_error(made, failure)

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # nobody reads it: the client broke off in the middle of its request

    async def unexpected(_: Request, __: Exception) -> Response:
        failure = AllegroError(
            "Something unexpected went wrong in the web page.", remedy="Load the page again."
        )
        failure.status = 500
        return site.plain_error(made, failure)

    # Around everything: what answers after an unexpected failure lies outside of Starlette's own middleware.
    handlers = {HTTPException: http_error, ClientDisconnect: gone, Exception: unexpected}
    pages = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    return Headers(RegularPaths(pages, below="/api/"))


def inside_app(made: Site, page: ASGIApp) -> ASGIApp:
    """What answers the device itself, on a socket for root: the page, and the accounts' part of the API."""
    own = AccountsApi(made, login.Doorkeeper(made))

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith("/api/") and own.answers(path.removeprefix("/api/")):
            try:
                content = await Request(scope, receive).body()
            except ClientDisconnect:  # in the middle of what it sent: nobody waits for an answer
                return
            await own.answer(None, content, scope, receive, send)
        else:
            await page(scope, receive, send)

    return answer


def redirecting_app(made: Site, https_port: int) -> ASGIApp:
    """What answers on the port of HTTP: that the page is on HTTPS, and a page for who is new in the WiFi."""
    welcome = Welcome(made, https_port)

    async def redirect(request: Request) -> Response:
        if (answer := welcome.probed(request)) is not None:
            return answer
        host = request.url.hostname or "allegro"
        if ":" in host:
            host = f"[{host.strip('[]')}]"
        port = "" if https_port == 443 else f":{https_port}"
        target = request.url.replace(scheme="https", netloc=f"{host}{port}")
        return RedirectResponse(str(target), status_code=308)

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    return Headers(Starlette(routes=[*welcome.routes(), Route("/{path:path}", redirect, methods=methods)]))
