"""The page Notifications: its form with three ways, what each says, a test."""

import asyncio

import pytest

from allegro.notify.notice_queue import NoticeQueue
from tests.harness.receivers import WebServer
from tests.unit.web.world import Browser, World

pytestmark = pytest.mark.spec("X7", "W2")


def webhook(port: int) -> dict[str, str]:
    return {
        "notifications.webhook.enabled": "on",
        "notifications.webhook.form": "slack",
        "notifications.webhook.url": f"http://localhost:{port}/services/T0/secret",
        "notifications.webhook.tell.problems": "on",
    }


def test_the_form_is_saved_and_shows_no_secret(world: World) -> None:
    browser = world.user("admin")
    mail = {
        "notifications.mail.server": "mail.example",
        "notifications.mail.password": "geheim",
        "notifications.mail.username": "meter",
        "notifications.mail.recipients": "anna@example.org, ben@example.org",
    }
    assert browser.post("/notifications", None, **webhook(9), **mail).status_code == 303
    saved = world.device.settings.current.notifications
    assert saved.webhook.url == "http://localhost:9/services/T0/secret"
    assert (saved.webhook.tell.problems, saved.webhook.tell.captures) == (True, False)
    assert saved.mail.recipients == ("anna@example.org", "ben@example.org")
    page = browser.page("/notifications")
    assert "to <strong>localhost:9</strong>" in page
    assert "geheim" not in page
    assert "T0/secret" not in page


def test_a_mistake_is_shown_at_its_field(world: World) -> None:
    browser = world.user("admin")
    answer = browser.post("/notifications", None, **{"notifications.mail.enabled": "on"})
    assert answer.status_code == 422
    for words in ("A mail server is needed", "A sender is needed", "A recipient is needed"):
        assert words in answer.text


def test_a_test_shows_what_the_server_says(world: World) -> None:
    browser = world.user("admin")
    with WebServer() as server:
        assert browser.post("/notifications", None, **webhook(server.port)).status_code == 303
        answer = browser.post("/notifications/test", {"HX-Request": "true"}, way="webhook")
        assert "The web server has taken the message: HTTP 200 ok." in answer.text
        assert "This is a test: notifications arrive here." in server.calls[0].body["text"]
        server.answer = (404, {}, "no_service at /services/T0/secret")
        answer = browser.post("/notifications/test", {"HX-Request": "true"}, way="webhook")
    assert "The web server does not take the message: HTTP 404 no_service at /********." in answer.text
    assert browser.post("/notifications/test", {"HX-Request": "true"}, way="pigeon").status_code == 200


@pytest.mark.parametrize("role", ["viewer", "capture"])
def test_only_administrators_send_tests(world: World, role: str) -> None:
    browser = world.user(role)  # type: ignore[arg-type]
    assert "Send a test" not in browser.page("/notifications")
    browser.post("/notifications/test", None, way="mail")
    assert f"Your role ({role}) does not allow this." in browser.page("/notifications")


@pytest.mark.spec("S7")
def test_log_ins_and_changes_are_told_to_whom_it_is_ticked_for_and_no_secret_with_them(world: World) -> None:
    browser = world.user("admin")
    syslog = {
        "notifications.syslog.enabled": "on",
        "notifications.syslog.server": "log.example",
        "notifications.syslog.tell.access": "on",
        "notifications.syslog.tell.changes": "on",
    }
    assert browser.post("/notifications", None, **syslog).status_code == 303
    page = browser.page("/notifications")
    assert "Who logged in or out, failed to log in, or downloaded packets" in page
    stranger = Browser(world.app, "192.0.2.66")
    assert stranger.log_in("the-admin", "my other password").status_code == 401
    assert stranger.log_in("geheim-in-the-wrong-field", "x").status_code == 401
    asyncio.run(world.site.reports.send())
    mail = {"notifications.mail.username": "meter", "notifications.mail.password": "geheim"}
    assert browser.post("/notifications", None, **syslog, **mail).status_code == 303
    assert world.device.notifier is not None
    world.device.notifier.take_in()
    waiting = NoticeQueue(world.device.paths.notifications).due("syslog", 2**62)
    assert [(each.kind, each.text) for each in waiting[1:]] == [
        ("login", "Logged in to the page (the-admin, 192.0.2.1)."),
        ("login-failed", "Wrong password (the-admin, 192.0.2.66)."),
        ("login-failed", "Unknown user name (192.0.2.66)."),
        (
            "settings",
            "Changed notifications.mail.username, notifications.mail.password (the-admin, 192.0.2.1).",
        ),
    ]
    assert waiting[0].text.startswith("Changed notifications.")
