"""What the page tells the list of events, and that nobody waits for it."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect

from allegro.web.backend import Backend
from allegro.web.neighbourhood import readable
from allegro.web.reports import MOST_WAITING, Reports
from tests.unit.web.test_uploaded_certificate import KEY, of
from tests.unit.web.world import PASSWORD, Browser, World

pytestmark = pytest.mark.spec("S7")

Line = tuple[str, str, str, str, int]


def lines(world: World) -> list[Line]:
    """Oldest first."""
    asyncio.run(world.site.reports.send())
    events = world.device.get("/events")["events"][::-1]
    return [(each["kind"], each["who"], each["source"], each["text"], each["count"]) for each in events]


def test_log_ins_are_in_the_list(world: World) -> None:
    admin = world.user("admin")
    stranger = Browser(world.app, "2001:db8::7")
    stranger.log_in("the-admin", "guessed")
    stranger.log_in("the-admin", "guessed again")
    stranger.log_in("my secret in the wrong field", "x")
    admin.post("/logout")
    assert lines(world) == [
        ("login", "the-admin", "192.0.2.1", "Logged in to the page", 1),
        ("login-failed", "the-admin", "2001:db8::/64", "Wrong password", 2),
        ("login-failed", "", "2001:db8::/64", "Unknown user name", 1),
        ("logout", "the-admin", "192.0.2.1", "Logged out of the page", 1),
    ]


def test_accounts_are_in_the_list_from_page_and_api_alike(world: World) -> None:
    admin = world.user("admin")
    admin.post("/users", name="anna", role="viewer", password="long enough")
    admin.post("/users/role", name="anna", role="capture")
    admin.post("/users/password", name="anna", password="given again")
    admin.post("/users/delete", name="anna")
    given = base64.b64encode(f"the-admin:{PASSWORD}!".encode()).decode()
    program = {"Authorization": f"Basic {given}", "X-Allegro-From": "forged", "X-Allegro-User": "forged"}
    body = b'{"name": "probe", "role": "viewer"}'
    for _ in range(2):
        headers = {**program, "Content-Type": "application/json"}
        assert Browser(world.app).send("POST", "/api/tokens", headers=headers, content=body).status_code
    found = [(kind, text) for kind, _, _, text, _ in lines(world)]
    assert found == [
        ("login", "Logged in to the page"),
        ("user", "Added anna (viewer)"),
        ("user", "Gave anna the role capture"),
        ("password", "Set a new password for anna"),
        ("user", "Deleted anna"),
        ("login", "Logged in by a program"),
        ("token", "Made the token probe (viewer)"),
    ]
    assert {(who, source) for _, who, source, _, _ in lines(world)} == {("the-admin", "192.0.2.1")}


def test_tokens_and_certificate_are_in_the_list_in_the_same_words_from_page_and_api(world: World) -> None:
    admin = world.user("admin")
    headers = {"X-CSRF-Token": admin.csrf(), "Content-Type": "application/json"}

    def told() -> list[tuple[str, str]]:
        return [(kind, text) for kind, _, _, text, _ in lines(world)[1:]]

    admin.post("/administration/certificate", pem=of(KEY))
    admin.post("/administration/certificate/own")
    admin.post("/users/tokens", name="probe", role="viewer", days="30")
    admin.post("/users/tokens/delete", name=world.site.tokens.all()[0].id)
    by_page = told()
    content = json.dumps({"pem": of(KEY)}).encode()
    assert admin.send("PUT", "/api/certificate", headers=headers, content=content).status_code == 200
    assert admin.send("DELETE", "/api/certificate", headers=headers).status_code == 200
    content = b'{"name": "other", "role": "viewer"}'
    token = admin.send("POST", "/api/tokens", headers=headers, content=content).json()
    assert admin.send("DELETE", f"/api/tokens/{token['id']}", headers=headers).status_code == 204
    assert by_page == [
        ("certificate", "Uploaded a certificate for the page"),
        ("certificate", "Went back to the device's own certificate"),
        ("token", "Made the token probe (viewer)"),
        ("token", "Deleted the token probe"),
    ]
    by_both = Counter(by_page) + Counter((kind, text.replace("probe", "other")) for kind, text in by_page)
    found = Counter({(kind, text): count for kind, _, _, text, count in lines(world)[1:]})
    assert found == by_both


def test_what_goes_to_the_supervisor_names_user_and_address(world: World) -> None:
    admin = world.user("admin")
    admin.send("POST", "/api/trigger", headers={"X-CSRF-Token": admin.csrf(), "X-Allegro-From": "forged"})
    assert ("press", "the-admin", "192.0.2.1", "Pressed by page or program", 1) in lines(world)


def test_no_user_writes_the_list(world: World) -> None:
    admin = world.user("admin")
    headers = {
        "X-CSRF-Token": admin.csrf(),
        "X-Allegro-User": "program:web",
        "Content-Type": "application/json",
    }
    content = b'{"events": [{"kind": "login", "text": "forged"}]}'
    assert admin.send("POST", "/api/events", headers=headers, content=content).status_code == 403
    assert "forged" not in str(lines(world))


def test_the_log_page_shows_the_list_to_administrators_only(world: World) -> None:
    admin, viewer = world.user("admin"), world.user("viewer")
    for number in range(30):
        world.site.reports.note("user", f"Deleted <{number:02}>", who=f"by{number}", source="192.0.2.1")
    asyncio.run(world.site.reports.send())
    page = admin.page("/log")
    assert "by29 from 192.0.2.1" in page
    assert "Deleted <29>" in page
    assert "Deleted <29>" not in admin.get("/log").text, "text is no markup"
    assert "Deleted <00>" not in page
    assert "Deleted <00>" in admin.page("/log?before=7")
    assert "Deleted <29>" in admin.page("/log?before=nonsense")
    assert "Who did what" not in viewer.page("/log")
    assert viewer.get("/api/events").status_code == 403


def reports(answer: Any) -> Reports:
    return Reports(Backend(httpx.MockTransport(answer)))


def test_what_is_not_taken_waits_and_is_told() -> None:
    sent: list[bytes] = []
    works = False

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return httpx.Response(204 if works else 503)

    made = reports(answer)
    made.failed("admin", "192.0.2.1")
    asyncio.run(made.send())
    assert "Log-ins are not in the list of events" in made.problem
    made.failed("admin", "192.0.2.1")
    works = True
    asyncio.run(made.send())
    assert made.problem == ""
    assert b'"count":2' in sent[-1]
    asyncio.run(made.send())
    assert len(sent) == 2, "nothing is left to tell"


def test_a_flood_waits_in_few_lines() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(204)

    made = reports(answer)
    for number in range(100_000):
        made.failed("admin", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    asyncio.run(made.send())
    assert sent[0].content.count(b'"kind"') == MOST_WAITING + 1
    assert f'"count":{100_000 - MOST_WAITING}'.encode() in sent[0].content


def test_a_post_that_breaks_off_writes_no_traceback(world: World, caplog: pytest.LogCaptureFixture) -> None:
    admin = world.user("admin")
    headers = {"X-CSRF-Token": admin.csrf(), "Content-Type": "application/x-www-form-urlencoded"}

    async def breaking() -> AsyncIterator[bytes]:
        yield b"name=ad"
        raise ClientDisconnect

    for path in ("/login", "/users", "/api/trigger", "/api/users", "/api/settings"):
        admin.send("POST", path, headers=headers, content=breaking())
    assert "Traceback" not in caplog.text
    assert all(len(record.getMessage()) < 300 for record in caplog.records)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("several sources", "several sources"),
    ],
)
def test_addresses_are_shown_as_people_write_them(address: str, shown: str) -> None:
    assert readable(address) == shown
