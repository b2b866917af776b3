"""The page as people use it: slowly connected, in two tabs, back and forth, clicking twice."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from allegro.trigger.press import Press
from allegro.trigger.windows import Span
from allegro.web import device_readiness, live_parts
from tests.harness.browser import WAIT_MS, assert_accessible
from tests.host.conftest import Site
from tests.unit.capture.blocks import NS
from tests.unit.capture.devices import Device
from tests.unit.capture.rings import RUN, Ring
from tests.unit.web.world import PASSWORD

pytestmark = [pytest.mark.timeout(240), pytest.mark.spec("W3", "W13", "W14")]

FIRST_LOAD = 150_000
"""Bytes, all that a browser fetches that has never been here."""

SLOW = {"offline": False, "latency": 300, "downloadThroughput": 50_000, "uploadThroughput": 20_000}
"""Milliseconds and bytes a second: a phone at the edge of its network."""


@contextmanager
def counted(page: Page) -> Iterator[list[int]]:
    """Bytes that come over the network for each answer, headers included."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda done: sizes.append(int(done["encodedDataLength"])))
    yield sizes
    session.detach()


def test_the_first_load_is_small(site: Site, chromium: Browser) -> None:
    """Log-in and the dashboard, which is the page with most scripts."""
    context = chromium.new_context(ignore_https_errors=True, base_url=site.url)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    with counted(page) as sizes:
        page.goto("/login")
        page.get_by_label("User name").fill("anna")
        page.get_by_label("Password").fill(PASSWORD + "!")
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#graph canvas")).to_be_visible()
    context.close()
    assert len(sizes) > 8, "scripts and styles are counted"
    assert sum(sizes) <= FIRST_LOAD


def test_a_slow_network_shows_what_goes_on_and_a_double_click_is_one_press(site: Site, anna: Page) -> None:
    session = anna.context.new_cdp_session(anna)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW)
    anna.goto("/")
    press = anna.get_by_role("button", name="Press now")
    anna.wait_for_function("typeof htmx !== 'undefined'")
    press.dblclick()
    expect(anna.locator("#press-result")).to_contain_text("Accepted.")
    expect(press).to_be_enabled()
    assert len(site.world.device.jobs.recent(9)) == 1
    session.send("Network.emulateNetworkConditions", {**SLOW, "offline": True})
    press.click()
    expect(anna.locator("#press-result").get_by_role("alert")).to_contain_text("The device did not answer")
    expect(press).to_be_enabled()
    session.send("Network.emulateNetworkConditions", SLOW)
    anna.route("**/press", lambda route: route.fulfill(status=503))
    press.click()
    alert = anna.locator("#press-result").get_by_role("alert")
    expect(alert).to_contain_text("The device answered that something went wrong")
    anna.goto("/storage")
    expect(anna.get_by_role("heading", name="Storage", exact=True)).to_be_visible()


def test_a_second_click_on_what_is_on_its_way_does_nothing_and_it_can_be_sent_again_later(
    site: Site, anna: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go, came = threading.Event(), threading.Semaphore(0)
    passed_on = site.world.site.backend.ask

    async def asked(asker: Any, method: str, path: str, *rest: Any) -> Any:
        if method in ("POST", "PATCH") and path != "/events":  # the log-in is told by itself, at times now
            came.release()
            while not let_go.is_set():
                await asyncio.sleep(0.05)
        return await passed_on(asker, method, path, *rest)

    def click_twice(name: str, message: str) -> None:
        """By the mouse, as Playwright's own click waits for what the first one has begun."""
        let_go.clear()
        button = anna.get_by_role("button", name=name, exact=True).first
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box
        at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        anna.mouse.click(*at)
        try:
            assert came.acquire(timeout=WAIT_MS / 1000)
            anna.mouse.click(*at)
            anna.wait_for_timeout(500)
        finally:
            let_go.set()
        expect(anna.locator("#content > .message")).to_have_text([re.compile(message)])
        assert not came.acquire(blocking=False)

    monkeypatch.setattr(site.world.site.backend, "ask", asked)
    anna.goto("/capture")
    click_twice("Capture", "^Accepted")
    assert len(site.world.device.jobs.recent(9)) == 1
    click_twice("Capture", "^Accepted")
    assert len(site.world.device.jobs.recent(9)) == 2
    anna.goto("/trigger")
    anna.get_by_label("Before the press").fill("33")
    click_twice("Save", "^Saved")
    anna.goto("/configuration")
    for _ in range(2):  # the page stays
        with anna.expect_download():
            anna.get_by_role("button", name="Export").click()


@pytest.mark.spec("W3")
def test_a_part_that_hangs_says_so_and_the_others_go_on(
    site: Site, anna: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()
    passed_on = site.world.site.backend.ask

    async def asked(asker: Any, method: str, path: str, *rest: Any) -> Any:
        while hangs.is_set() and path == "/network":
            await asyncio.sleep(0.05)
        return await passed_on(asker, method, path, *rest)

    monkeypatch.setattr(site.world.site.backend, "ask", asked)
    monkeypatch.setattr(live_parts, "LATE_S", 0.5)
    monkeypatch.setattr(device_readiness, "ANSWER_S", 600.0)
    monkeypatch.setattr(device_readiness, "KEPT_S", 0.0)
    site.world.site.readiness.forget()
    note = anna.locator(".late")
    anna.goto("/")
    expect(anna.locator("#graph canvas")).to_be_visible()
    expect(note).to_have_count(0)
    hangs.set()
    expect(note).to_contain_text("Not known since")
    assert_accessible(anna)
    now_ns = time.time_ns()
    site.world.device.jobs.accept([Press(now_ns, "presenter", "next", "R400")], Span(1, 0), now_ns=now_ns)
    expect(anna.locator("#live .captures > li")).to_have_count(1)
    hangs.clear()
    expect(note).to_have_count(0)


def test_back_and_reload_do_nothing_twice_and_show_what_holds_now(site: Site, anna: Page) -> None:
    settings = site.world.device.settings
    anna.goto("/trigger")
    anna.get_by_label("Before the press").fill("42")
    anna.get_by_role("button", name="Save", exact=True).click()
    expect(anna.locator(".message.good")).to_contain_text("Saved.")
    anna.reload()
    expect(anna.locator(".message.good")).to_have_count(0)
    assert settings.current.trigger.before_s == 42
    anna.goto("/storage")
    settings.change({"trigger": {"before_s": 43}})
    anna.go_back()
    expect(anna.get_by_label("Before the press")).to_have_value("43")
    anna.go_forward()
    expect(anna.get_by_role("heading", name="Storage", exact=True)).to_be_visible()


def test_of_two_tabs_the_older_one_puts_nothing_back(site: Site, anna: Page) -> None:
    other = anna.context.new_page()
    for each in (anna, other):
        each.goto("/trigger")
    anna.get_by_label("Before the press").fill("42")
    other.get_by_label("After the press").fill("7")
    anna.get_by_role("button", name="Save", exact=True).click()
    expect(anna.locator(".message.good")).to_contain_text("Saved.")
    other.get_by_role("button", name="Save", exact=True).click()
    expect(other.get_by_text(re.compile("Somebody else has changed these settings"))).to_be_visible()
    expect(other.get_by_label("Before the press")).to_have_value("42")
    expect(other.get_by_label("After the press")).to_have_value("7")
    other.get_by_role("button", name="Save", exact=True).click()
    expect(other.locator(".message.good")).to_contain_text("Saved.")
    trigger = site.world.device.settings.current.trigger
    assert (trigger.before_s, trigger.after_s) == (42, 7)


@pytest.mark.spec("W4", "W8")
def test_the_time_line_is_used_with_fingers_and_with_keys(site: Site, anna: Page) -> None:
    recorded = Device(Ring(site.world.device.paths.ring))
    recorded.start(RUN - NS)
    recorded.pass_time(NS)
    recorded.record(20)
    recorded.step(3600 * NS + 123_456_789)
    recorded.record(20)
    anna.goto("/capture")
    words = anna.locator("#timeline-words")
    expect(words).to_contain_text("the clock was set forward by 3600.123 s.")
    whole = words.inner_text()
    picture = anna.locator("#timeline .u-over").bounding_box()
    assert picture
    session = anna.context.new_cdp_session(anna)
    fields = [anna.get_by_label(name, exact=True) for name in ("From", "To")]

    def touch(kind: str, *places: float) -> None:
        y = picture["y"] + picture["height"] / 2
        points = [
            {"x": picture["x"] + picture["width"] * place, "y": y, "id": number}
            for number, place in enumerate(places)
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def shown() -> list[str]:
        return [field.input_value() for field in fields]

    before = shown()
    touch("touchStart", 0.4)
    touch("touchMove", 0.6)
    touch("touchMove", 0.8)
    touch("touchEnd")
    assert shown() != before
    assert shown()[0] < shown()[1]

    anna.locator("#timeline").focus()
    before = shown()
    anna.keyboard.press("ArrowLeft")
    moved = shown()
    assert (moved[0] < before[0], moved[1] < before[1]) == (True, True)
    anna.keyboard.press("Shift+ArrowRight")
    assert (shown()[0] == moved[0], shown()[1] > moved[1]) == (True, True)
    chosen = " to ".join(shown()).replace("T", " ")
    expect(anna.locator("#timeline-part")).to_have_text(f"Chosen: {chosen}")
    for browsers in ("Control+ArrowLeft", "Meta+ArrowRight", "Alt+Home"):
        anna.keyboard.press(browsers)
    assert " to ".join(shown()).replace("T", " ") == chosen
    expect(words).to_have_text(whole)

    touch("touchStart", 0.4, 0.6)
    touch("touchMove", 0.3, 0.7)
    touch("touchMove", 0.1, 0.9)
    touch("touchEnd")
    expect(words).not_to_have_text(whole)
    anna.keyboard.press("Home")
    expect(words).to_have_text(whole)
