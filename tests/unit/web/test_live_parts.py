"""One stream for all that changes by itself on a page: only what has changed, only to who may see it."""

import asyncio
import json
import re
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.types import ASGIApp, Message

from allegro.api.event_stream import MOST_OF_ONE
from allegro.web import lasting, live_parts
from allegro.web.app import create_app
from allegro.web.pages import PAGES
from allegro.web.sessions import IDLE_S
from tests.unit.web.world import PASSWORD, Browser, World

pytestmark = pytest.mark.spec("W3")

DASHBOARD = ("/dashboard/live", "/dashboard/graph")


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "LOOK_EVERY_S", 0.01)


def app_of(world: World) -> ASGIApp:
    """The page, which looks at all its parts often."""
    often = [
        replace(page, actions=tuple(replace(each, every_s=each.every_s and 0.02) for each in page.actions))
        for page in PAGES
    ]
    return create_app(replace(world.site, pages=often), world.users_file.parent / "built")


class Stream:
    """What has come of an answer so far."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.content = b""
        self.sent = 0
        self._unpacker: Any = None
        self._came = asyncio.Event()
        self.answering: asyncio.Task[None] | None = None

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            if self.headers.get("content-encoding") == "gzip":
                self._unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        else:
            body = message.get("body", b"")
            self.sent += len(body)
            self.content += self._unpacker.decompress(body) if self._unpacker else body
            self._came.set()

    def parts(self, path: str) -> list[str]:
        """Each content of a part that has come."""
        return self._of("part", path)

    def late(self, path: str) -> list[str]:
        """Each word on a part that takes long; empty when it has come."""
        return self._of("late", path)

    def _of(self, event: str, path: str) -> list[str]:
        events = [each for each in self.content.decode().split("\n\n") if each.startswith(f"event: {event}")]
        data = [json.loads(each.partition("data: ")[2]) for each in events]
        return [each["content"] for each in data if each["part"] == path]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._came.clear()
                await self._came.wait()

    async def ends(self) -> bytes:
        assert self.answering
        await asyncio.wait_for(asyncio.shield(self.answering), 20)
        return self.content


@asynccontextmanager
async def stream(
    app: ASGIApp, browser: Browser, *parts: str, accept: str = "gzip, deflate, br"
) -> AsyncIterator[Stream]:
    """An answer that goes on until its reader leaves."""
    made, leaves = Stream(), asyncio.Event()
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": "/live",
        "raw_path": b"/live",
        "query_string": urlencode([("part", each) for each in parts]).encode(),
        "headers": [
            (b"host", b"device.local"),
            (b"cookie", cookies.encode()),
            (b"accept-encoding", accept.encode()),
        ],
        "client": ("192.0.2.1", 50000),
        "server": ("device.local", 443),
    }

    async def receive() -> Message:
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def answer() -> None:
        await app(scope, receive, made.take)

    made.answering = asyncio.create_task(answer())
    try:
        yield made
    finally:
        leaves.set()
        await made.answering


def watched(world: World, do: Callable[[ASGIApp], Coroutine[None, None, None]]) -> None:
    asyncio.run(do(app_of(world)))


def test_a_part_is_sent_when_it_has_changed_and_not_again(world: World) -> None:
    browser = world.user("admin")

    async def do(app: ASGIApp) -> None:
        async with stream(app, browser, "/ring/live", "/time/live") as read:
            await read.until(lambda: len(read.parts("/time/live")) >= 2)  # which says seconds
            assert read.headers["content-type"].startswith("text/event-stream")
            (ring,) = read.parts("/ring/live")
            assert "What the ring holds" in ring
            before = read.sent
            world.device.recorder = None
            await read.until(lambda: len(read.parts("/ring/live")) == 2)
            assert "The recorder has not been heard of." in read.parts("/ring/live")[1]
            assert read.sent - before < len(read.content) / 4, "what is known already costs little"

    watched(world, do)


def test_a_part_that_hangs_says_since_when_and_the_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = world.user("viewer")
    passed_on = world.site.backend.ask
    hangs, goes_on = asyncio.Event(), asyncio.Event()

    async def hanging(asker: Any, method: str, path: str, *rest: Any) -> Any:
        if path == "/ring" and not goes_on.is_set():
            hangs.set()
            await goes_on.wait()
        return await passed_on(asker, method, path, *rest)

    async def do(app: ASGIApp) -> None:
        async with stream(app, browser, "/ring/live", "/time/live") as read:
            await read.until(lambda: bool(read.parts("/ring/live")))
            monkeypatch.setattr(world.site.backend, "ask", hanging)
            await asyncio.wait_for(hangs.wait(), 20)
            monkeypatch.setattr(live_parts, "LATE_S", 0.1)  # only now: what is slow does not hang
            await read.until(lambda: len(read.late("/ring/live")) == 1)
            assert "Not known since <time" in read.late("/ring/live")[0]
            shown = len(read.parts("/time/live"))
            await read.until(lambda: len(read.parts("/time/live")) >= shown + 2)
            assert len(read.late("/ring/live")) == 1, "is told once"
            goes_on.set()
            await read.until(lambda: read.late("/ring/live")[1:2] == [""])

    watched(world, do)


def test_who_cannot_unpack_gets_it_as_it_is(world: World) -> None:
    browser = world.user("viewer")

    async def do(app: ASGIApp) -> None:
        async with stream(app, browser, "/ring/live", accept="br") as read:
            await read.until(lambda: bool(read.parts("/ring/live")))
            assert "content-encoding" not in read.headers

    watched(world, do)


def test_no_secret_is_in_it(world: World) -> None:
    """Whoever sees how long compressed events are could guess it bit by bit."""
    browser = world.user("admin")
    (world.device.paths.upload / "a.pcapng").write_bytes(b"x")

    async def do(app: ASGIApp) -> None:
        async with stream(app, browser, "/export/live") as read:
            await read.until(lambda: bool(read.parts("/export/live")))
            assert 'name="csrf" value=""' in read.parts("/export/live")[0]
            assert not re.search(token, read.content.decode())

    token = rf"[0-9a-f]{{{len(browser.csrf())}}}"  # another text each time
    assert re.search(token, browser.page("/export"))
    watched(world, do)


def test_it_does_not_keep_a_session_alive_and_says_when_that_has_ended(world: World) -> None:
    browser = world.user("viewer")

    async def do(app: ASGIApp) -> None:
        async with stream(app, browser, *DASHBOARD) as read:
            await read.until(lambda: bool(read.parts("/dashboard/graph")))
            world.clock.now += IDLE_S * 0.6
            await asyncio.sleep(0.1)
            assert read.answering
            assert not read.answering.done()
            world.clock.now += IDLE_S * 0.6
            assert (await read.ends()).endswith(b"event: ended\ndata:\n\n")
        async with stream(app, browser, *DASHBOARD) as again:
            assert await again.ends() == b"event: ended\ndata:\n\n"

    watched(world, do)
    assert browser.get("/").headers["location"] == "/login"


def test_it_ends_on_log_out_and_comes_again_after_another_role_or_password(world: World) -> None:
    admin, other = world.user("admin"), world.user("capture")

    async def do(app: ASGIApp) -> None:
        users = world.site.users
        changes: list[Callable[[], None]] = [
            lambda: users.change("the-admin", role="viewer"),
            lambda: users.set_password("the-admin", "another " + PASSWORD),
        ]
        for change in changes:
            async with stream(app, admin, "/ring/live") as read:
                await read.until(lambda: bool(read.parts("/ring/live")))
                change()
                assert b"event: ended" not in await read.ends()
        async with stream(app, other, "/ring/live") as read:
            await read.until(lambda: bool(read.parts("/ring/live")))
            world.site.sessions.end_all_of("the-capture")
            assert b"event: ended" in await read.ends()

    world.site.users.add("olga", "admin", PASSWORD)
    watched(world, do)


def test_only_parts_are_sent_and_only_those_of_ones_role(world: World) -> None:
    browser = world.user("viewer")

    async def do(app: ASGIApp) -> None:
        for wrong in ((), ("/export",), ("/ring/live", "/settings"), ("/ring/live",) * 5, ("//[/ring/live",)):
            async with stream(app, browser, *wrong) as read:
                await read.ends()
                assert read.status == 422
        async with stream(app, browser, "/log/events?level=info") as read:
            await read.until(lambda: bool(read.parts("/log/events?level=info")))
            assert "Your role (viewer) does not allow this." in read.parts("/log/events?level=info")[0]

    watched(world, do)


def test_one_user_has_some_at_most_and_they_end_with_the_program(world: World) -> None:
    browser = world.user("viewer")

    async def do(app: ASGIApp) -> None:
        async with AsyncExitStack() as held:
            first = [
                await held.enter_async_context(stream(app, browser, "/ring/live")) for _ in range(MOST_OF_ONE)
            ]
            for each in first:
                await each.until(lambda each=each: bool(each.parts("/ring/live")))  # type: ignore[misc]
            async with stream(app, browser, "/ring/live") as refused:
                await refused.ends()
                assert refused.status == 429
        async with stream(app, browser, "/ring/live") as read:
            await read.until(lambda: bool(read.parts("/ring/live")))
            world.site.lasting.end()
            assert b"event: ended" not in await read.ends()

    watched(world, do)


def test_the_page_is_loaded_anew_when_other_things_are_to_be_shown(world: World) -> None:
    browser = world.user("viewer")

    async def do(app: ASGIApp) -> None:
        async with stream(app, browser, "/firmware/live?shown=running") as read:
            await read.until(lambda: b"event: reload" in read.content)

    watched(world, do)


def test_an_open_dashboard_asks_for_captures_only_when_something_happens(world: World) -> None:
    browser = world.user("viewer")
    asked: list[str] = []
    passed_on = world.site.backend.ask

    async def counted(asker: Any, method: str, path: str, *rest: Any) -> Any:
        asked.append(path.partition("?")[0])
        return await passed_on(asker, method, path, *rest)

    world.site.backend.ask = counted  # type: ignore[method-assign, assignment]

    async def do(app: ASGIApp) -> None:
        async with stream(app, browser, *DASHBOARD) as read:
            await read.until(lambda: bool(read.parts("/dashboard/graph")))
            while asked.count("/status") < 4:
                await asyncio.sleep(0.01)
            assert asked.count("/jobs") == 1
            await asyncio.to_thread(world.device.call, "POST", "/trigger", {})
            await read.until(lambda: 'class="captures"' in read.parts("/dashboard/live")[-1])

    watched(world, do)
