"""Which answers are compressed, for whom."""

import re

import httpx
import pytest
from starlette.requests import Request

from allegro.web.packing import takes_packed
from allegro.web.pages import PAGES
from tests.unit.web.world import Browser, World

pytestmark = pytest.mark.spec("W14", "S3")

NEVER = {"/packets"}
"""Strangers' packets stand there beside those of others."""


def is_packed(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("content-encoding") == "gzip")


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.8", True),
        ("br", False),
        ("", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("x-gzip-not", False),
    ],
)
def test_the_client_says_whether_it_can_unpack(header: str, takes: bool) -> None:
    scope = {"type": "http", "headers": [(b"accept-encoding", header.encode())]}
    assert takes_packed(Request(scope)) is takes


def test_pages_are_small_on_their_way_for_who_can_unpack(world: World) -> None:
    browser = world.user("admin")
    for page in PAGES:
        answer = browser.get(page.path, {"Accept-Encoding": "gzip"})
        assert is_packed(answer) is (page.path not in NEVER), page.path
        plain = browser.get(page.path, {"Accept-Encoding": ""})
        assert not is_packed(plain)
        if page.path not in NEVER:
            assert int(answer.headers["content-length"]) < int(plain.headers["content-length"]) / 2
        assert "</html>" in answer.text


def test_what_holds_a_secret_or_is_the_apis_is_never_compressed(world: World) -> None:
    """Its length would tell of it (BREACH)."""
    browser = world.user("admin")
    asked = {"csrf": browser.csrf(), "name": "prometheus", "role": "viewer", "days": "30"}
    made = browser.send("POST", "/users/tokens", data=asked)
    assert made.status_code == 200
    looked = [
        browser.get(path) for path in ("/password", "/password/wifi", "/api/settings", "/api/openapi.json")
    ]
    for answer in (made, *looked):
        assert answer.status_code == 200, answer.url
        assert not is_packed(answer), answer.url


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/export", {"export.password": "a secret", "export.port": "many"}),
        ("/notifications", {"notifications.mail.password": "a secret", "notifications.mail.port": "many"}),
    ],
)
def test_a_form_with_mistakes_is_not_compressed_as_what_was_typed_may_be_secret(
    world: World, path: str, fields: dict[str, str]
) -> None:
    refused = world.user("admin").post(path, {"Accept-Encoding": "gzip"}, **fields)
    assert refused.status_code == 422
    assert "a secret" in refused.text
    assert not is_packed(refused)


def test_the_token_in_a_page_is_another_text_each_time(world: World) -> None:
    browser = world.user("admin")
    shown = [set(re.findall(r'name="csrf" value="(\w+)"', browser.page("/storage"))) for _ in range(2)]
    assert [len(each) for each in shown] == [1, 1], "one text in one page, or it would not be small"
    assert shown[0] != shown[1]


def test_who_is_not_logged_in_gets_the_log_in_page(world: World) -> None:
    assert "</html>" in Browser(world.app).get("/login").text
