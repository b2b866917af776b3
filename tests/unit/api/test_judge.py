"""Roles and routes, complete: what the description names is what is judged, for every spelling of a path."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from fastapi import APIRouter
from starlette.types import Message

from allegro.accounts.roles import ROLES, Role, includes
from allegro.api.asker import OWNER, ROLE_HEADER, USER_HEADER
from allegro.api.described import Api
from allegro.api.judge import requires
from allegro.api.targets import ACCOUNTS, is_regular
from tests.unit.api.bench import Bench, as_root, make_bench

NEED_CAPTURE = {
    ("GET", "/api/files/{name}"),
    ("PATCH", "/api/files/{name}"),
    ("DELETE", "/api/files/{name}"),
    ("GET", "/api/archive"),
    ("GET", "/api/live"),
    ("GET", "/api/packets"),
    ("GET", "/api/packets/{number}"),
    ("GET", "/api/packets/{number}/stream"),
    ("POST", "/api/trigger"),
    ("POST", "/api/jobs/{job_id}/cancel"),
    ("POST", "/api/jobs/{job_id}/rows/{number}/cancel"),
    ("POST", "/api/export/now"),
}
"""Everything else that looks is a viewer's, everything else that changes something an administrator's."""

NEED_ADMIN = {
    ("GET", "/api/events"),
    ("GET", "/api/events/stream"),
    ("GET", "/api/configuration/history"),
    ("GET", "/api/support"),
}
"""Who did and changed what is nobody's business but an administrator's."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    (made.paths.storage / "a.pcapng").write_bytes(b"packets of others")
    yield made
    made.jobs.close()


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One for all tests that show that it does nothing."""
    made = make_bench(tmp_path_factory.mktemp("untouched"))
    (made.paths.storage / "a.pcapng").write_bytes(b"packets of others")
    yield made
    made.jobs.close()


def raw(
    bench: Bench, method: str, path: bytes, headers: Mapping[str, str], *, owner: bool = False
) -> tuple[int, bytes]:
    """One request as a server gives it to the app: no client has put its path in order before."""
    sent: list[Message] = []

    body: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not body:
            await asyncio.Event().wait()  # the client stays
        return body.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": _decoded(path),
        "raw_path": path,
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": None,
        "server": None,
        "state": {OWNER: owner},
    }

    async def request() -> None:
        await bench.app(scope, receive, send)

    asyncio.run(request())
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def _decoded(path: bytes) -> str:
    return unquote(path.decode())


def by(role: str) -> dict[str, str]:
    return {USER_HEADER: "vera", ROLE_HEADER: role}


def operations(bench: Bench) -> dict[tuple[str, str], Any]:
    paths: dict[str, dict[str, Any]] = bench.get("/openapi.json")["paths"]
    return {
        (method.upper(), path): operation
        for path, methods in paths.items()
        for method, operation in methods.items()
        if path.split("/")[2] not in ACCOUNTS  # the page's program answers these, and its tests ask them
    }


def needed(method: str, path: str) -> Role:
    if (method, path) in NEED_CAPTURE:
        return "capture"
    if (method, path) in NEED_ADMIN:
        return "admin"
    return "viewer" if method == "GET" else "admin"


@pytest.mark.spec("W1")
def test_what_a_route_does_not_know_is_refused_and_not_passed_over(untouched: Bench) -> None:
    """`filer=…` would give all packets of everybody, and `serach=…` all files."""
    for method, path in operations(untouched):
        target = re.sub(r"{[a-z_]+}", "1", path).removeprefix("/api")
        if method == "GET" and target != "/openapi.json":
            refused = untouched.refused(422, "GET", f"{target}?filer=ip")
            assert (refused["place"], refused["message"]) == ("filer", "There is no such field."), path
    assert "filter, seconds, bytes" in untouched.refused(422, "GET", "/live?filer=ip")["remedy"]


@pytest.mark.spec("S1", "W1")
def test_each_role_may_use_what_the_description_says_and_nothing_else(bench: Bench) -> None:
    described = operations(bench)
    assert set(described) >= NEED_CAPTURE
    judged = 0
    for (method, path), operation in described.items():
        assert [scopes for each in operation["security"] for scopes in each.values()] == [
            [needed(method, path)] for _ in operation["security"]
        ], (method, path)
        target = path.replace("{name}", "a.pcapng").replace("{job_id}", "7").replace("{number}", "1").encode()
        for spelled in ("GET", "HEAD") if method == "GET" else (method,):
            for role in ROLES:
                status, _ = raw(bench, spelled, target, by(role))
                assert (status == 403) != includes(role, needed(method, path)), (spelled, path, role, status)
                judged += 1
    assert judged >= 3 * len(described)
    assert bench.power == [], "no request had a body that says what to do"


@pytest.mark.spec("S1")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {USER_HEADER: "vera"},
        {USER_HEADER: "vera", ROLE_HEADER: ""},
        {USER_HEADER: "vera", ROLE_HEADER: "Admin"},
        {USER_HEADER: "vera", ROLE_HEADER: "root"},
    ],
)
def test_who_nobody_vouches_for_may_do_nothing(untouched: Bench, headers: dict[str, str]) -> None:
    for method, path in operations(untouched):
        target = path.replace("{name}", "a.pcapng").replace("{job_id}", "7").replace("{number}", "1").encode()
        assert raw(untouched, method, target, headers)[0] == 403, (method, path)


@pytest.mark.spec("S1")
def test_root_on_the_device_needs_no_headers_but_is_held_to_those_it_sends(bench: Bench) -> None:
    assert raw(bench, "GET", b"/api/files/a.pcapng", {}, owner=True)[0] == 200
    assert raw(bench, "GET", b"/api/files/a.pcapng", by("viewer"), owner=True)[0] == 403
    assert raw(bench, "GET", b"/api/status", {USER_HEADER: "vera"}, owner=True)[0] == 403


@pytest.mark.spec("S1")
@pytest.mark.parametrize(
    "path",
    [
        "/api/./files/a.pcapng",
        "/api/x/../files/a.pcapng",
        "/api/x/%2e%2e/files/a.pcapng",
        "/api/x/%2E./files/a.pcapng",
        "/api/%2e/files/a.pcapng",
        "/api//files/a.pcapng",
        "//api/files/a.pcapng",
        "/api/ring/..//files/a.pcapng",
        "/api/files%2Fa.pcapng",
        "/api/files%5Ca.pcapng",
        "/api/files/a.pcapng/",
        "/api/files/a.pcapng%00",
        "/api/files/%0Aa.pcapng",
        "/api/files/a.pcapng%7F",
        "/api/files/a.pcapng#x",
        "/api/live#",
        "api/files/a.pcapng",
        "",
    ],
)
def test_paths_that_can_be_read_in_two_ways_are_refused_before_anything_else(
    untouched: Bench, path: str
) -> None:
    for headers, owner in ((by("viewer"), False), (by("admin"), False), ({}, True)):
        status, content = raw(untouched, "GET", path.encode(), headers, owner=owner)
        assert status == 400, path
        assert b"packets" not in content


@pytest.mark.spec("S1")
def test_another_spelling_of_the_same_path_is_judged_the_same(bench: Bench) -> None:
    assert is_regular(b"/api/%66iles/a.pcapng")
    assert is_regular(b"/api/files/a%23.pcapng")
    status, content = raw(bench, "GET", b"/api/%66iles/a.pcapng", by("viewer"))
    assert (status, b"packets" in content) == (403, False)
    assert raw(bench, "GET", b"/api/%66iles/a.pcapng", by("capture")) == (200, b"packets of others")


@pytest.mark.spec("W6")
def test_head_answers_like_get_without_the_body(bench: Bench) -> None:
    for path in ("/files/a.pcapng", "/status", "/openapi.json"):
        got, looked = bench.call("GET", path), bench.call("HEAD", path)
        assert (looked.status_code, looked.content) == (200, b""), path
        assert looked.headers["content-type"] == got.headers["content-type"]
    assert bench.call("HEAD", "/files/a.pcapng").headers["content-length"] == str(len(b"packets of others"))
    assert bench.call("HEAD", "/files/b.pcapng").status_code == 404
    assert bench.call("HEAD", "/power").status_code == 405


@pytest.mark.spec("S1")
def test_a_route_that_names_no_role_does_not_start() -> None:
    unnamed = APIRouter()

    @unnamed.get("/new")
    def new() -> None: ...

    with pytest.raises(TypeError, match="does not say which role it needs"):
        Api("1.2.3").add(unnamed)

    twice = APIRouter(dependencies=[requires("viewer")])

    @twice.get("/new", dependencies=[requires("admin")])
    def other() -> None: ...

    with pytest.raises(TypeError, match="does not say which role it needs"):
        Api("1.2.3").add(twice)


@pytest.mark.spec("S1")
def test_a_noun_made_later_is_judged_the_same_way() -> None:
    unnamed = APIRouter(prefix="/api")

    @unnamed.get("/new")
    def new() -> None: ...

    api = Api("1.2.3")
    api.later(lambda: unnamed, "new")
    with pytest.raises(TypeError, match="does not say which role it needs"):
        api.openapi()


@pytest.mark.spec("S1")
def test_a_route_that_no_request_would_find_is_not_taken() -> None:
    elsewhere = APIRouter(prefix="/api", dependencies=[requires("viewer")])

    @elsewhere.get("/other/{one}")
    def other(one: str) -> None: ...

    api = Api("1.2.3")
    api.later(lambda: elsewhere, "new", "newer")
    with pytest.raises(TypeError, match=r"/api/other/\{one\} is not below new, newer"):
        api.openapi()


@pytest.mark.spec("I3")
def test_the_routes_of_a_noun_are_made_when_it_is_asked_for_first() -> None:
    made: list[str] = []

    def noun(name: str) -> APIRouter:
        made.append(name)
        router = APIRouter(prefix="/api")

        @router.get(f"/{name}/{{one}}", dependencies=[requires("viewer")])
        def get(one: str) -> str:
            return one

        return router

    api = Api("1.2.3")
    for name in ("second", "first", "third"):
        api.later(partial(noun, name), name)
    assert made == []

    def ask(path: str) -> int:
        async def request() -> int:
            transport = httpx.ASGITransport(as_root(api))
            async with httpx.AsyncClient(transport=transport, base_url="http://device") as client:
                return (await client.get(path)).status_code

        return asyncio.run(request())

    asked = ("first/1", "first/2", "first", "fir/1", "")
    assert [ask(f"/api/{path}") for path in asked] == [200, 200, 404, 404, 404]
    assert made == ["first"]
    assert list(api.openapi()["paths"]) == [f"/api/{name}/{{one}}" for name in ("first", "second", "third")]
    assert sorted(made) == ["first", "second", "third"]
