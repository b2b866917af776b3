"""What was typed before a log-in had ended, and what of it is there again afterwards: a real browser."""

import pytest
from playwright.sync_api import Page, expect

from allegro.web.sessions import IDLE_S
from tests.host.conftest import Site
from tests.unit.web.world import PASSWORD

pytestmark = [pytest.mark.timeout(240), pytest.mark.spec("W3")]


def log_in(page: Page) -> None:
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD + "!")
    page.get_by_role("button", name="Log in").click()


def kept(page: Page) -> str:
    return str(page.evaluate("JSON.stringify(sessionStorage)"))


def test_only_what_was_typed_is_put_back_and_others_changes_stay(site: Site, anna: Page) -> None:
    settings = site.world.device.settings
    settings.change({"export": {"host": "before.example"}})
    anna.goto("/export")
    anna.locator("[name='export.username']").fill("me")
    anna.locator("[name='export.password']").fill("geheim")
    settings.change({"export": {"host": "after.example"}})
    site.world.clock.now += 2 * IDLE_S
    anna.get_by_role("link", name="Log in again").click()
    assert "geheim" not in kept(anna)
    log_in(anna)
    expect(anna.locator("#typed-again")).to_be_visible()
    expect(anna.locator("[name='export.username']")).to_have_value("me")
    expect(anna.locator("[name='export.host']")).to_have_value("after.example")
    expect(anna.locator("[name='export.password']")).not_to_have_value("geheim")


def test_what_was_typed_comes_to_the_same_capture_though_a_newer_one_stands_before_it(
    site: Site, anna: Page
) -> None:
    storage = site.world.device.paths.storage
    (storage / "first.pcapng").write_bytes(b"1")
    anna.goto("/storage")
    anna.get_by_label("Select first.pcapng").check()
    anna.locator("summary", has_text="Change").click()
    anna.locator("[name=new_name]").fill("mine.pcapng")
    (storage / "second.pcapng").write_bytes(b"2")
    site.world.clock.now += 2 * IDLE_S
    anna.locator("[name=new_name]").press("Enter")
    log_in(anna)
    expect(anna.get_by_label("Select first.pcapng")).to_be_checked()
    expect(anna.get_by_label("Select second.pcapng")).not_to_be_checked()
    names = anna.locator("[name=new_name]")
    assert sorted(names.nth(at).input_value() for at in range(2)) == ["mine.pcapng", "second.pcapng"]


def test_what_was_typed_outlives_a_picture_that_asks_for_the_log_in(site: Site, anna: Page) -> None:
    anna.goto("/capture")
    expect(anna.locator("#timeline-words")).to_contain_text("The ring holds no packets yet.")
    anna.get_by_label("Note").fill("where it began")
    site.world.clock.now += 2 * IDLE_S
    anna.get_by_role("button", name="Whole ring").click()
    log_in(anna)
    expect(anna.locator("#typed-again")).to_be_visible()
    expect(anna.get_by_label("Note")).to_have_value("where it began")


def test_a_key_is_not_kept_and_a_log_out_forgets_what_was_sent(site: Site, anna: Page) -> None:
    anna.wait_for_load_state()  # a press without scripts loads the page anew
    anna.get_by_label("Filter").fill("port == 80")
    anna.get_by_role("button", name="Press now").click()
    expect(anna.locator("#press-result")).to_contain_text("Accepted.")
    anna.locator("details.account summary").click()
    anna.get_by_role("button", name="Log out").click()
    log_in(anna)
    expect(anna.get_by_role("heading", name="Dashboard")).to_be_visible()
    expect(anna.locator("#typed-again")).to_have_count(0)
    anna.goto("/administration")
    anna.locator("#upload-certificate").click()
    anna.locator("#pem").fill("of a PRIVATE key")
    site.world.clock.now += 2 * IDLE_S
    anna.get_by_role("button", name="Use this certificate").click()
    expect(anna.get_by_role("heading", name="Log in")).to_be_visible()
    assert "PRIVATE" not in kept(anna)
