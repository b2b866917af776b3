"""A password that is replaced while an old one is still being looked at: the old one opens nothing."""

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx
import pytest

from allegro.accounts import passwords
from allegro.accounts.users import User
from allegro.web.app import create_app
from allegro.web.backend import Backend
from tests.unit.web.world import PASSWORD, Browser, World

NAME, OLD, GIVEN, OWN = "the-viewer", PASSWORD + "!", "given by another", "chosen by the viewer"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{NAME}:{OLD}".encode()).decode()}

Change = Callable[[World], None]


def reset(world: World) -> None:
    """What the page and the API do for an administrator."""
    world.site.users.change(NAME, password=GIVEN)
    world.site.sessions.end_all_of(NAME)


def delete(world: World) -> None:
    world.site.users.delete(NAME)
    world.site.sessions.end_all_of(NAME)


def while_it_is_compared(world: World, monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    real = passwords.matches

    def matches(password: str, kept: str) -> bool:
        right = real(password, kept)
        monkeypatch.setattr(passwords, "matches", real)
        change(world)
        return right

    monkeypatch.setattr(passwords, "matches", matches)


def when_it_was_compared(world: World, monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    real = world.site.users.verified

    def verified(name: str, password: str) -> User | None:
        monkeypatch.setattr(world.site.users, "verified", real)
        user = real(name, password)
        change(world)
        return user

    monkeypatch.setattr(world.site.users, "verified", verified)


MOMENTS = pytest.mark.parametrize("moment", [while_it_is_compared, when_it_was_compared])
Moment = Callable[[World, pytest.MonkeyPatch, Change], None]


@pytest.mark.spec("S1", "W1")
@MOMENTS
@pytest.mark.parametrize("change", [reset, delete])
def test_a_log_in_with_the_old_password_that_is_under_way_opens_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: Moment, change: Change
) -> None:
    world.user("viewer")
    moment(world, monkeypatch, change)
    browser = Browser(world.app)
    answer = browser.log_in(NAME, OLD)
    assert (answer.status_code, "User name or password is wrong." in answer.text) == (401, True)
    assert not browser.cookies
    taken = browser.send("POST", "/password", data={"password": OWN, "again": OWN})
    assert taken.headers["location"].startswith("/login")
    assert world.site.users.verified(NAME, OWN) is None


@pytest.mark.spec("S1", "W1")
@pytest.mark.parametrize("change", [reset, delete])
def test_a_program_that_sends_the_old_password_meanwhile_is_not_let_in(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    world.user("viewer")
    while_it_is_compared(world, monkeypatch, change)
    assert Browser(world.app).get("/api/status", BASIC).status_code == 401


@pytest.mark.spec("S1", "W1")
@MOMENTS
def test_an_own_new_password_does_not_replace_one_that_was_given_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: Moment
) -> None:
    browser = world.user("viewer")
    csrf = browser.csrf()
    moment(world, monkeypatch, reset)
    form = {"csrf": csrf, "old": OLD, "password": OWN, "again": OWN}
    assert browser.send("POST", "/password", data=form).status_code in (409, 422)
    assert world.site.users.verified(NAME, OWN) is None
    assert world.site.users.verified(NAME, GIVEN)
    assert browser.get("/").headers["location"] == "/login"


@pytest.mark.spec("S1", "W1")
def test_who_is_asked_for_a_new_password_does_not_replace_one_that_was_given_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.site.users.add(NAME, "viewer", PASSWORD)
    browser = Browser(world.app)
    assert browser.log_in(NAME, PASSWORD).headers["location"] == "/password"
    csrf = browser.csrf()
    while_it_is_compared(world, monkeypatch, reset)
    answer = browser.send("POST", "/password", data={"csrf": csrf, "password": OWN, "again": OWN})
    assert (answer.status_code, "another password meanwhile" in answer.text) == (409, True)
    assert world.site.users.verified(NAME, GIVEN)


@pytest.mark.spec("S1", "W1")
def test_a_log_in_has_the_role_that_was_given_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user("viewer")
    while_it_is_compared(world, monkeypatch, lambda world: world.site.users.change(NAME, role="capture"))
    user = world.site.users.verified(NAME, OLD)
    assert user is not None
    assert user.role == "capture"


class Slow(httpx.AsyncBaseTransport):
    """A supervisor that takes its time; meanwhile `change` happens. Then it has much to tell."""

    def __init__(self, change: Callable[[], None]) -> None:
        self._change = change

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._change()
        return httpx.Response(200, headers={"Content-Type": "text/plain"}, content=self._parts())

    async def _parts(self) -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"packets"


@pytest.mark.spec("R8", "S1")
@pytest.mark.parametrize("change", [reset, delete])
def test_an_answer_without_end_is_of_who_was_let_in_also_when_it_begins_late(
    world: World, change: Change
) -> None:
    world.user("viewer")
    made = replace(world.site, backend=Backend(Slow(lambda: change(world))))
    answer = Browser(create_app(made, world.users_file.parent / "built")).get("/api/live", BASIC)
    assert answer.content == b""
