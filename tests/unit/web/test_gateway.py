import asyncio
import base64
import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import unquote

import httpx
import pytest
from starlette.types import Message

from allegro.metrics import exposition
from allegro.web import gateway, lasting
from allegro.web.app import create_app
from allegro.web.backend import Backend
from tests.unit.web.world import PASSWORD, Browser, World


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.mark.spec("W1", "W6")
def test_programs_log_in_with_every_request(world: World) -> None:
    world.user("capture")
    (world.device.paths.storage / "a.pcapng").write_bytes(b"0123456789")
    program = Browser(world.app)
    mine = basic("the-capture", PASSWORD + "!")
    assert program.get("/api/status", mine).json()["name"] == "allegro-mm-3456"
    download = program.get("/api/files/a.pcapng", mine)
    assert (download.content, download.headers["Content-Length"]) == (b"0123456789", "10")
    assert "a.pcapng" in download.headers["Content-Disposition"]
    part = program.get("/api/files/a.pcapng", {**mine, "Range": "bytes=3-5"})
    assert (part.status_code, part.content) == (206, b"345")
    assert part.headers["Content-Range"] == "bytes 3-5/10"
    resumed = {**mine, "Range": "bytes=3-", "If-Range": download.headers["ETag"]}
    assert program.get("/api/files/a.pcapng", resumed).content == b"3456789"
    another = program.get("/api/files/a.pcapng", {**resumed, "If-Range": '"another"'})
    assert (another.status_code, another.content) == (200, b"0123456789")
    archive = program.get("/api/archive?name=a.pcapng", mine)
    assert archive.headers["Content-Disposition"] == 'attachment; filename="captures.zip"'
    assert zipfile.ZipFile(io.BytesIO(archive.content)).read("a.pcapng") == b"0123456789"
    assert program.send("POST", "/api/trigger", headers=mine).status_code == 202
    refused = program.send("PATCH", "/api/settings", headers=mine, content=b"{}")
    assert refused.status_code == 403
    assert "role admin" in refused.json()["error"]["message"]
    assert not program.cookies


@pytest.mark.spec("W6")
def test_a_request_whose_client_is_gone_does_not_wait_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "_SILENT_S", 0.05)
    world.user("admin")

    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        await asyncio.sleep(60)

    for path in ("firmware/files/a.raucb", "settings"):
        refused = Browser(world.app).send(
            "PUT", f"/api/{path}", headers=basic("the-admin", PASSWORD + "!"), content=half()
        )
        assert "did not arrive" in refused.json()["error"]["message"]
    (action,) = world.device.get("/status")["actions"]
    assert (action["name"], action["state"]) == ("firmware", "failed")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("the-viewer", "wrong"),
        basic("nobody", PASSWORD),
        {"Authorization": "Basic ???"},
        {"Authorization": "Basic " + base64.b64encode(b"no colon").decode()},
        {"Authorization": "Bearer x"},
    ],
)
def test_strangers_are_asked_for_name_and_password(world: World, headers: dict[str, str]) -> None:
    world.user("viewer")
    answer = Browser(world.app).get("/api/status", headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.json()["error"].keys() == {"message", "place", "remedy"}


def test_browsers_are_not_asked_in_a_window_of_their_own(world: World) -> None:
    answer = Browser(world.app).get("/api/status", {"Sec-Fetch-Mode": "cors"})
    assert answer.status_code == 401
    assert "WWW-Authenticate" not in answer.headers


def ask_raw(world: World, raw_path: bytes, headers: dict[str, str]) -> tuple[list[bytes], int]:
    """What the supervisor was asked for, and the status; the path as h11 takes it from a request's line."""
    asked: list[bytes] = []
    status = 0

    async def supervisor(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path)
        raise httpx.ConnectError("nobody is there")

    async def receive() -> Message:
        raise AssertionError("a look has no body")

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    made = replace(world.site, backend=Backend(httpx.MockTransport(supervisor)))
    app = create_app(made, world.users_file.parent / "built")
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(raw_path.decode()),
        "raw_path": raw_path,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("192.0.2.7", 1),
    }

    async def ask() -> None:
        await app(scope, receive, send)

    asyncio.run(ask())
    return asked, status


@pytest.mark.spec("S1")
def test_the_gateway_refuses_a_path_that_can_be_read_in_two_ways_before_it_asks_who_it_is(
    world: World,
) -> None:
    for path in (
        "x/%2e%2e/files/a.pcapng",
        "files%2Fa.pcapng",
        "files/%0Aa.pcapng",
        "/files/a.pcapng",
        "files/a.pcapng/",
    ):
        answer = Browser(world.app).get(f"/api/{path}")
        assert (answer.status_code, "dots" in answer.json()["error"]["message"]) == (400, True), path
    # What our own client takes for a fragment, and would not send on (RFC 3986, 3.5).
    world.user("admin")
    for raw in (b"/api/live#", b"/api/files/a.pcapng#x"):
        asked, status = ask_raw(world, raw, basic("the-admin", PASSWORD + "!"))
        assert (asked, status) == ([], 400), raw


def test_scripts_of_the_page_need_the_token_to_change_something(world: World) -> None:
    browser = world.user("admin")
    change = b'{"trigger": {"before_s": 90}}'
    assert browser.send("PATCH", "/api/settings", content=change).status_code == 403
    token = {"X-CSRF-Token": browser.csrf(), "Content-Type": "application/json"}
    assert browser.send("PATCH", "/api/settings", content=change, headers=token).status_code == 200
    assert world.device.settings.current.trigger.before_s == 90


def test_guesses_through_the_api_count_as_well(world: World) -> None:
    program = Browser(world.app)
    for _ in range(5):
        program.get("/api/status", basic("admin", "guess"))
    answer = program.get("/api/status", basic("admin", "allegro"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")


def test_the_users_name_reaches_the_log_and_cannot_be_forged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world.user("admin")
    forged = {**basic("the-admin", PASSWORD + "!"), "X-Allegro-User": "somebody-else"}
    Browser(world.app).send("POST", "/api/trigger", headers=forged)
    world.device.call("POST", "/trigger")
    world.device.call("POST", "/trigger", headers={"X-Allegro-User": "a\tb"})
    said = [record.message for record in caplog.records if record.name == "allegro.api.audit"]
    assert said == [
        f"{who}: POST /api/trigger: {status}"
        for who, status in (("the-admin", 202), ("root", 202), ("?", 403))
    ]


def test_a_request_that_is_too_large_is_refused(world: World) -> None:
    world.user("admin")
    headers = basic("the-admin", PASSWORD + "!")
    answer = Browser(world.app).send("PATCH", "/api/settings", headers=headers, content=b"x" * 2_000_000)
    assert answer.status_code == 413


@pytest.mark.spec("U2")
def test_firmware_of_any_size_passes_as_it_comes_and_only_from_administrators(world: World) -> None:
    large = b"x" * (3 << 20)
    for role in ("admin", "capture"):
        world.user(role)
    program = Browser(world.app)
    admin = basic("the-admin", PASSWORD + "!")
    answer = program.send("PUT", "/api/firmware/files/a.raucb", headers=admin, content=large)
    # This device has no slots, and says so; the size was no matter.
    assert (answer.status_code, "no slots" in answer.json()["error"]["message"]) == (503, True)
    other = basic("the-capture", PASSWORD + "!")
    assert program.send("PUT", "/api/firmware/files/a.raucb", headers=other, content=large).status_code == 403
    answer = program.send("PATCH", "/api/settings", headers=admin, content=large)
    assert answer.status_code == 413


@pytest.mark.spec("S3")
@pytest.mark.parametrize("length", ["3", "9"])
def test_a_request_that_says_its_length_in_two_ways_is_refused_before_anything_else(
    world: World, length: str
) -> None:
    both = {"Content-Length": length, "Transfer-Encoding": "chunked"}
    for method, path in (("PUT", "firmware/files/a.raucb"), ("POST", "trigger"), ("GET", "status")):
        answer = Browser(world.app).send(method, f"/api/{path}", headers=both, content=b"12345")
        assert (answer.status_code, answer.headers["Connection"]) == (400, "close"), path
        assert "in two ways" in answer.json()["error"]["message"]


@pytest.mark.spec("R6")
def test_metrics_are_where_programs_that_collect_them_look(world: World) -> None:
    world.user("viewer")
    _, token = world.site.tokens.add("prometheus", "viewer", None)
    mine = {"Authorization": f"Bearer {token}"}
    answer = Browser(world.app).get("/metrics", mine)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, exposition.CONTENT_TYPE)
    assert "allegro_uptime_seconds" in answer.text
    assert Browser(world.app).get("/api/metrics", mine).status_code == 200
    assert Browser(world.app).get("/metrics").status_code == 401
    assert Browser(world.app).send("POST", "/metrics", headers=mine).status_code == 405


@pytest.mark.spec("W5", "W6", "R8")
@pytest.mark.parametrize(
    ("path", "length"),
    [("/api/files/a.pcapng", {"Content-Length": "1000"}), ("/api/archive", {}), ("/api/live", {})],
)
def test_an_answer_that_breaks_off_is_never_taken_for_whole(
    world: World, path: str, length: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """As of a file whose disk is pulled meanwhile."""
    world.user("admin")

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (256 << 10)
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    def supervisor(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=length, content=broken())

    made = replace(world.site, backend=Backend(httpx.MockTransport(supervisor)))
    app = create_app(made, world.users_file.parent / "built")
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def ask() -> None:
        await app(asked_by_the_admin(path), receive, send)

    asyncio.run(ask())
    assert sent[0]["type"] == "http.response.start"
    assert len(sent) > 1
    assert all(message["more_body"] for message in sent[1:]), "no end: the connection is closed"
    assert f"broke off: {path}" in caplog.text


def asked_by_the_admin(path: str) -> dict[str, object]:
    """A request as the server hands it over (ASGI)."""
    login = basic("the-admin", PASSWORD + "!")["Authorization"]
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"device.local"), (b"authorization", login.encode())],
        "client": ("192.0.2.7", 1),
    }


class Endless(httpx.AsyncBaseTransport):
    """A supervisor whose answer goes on for ever."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.ended = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Type": self.kind}, content=self._parts())

    async def _parts(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"part"
                await asyncio.sleep(0)
        finally:
            self.ended = True


@pytest.mark.spec("R8", "S1")
@pytest.mark.parametrize(
    ("path", "kind"), [("/api/live", "application/x-pcapng"), ("/api/events/stream", "text/event-stream")]
)
def test_who_stops_reading_keeps_an_answer_without_end_no_longer_than_his_log_in(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str, kind: str
) -> None:
    monkeypatch.setattr(lasting, "LOOK_EVERY_S", 0.01)
    world.user("admin")
    supervisor = Endless(kind)
    app = create_app(replace(world.site, backend=Backend(supervisor)), world.users_file.parent / "built")

    async def ask() -> None:
        stuck = asyncio.Event()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                stuck.set()
                await asyncio.Event().wait()

        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        async def answer() -> None:
            await app(asked_by_the_admin(path), receive, send)

        async with asyncio.TaskGroup() as group:
            answering = group.create_task(answer())
            await stuck.wait()
            await asyncio.sleep(0.05)
            assert not answering.done(), "it waits for its reader"
            world.site.users.delete("the-admin")

    asyncio.run(ask())
    assert supervisor.ended
