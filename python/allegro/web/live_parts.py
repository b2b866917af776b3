"""What changes by itself on an open page, as one stream of server-sent events (HTML Living Standard, 9.2).

Each part of the page (an `Action` with `every_s`) is looked at here as if the page asked for it, and sent
when it is another one than before. The stream is compressed as a whole (RFC 1952), which leaves of a part
that was sent before little more than what has changed in it; so nothing secret may be in it (`Visit.kept`).
No look waits for another one: a part that does not come says so, and the others go on.
It ends with the log-in, and whenever the user gets another role or password: the browser then comes again.
"""

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from allegro.accounts.users import User
from allegro.api.event_stream import HEARTBEAT_S, MEDIA_TYPE, Streams
from allegro.errors import AllegroError, InvalidInput
from allegro.web.connection import user_is_known
from allegro.web.packing import GZIP, takes_packed
from allegro.web.sessions import Session
from allegro.web.site import COOKIE, Action, Page, Site, Visit, answered, plain_error
from allegro.words import utc

PATH = "/live"
MOST_PARTS = 4
"""Of one page."""

BEGINNING = b"retry: 2000\n\n"
"""Milliseconds until a browser comes again."""

HEARTBEAT = b":\n\n"
ENDED = b"event: ended\ndata:\n\n"
"""Nobody is logged in any more: there is nothing to come again for."""

RELOAD = b"event: reload\ndata:\n\n"
LATE_S = 5.0
"""A look that takes longer is told, at its part."""


@dataclass
class Part:
    """A part of a page, and what is known of it."""

    page: Page
    action: Action
    address: str
    due_s: float = 0.0
    sent: bytes | None = None
    kept: dict[str, Any] = field(default_factory=dict)
    look: asyncio.Task[bytes] | None = None
    began_s: float = 0.0
    began_ns: int = 0
    seen_ns: int | None = None
    is_late: bool = False

    def begin(self, look: Callable[[], Coroutine[None, None, bytes]], now_s: float) -> None:
        """A look, if it is time for one and none is under way."""
        if self.look is None and self.due_s <= now_s:
            self.began_s, self.began_ns = now_s, time.time_ns()
            self.due_s = now_s + self.action.every_s
            self.look = asyncio.create_task(look())

    def told(self, site: Site, now_s: float) -> bytes:
        """What there is to send of a look: what has come of it, or that it is late. Usually empty."""
        if self.look is None:
            return b""
        if not self.look.done():
            if self.is_late or now_s - self.began_s < LATE_S:
                return b""
            self.is_late = True
            since = utc(self.began_ns if self.seen_ns is None else self.seen_ns)
            words = site.templates.get_template("parts/late.html").render(since=since, zone=site.zone.known)
            return _event("late", part=self.address, content=words)
        news, self.look, self.seen_ns = self.look.result(), None, self.began_ns
        if self.is_late:
            self.is_late = False
            news = _event("late", part=self.address, content="") + news
        return news

    def wakes_s(self) -> float:
        """When there is something to do for it, if nothing comes before."""
        if self.look is None:
            return self.due_s
        return float("inf") if self.is_late else self.began_s + LATE_S

    async def news(self, site: Site, request: Request, session: Session, user: User) -> bytes:
        """The event to send; empty if all is as it was."""
        path, _, query = self.address.partition("?")
        asked = Request({**request.scope, "path": path, "query_string": query.encode()})
        zone = await site.zone.name(site.backend, site.now_s())
        visit = Visit(site, asked, session, user, self.page, {}, zone=zone, kept=self.kept)
        answer = await answered(visit, self.action)
        if "HX-Refresh" in answer.headers:
            return RELOAD
        content = bytes(answer.body)
        if content == self.sent:
            return b""
        self.sent = content
        return _event("part", part=self.address, content=content.decode())


def _event(name: str, **data: str) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def route(site: Site) -> Route:
    """GET /live?part=…&part=…: the parts by their addresses, as they stand on the page."""
    streams = Streams()

    async def endpoint(request: Request) -> Response:
        token = request.cookies.get(COOKIE, "")

        def of_session() -> Session | None:
            return site.sessions.get(token, site.now_s(), poll=True) if token else None

        session = of_session()
        user = site.users.get(session.user) if session else None
        if session is None or user is None or user.must_change:
            return Response(ENDED, media_type=MEDIA_TYPE)
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE)
        user_is_known(request.scope)

        def is_in() -> bool:
            return of_session() is session and site.users.get(user.name) == user

        with ExitStack() as held:
            try:
                parts = _parts(site, request.query_params.getlist("part"))
                held.enter_context(streams.one(user.name))
            except AllegroError as error:
                return plain_error(site, error)
            events = _until_ended(
                site.lasting.passed(_looks(site, request, session, user, parts), is_in),
                lambda: of_session() is None or site.users.get(user.name) is None,
            )
            return _Stream(site, events, is_in, held.pop_all(), packed=takes_packed(request))

    return Route(PATH, endpoint, methods=["GET"])


def _parts(site: Site, addresses: Sequence[str]) -> list[Part]:
    """Raises InvalidInput for what is no part of a page."""
    known = {each.path: (page, each) for page in site.pages for each in page.actions if each.every_s}
    paths = [each.partition("?")[0] for each in addresses]
    if not 0 < len(paths) <= MOST_PARTS or not known.keys() >= set(paths):
        raise InvalidInput("There is no such part of a page.", remedy="Load the page again.")
    return [Part(*known[path], address) for path, address in zip(paths, addresses, strict=True)]


async def _looks(
    site: Site, request: Request, session: Session, user: User, parts: Sequence[Part]
) -> AsyncIterator[bytes]:
    """What there is, then what has changed; a comment now and then shows each end that the other is there."""
    now_s = asyncio.get_running_loop().time
    yield BEGINNING
    silent_since_s = now_s()
    try:
        while True:
            for part in parts:
                part.begin(partial(part.news, site, request, session, user), now_s())
                if event := part.told(site, now_s()):
                    silent_since_s = now_s()
                    yield event
            if now_s() - silent_since_s >= HEARTBEAT_S:
                silent_since_s = now_s()
                yield HEARTBEAT
            wakes_s = min(silent_since_s + HEARTBEAT_S, *(part.wakes_s() for part in parts))
            await _for_one_of([part.look for part in parts if part.look], max(0.0, wakes_s - now_s()))
    finally:
        for part in parts:
            if part.look is not None:
                part.look.cancel()


async def _for_one_of(looks: Sequence[asyncio.Task[bytes]], seconds: float) -> None:
    """Until a look has come to its end, or so long."""
    if looks:
        await asyncio.wait(looks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    else:
        await asyncio.sleep(seconds)


async def _until_ended(events: AsyncIterator[bytes], ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    async for event in events:
        yield event
    if ended():
        yield ENDED


async def _compressed(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP)
    async for event in events:
        yield packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


class _Stream(StreamingResponse):
    """Gives its place back however it ends. Who takes nothing holds it no longer than he is logged in."""

    def __init__(
        self,
        site: Site,
        events: AsyncIterator[bytes],
        is_in: Callable[[], bool],
        held: ExitStack,
        *,
        packed: bool,
    ) -> None:
        headers = {"Content-Encoding": "gzip"} if packed else {}
        super().__init__(_compressed(events) if packed else events, headers=headers, media_type=MEDIA_TYPE)
        self._site, self._is_in, self._held = site, is_in, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            try:
                await super().__call__(scope, receive, self._site.lasting.judged(send, self._is_in))
            except ClientDisconnect:
                return
