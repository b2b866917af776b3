"""/api for programs and for the page's own scripts: finds out who asks, and passes it on to who judges.

Programs log in with every request, by token (RFC 6750) or `curl -u user:password` (RFC 7617); the page's
scripts have their session.
"""

import base64
import binascii
import logging
from collections.abc import AsyncIterator, Callable

import httpx
from anyio import fail_after
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from allegro.accounts.roles import includes
from allegro.accounts.users import User
from allegro.api.asker import Forbidden
from allegro.api.client import shape
from allegro.api.targets import UPLOADER, UPLOADS
from allegro.errors import AllegroError, InvalidInput
from allegro.web.accounts import AccountsApi
from allegro.web.backend import Asker
from allegro.web.connection import user_is_known
from allegro.web.login import Doorkeeper, TooManyAttempts
from allegro.web.neighbourhood import neighbourhood
from allegro.web.shares import Shares
from allegro.web.site import COOKIE, LOOKS, Site, TooLarge, check_origin

log = logging.getLogger(__name__)

_NEW_PASSWORD = ("PUT", "password")
"""What a user may do while a new password is due."""

_TOKEN = "token:"  # noqa: S105 (before its name)
_TOKENS = ""
"""For whom wrong tokens count: no user is called so."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
LARGEST_REQUEST = 1 << 20
_PART = 256 * 1024
_EVENTS, _LIVE = "text/event-stream", "live"
"""Answers without end: what comes is passed on at once."""

_SILENT_S = 60.0
"""A client that sends nothing of a request for so long has gone without a word: asleep, or out of reach."""

_TO_SUPERVISOR = (
    *("accept", "content-type", "range"),
    *("if-match", "if-range", "if-none-match", "if-modified-since", "last-event-id"),
)
_TO_CLIENT = (
    *("content-type", "content-length", "content-disposition", "content-range", "accept-ranges"),
    *("etag", "last-modified", "allow", "retry-after"),
)


_LENGTHS = ("content-length", "transfer-encoding")
"""Of the two a request has one: with both, what is one request here may be two for others (RFC 9112, 6.3)."""


class TwoLengths(AllegroError):
    """Where the request ends can be read in two ways."""

    def __init__(self) -> None:
        super().__init__(
            "The request says its length in two ways.",
            remedy="Send it with Content-Length or with Transfer-Encoding, not with both.",
        )


class Unauthorized(AllegroError):
    """Nobody has logged in."""

    status = 401


def routes(site: Site, doorkeeper: Doorkeeper, own: AccountsApi) -> list[Route]:
    """Everything below /api/, and /metrics, where programs that collect metrics look first. `own`: what this
    program answers itself."""
    shares = Shares()

    async def asker_of(request: Request) -> tuple[Asker, User | None]:
        """Who asks, and as which user: none with a token."""
        if request.method not in LOOKS:
            check_origin(request)
        given = request.headers.get("Authorization")
        if given is not None and given.lower().startswith("bearer "):
            asker = await _of_token(site, request, given[7:].strip())
            user_is_known(request.scope)
            return asker, None
        if given is not None:
            name, password = _basic(given)
            user: User | None = await doorkeeper.check(_address(request), name, password)
            site.reports.program(name, _address(request))
        else:
            user = _of_session(site, request)
        if user is None:
            raise Unauthorized(
                "Log in first.", remedy="Programs send a token, or user name and password (curl -u)."
            )
        user_is_known(request.scope)
        if user.must_change and (request.method, request.path_params["path"]) != _NEW_PASSWORD:
            raise Forbidden("A new password is due.", remedy="Log in to the web page and choose one.")
        return Asker(user.name, user.role, _address(request)), user

    async def endpoint(request: Request) -> Response:
        if all(name in request.headers for name in _LENGTHS):
            answer = _refused(request, TwoLengths())
            answer.headers["Connection"] = "close"
            return answer
        try:
            asker, user = await asker_of(request)
        except AllegroError as error:
            return _refused(request, error)
        return _Granted(site, own, shares, request, asker, _is_in(site, request, asker, user))

    async def metrics(request: Request) -> Response:
        moved = {"path": "/api/metrics", "raw_path": b"/api/metrics", "path_params": {"path": "metrics"}}
        return await endpoint(Request({**request.scope, **moved}, request.receive))

    return [
        Route("/api/{path:path}", endpoint, methods=list(METHODS)),
        Route("/metrics", metrics, methods=list(LOOKS)),
    ]


class _Granted(Response):
    """The answer to somebody who is known, who holds a share as long as it lasts."""

    def __init__(
        self,
        site: Site,
        own: AccountsApi,
        shares: Shares,
        request: Request,
        asker: Asker,
        is_in: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._site = site
        self._own = own
        self._shares = shares
        self._request = request
        self._asker = asker
        self._is_in = is_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, asker = self._request, self._asker
        try:
            async with self._shares.share(asker.name):
                content = await _content(request, asker)
                if self._own.answers(request.path_params["path"]) and isinstance(content, bytes | None):
                    await self._own.answer(asker, content, scope, receive, send)
                else:
                    await self._pass_on(content, scope, receive, send)
        except AllegroError as error:  # nothing has been sent yet
            await _refused(request, error)(scope, receive, send)

    async def _pass_on(
        self, content: AsyncIterator[bytes] | bytes | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """The supervisor's answer as it comes; its connection is closed whatever becomes of the client's."""
        request = self._request
        raw: bytes = request.scope["raw_path"]
        target = raw.decode("ascii") + (f"?{request.url.query}" if request.url.query else "")
        headers = {name: request.headers[name] for name in _TO_SUPERVISOR if name in request.headers}
        if not isinstance(content, bytes | None) and "content-length" in request.headers:
            headers["content-length"] = request.headers["content-length"]
        stream = self._site.backend.stream(
            self._asker, request.method, target, headers=headers, content=content
        )
        try:
            async with stream as answer:
                kept = {name: answer.headers[name] for name in _TO_CLIENT if name in answer.headers}
                kind = answer.headers.get("content-type", "")
                lasting, is_in = self._site.lasting, self._is_in
                if kind.startswith(_EVENTS):
                    parts, send = lasting.passed(answer.aiter_raw(), is_in), lasting.judged(send, is_in)
                elif request.path_params["path"] == _LIVE:
                    parts, send = lasting.streamed(answer.aiter_raw(), is_in), lasting.judged(send, is_in)
                else:
                    parts = answer.aiter_raw(_PART)
                passed = StreamingResponse(parts, answer.status_code, kept)
                await passed(scope, receive, send)
        except ClientDisconnect:  # in the middle of what it sent, or took: nobody waits for an answer
            return
        except httpx.HTTPError:  # ours is not ended either, so that nobody takes it for whole
            log.warning("The answer of the device's control program broke off: %s", request.url.path)


async def _content(request: Request, asker: Asker) -> AsyncIterator[bytes] | bytes | None:
    if request.method in LOOKS:
        return None
    if request.method == "PUT" and UPLOADS.fullmatch(request.path_params["path"]):
        # Whose role is not enough is refused by the supervisor, which need not wait for a file for that.
        return _arriving(request) if includes(asker.role, UPLOADER) else b""
    return await _body(request)


async def _body(request: Request) -> bytes:
    content = b""
    async for part in _arriving(request):
        content += part
        if len(content) > LARGEST_REQUEST:
            raise TooLarge("The request is larger than any that the device understands.")
    return content


async def _arriving(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Ends a request whose client is gone: it may hold what others wait for."""
    parts = request.stream()
    while True:
        try:
            with fail_after(_SILENT_S):
                part = await anext(parts)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise InvalidInput("The rest of the request did not arrive.", remedy="Send it again.") from None
        yield part


def _of_session(site: Site, request: Request) -> User | None:
    """A script of the page: what changes something needs the session's token as well."""
    token = request.cookies.get(COOKIE, "")
    session = site.sessions.get(token, site.now_s(), poll=request.method in LOOKS) if token else None
    if session is None:
        return None
    if request.method not in LOOKS and not session.is_csrf(request.headers.get("X-CSRF-Token", "")):
        raise Forbidden("The token of the page is missing.", remedy="Load the page again.")
    return site.users.get(session.user)


def _is_in(site: Site, request: Request, asker: Asker, user: User | None) -> Callable[[], bool]:
    """Tells whether who was let in would be now, with the same rights: for an answer that goes on.

    `user`: as it was when it was let in; what changes before the answer begins counts, too.
    """
    if asker.name.startswith(_TOKEN):
        name = asker.name.removeprefix(_TOKEN)
        return lambda: any(
            each.name == name and each.role == asker.role
            for each in site.tokens.all()
            if site.tokens.holds(each)
        )
    if "Authorization" in request.headers:
        return lambda: user is not None and site.users.get(asker.name) == user
    return lambda: user is not None and _of_session(site, request) == user


async def _of_token(site: Site, request: Request, text: str) -> Asker:
    """A program with a token. Wrong ones count like wrong passwords; a right one, which nobody can guess, is
    not kept waiting by those of others behind the same address."""
    address, now_s = _address(request), site.now_s()
    token = await run_in_threadpool(site.tokens.verified, text)
    if token is None:
        if wait_s := site.attempts.wait_s(address, _TOKENS, now_s):
            raise TooManyAttempts(wait_s)
        site.attempts.failed(address, _TOKENS, now_s)
        site.reports.note("login-failed", "Unknown or ended token", source=neighbourhood(address))
        raise Unauthorized("This token is not known, or has ended.", remedy="An administrator can make one.")
    site.reports.program(f"{_TOKEN}{token.name}", address)
    return Asker(f"{_TOKEN}{token.name}", token.role, address)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        if not colon:
            raise ValueError
    except (ValueError, binascii.Error):
        raise Unauthorized(
            "Only user name and password (HTTP basic authentication) and tokens (bearer) are understood."
        ) from None
    return name, password


def _refused(request: Request, error: AllegroError) -> Response:
    answer = JSONResponse(shape(error), error.status)
    if isinstance(error, TooManyAttempts):
        answer.headers["Retry-After"] = str(error.wait_s)
    # Browsers would ask with a window of their own and remember the password; they have the login page.
    if error.status == 401 and "Sec-Fetch-Mode" not in request.headers:
        answer.headers["WWW-Authenticate"] = 'Basic realm="Allegro", charset="UTF-8"'
    return answer
