"""Ports, temporary address, BMC, clock and confirmation in a real browser, with hardware that is made up."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from allegro.web.local_time import local_of
from allegro.words import utc
from tests.harness.browser import DESKTOP, PHONE, SMALL_PHONE, assert_accessible
from tests.harness.waiting import PATIENCE
from tests.host.conftest import Site
from tests.host.test_web_page import photograph
from tests.unit.api.bench import LINKED_PORTS, MANAGEMENT_PORT
from tests.unit.web.playing_bmc import PlayingBmc

pytestmark = [pytest.mark.timeout(240), pytest.mark.spec("W6", "W8")]


@pytest.fixture
def page(site: Site, anna: Page) -> Page:
    site.world.device.ports = [MANAGEMENT_PORT, *LINKED_PORTS]
    site.world.device.claim = None
    site.world.device.add_bmc(PlayingBmc())
    return anna


def error_at(page: Page, name: str) -> str:
    """The mistake that is shown at an input."""
    wrong = page.locator(f"[name='{name}']")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    described = (wrong.get_attribute("aria-describedby") or "").split()
    return page.locator(f"#{described[-1]}").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_fit(site: Site, page: Page, scheme: str) -> None:
    site.world.device.remaining_s = 86.0
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for path in ("/links", "/management", "/time"):
        page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
        page.goto(path)
        for size, viewport in {"desktop": DESKTOP, "phone": PHONE}.items():
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            photograph(page, f"network{path.replace('/', '-')}-{size}-{scheme}.png")
            assert_accessible(page)
        page.set_viewport_size(SMALL_PHONE)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALL_PHONE["width"], path


@pytest.mark.spec("L2")
def test_ports_are_swapped_and_a_mistake_is_shown_at_its_port(site: Site, page: Page) -> None:
    page.goto("/links")
    expect(page.locator("#ports li").nth(1)).to_contain_text("linked with port2")
    page.get_by_label("port1 becomes").select_option("port2")
    page.get_by_role("button", name="Change the assignment").click()
    assert "Two ports would be port2." in error_at(page, "ports.port1")
    expect(page.get_by_label("port1 becomes")).to_be_focused()
    assert_accessible(page)
    assert site.world.device.asked == []
    page.get_by_label("port2 becomes").select_option("port1")
    page.get_by_role("button", name="Change the assignment").click()
    expect(page.locator(".message.good")).to_contain_text("The ports have their new names.")
    assert site.world.device.asked == [{"port1": "port2", "port2": "port1"}]


@pytest.mark.spec("L3")
def test_while_a_light_blinks_no_other_one_is_asked_for(site: Site, page: Page) -> None:
    page.goto("/links")
    held: list[Route] = []
    page.route("**/links/blink", lambda route: held.append(route))
    one, other = (page.get_by_role("button", name=f"Blink port{number}") for number in (1, 2))
    one.click()
    for button in (one, other):
        expect(button).to_be_disabled()
    held[0].continue_()
    for button in (one, other):
        expect(button).to_be_enabled()
    assert site.world.device.asked == [("port1", 5)]


@pytest.mark.spec("L1")
def test_a_line_is_cut_only_after_a_question(site: Site, page: Page) -> None:
    page.goto("/links")
    page.locator("[name='links.mode']").select_option("sink")
    page.get_by_role("button", name="Save", exact=True).click()
    asked = page.get_by_role("alert").filter(has_text="Cut the line between port1 and port2")
    cancel = asked.get_by_role("link", name="Cancel")
    expect(cancel).to_be_focused()
    assert_accessible(page)
    cancel.click()
    expect(page.locator("[name='links.mode']")).to_have_value("bridge")
    page.locator("[name='links.mode']").select_option("sink")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Yes, save it").click()
    expect(page.locator(".message.good")).to_contain_text("Saved.")
    assert site.world.device.settings.current.links.mode == "sink"


@pytest.mark.spec("N3")
def test_a_temporary_address_is_taken_and_given_back(page: Page) -> None:
    page.goto("/management")
    page.get_by_label("With DHCP server").check()
    page.get_by_role("button", name="Get a temporary address").click()
    expect(page.locator("#temporary")).to_contain_text("192.168.77.2/24 until power-off, with DHCP server")
    page.get_by_role("button", name="Give it back").click()
    expect(page.locator(".message.good")).to_contain_text("The temporary address is given back.")
    expect(page.get_by_label("With DHCP server")).not_to_be_checked()


@pytest.mark.spec("N6")
def test_the_bmc_gets_an_address_and_a_mistake_is_shown_at_its_field(page: Page) -> None:
    page.goto("/management")
    page.locator("[name='bmc.source']").select_option("static")
    page.locator("[name='bmc.address']").fill("192.0.2.255/24")
    page.get_by_role("button", name="Apply to BMC").click()
    assert "is not the address of one device" in error_at(page, "bmc.address")
    assert_accessible(page)
    page.locator("[name='bmc.address']").fill("192.0.2.30/24")
    page.get_by_role("button", name="Apply to BMC").click()
    expect(page.locator(".message.good")).to_contain_text("The BMC has its new address.")
    bmc = page.get_by_role("region", name="BMC")
    expect(bmc.locator("dd").first).to_have_text("192.0.2.30/24")
    expect(page.locator("[name='bmc.address']")).to_have_value("192.0.2.30/24")


@pytest.mark.spec("N5")
def test_a_change_that_waits_is_seen_first_and_confirmed(site: Site, page: Page) -> None:
    site.world.device.remaining_s = 86.0
    page.goto("/storage")
    left = page.locator("[data-seconds-left]")
    expect(left).to_contain_text("taken back in")
    expect(left).not_to_contain_text("86")
    page.goto("/management")
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.locator(".message.good")).to_contain_text("Confirmed: the changed settings stay.")
    assert site.world.device.asked == ["confirm"]


@pytest.mark.spec("N5")
def test_a_change_that_nobody_confirmed_in_time_is_no_longer_asked_about(site: Site, page: Page) -> None:
    site.world.device.remaining_s = 3.0
    page.goto("/storage")
    left = page.locator("[data-seconds-left]")
    expect(left).to_contain_text("The time is over")
    expect(page.get_by_role("button", name="Confirm", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Take back", exact=True)).to_have_count(0)
    assert site.world.device.asked == []


@pytest.mark.spec("N5")
def test_a_changed_address_is_answered_with_a_link_and_the_seconds_left(site: Site, page: Page) -> None:
    page.goto("/management")
    page.get_by_label("Address", exact=True).first.select_option("static")
    page.get_by_label("Static address", exact=True).first.fill("192.0.2.20/24")
    site.world.device.remaining_s = 118.0
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#new-pages a").first).to_have_attribute("href", "https://192.0.2.20/")
    left = page.locator("[data-seconds-left]").last
    expect(left).to_contain_text("taken back in")
    expect(left).not_to_contain_text("118")
    assert_accessible(page)


@pytest.mark.spec("N7")
def test_time_zones_can_be_chosen_and_the_clock_goes_on(page: Page) -> None:
    page.goto("/time")
    zone = page.get_by_label("Time zone")
    assert page.locator(f"#{zone.get_attribute('list')} option").count() > 300
    utc = page.locator("#live dd", has_text="UTC").last
    shown = utc.inner_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", shown)
    expect(utc).not_to_have_text(shown, timeout=30_000 * PATIENCE)


@pytest.mark.spec("W15")
def test_a_browser_in_another_zone_shows_the_devices_times(site: Site, page: Page) -> None:
    browser = page.context.new_cdp_session(page)
    browser.send("Emulation.setTimezoneOverride", {"timezoneId": "America/New_York"})
    site.world.device.settings.change({"time": {"zone": "Asia/Kolkata"}})
    site.world.clock.now += 60
    page.goto("/ring")
    shown = page.locator("#live time").first
    moment = shown.get_attribute("datetime")
    assert moment
    expect(shown).to_have_text(f"{local_of(moment, 'Asia/Kolkata').replace('T', ' ')} IST")
    zoned = "{ timeStyle: 'long', timeZone: 'America/New_York' }"
    there = page.evaluate(f"utc => new Date(utc).toLocaleTimeString(undefined, {zoned})", moment)
    expect(shown).to_have_attribute("title", re.compile(re.escape(there) + "$"))


@pytest.mark.spec("W4", "W15")
def test_an_hour_that_comes_twice_is_asked_for_while_one_types(site: Site, page: Page) -> None:
    site.world.device.settings.change({"time": {"zone": "Europe/Berlin"}})
    page.goto("/capture")
    expect(page.locator("#timeline-words")).not_to_be_empty()
    start, which = page.get_by_label("From", exact=True), page.locator("#start-which")
    expect(which).to_be_hidden()
    start.fill("2026-10-25T02:30:00")
    start.blur()
    expect(which).to_be_visible()
    page.get_by_label("To", exact=True).fill("2026-10-25T03:00:00")
    page.get_by_role("button", name="Capture", exact=True).click()
    expect(page.locator("#start-error")).to_contain_text("This time comes twice in Europe/Berlin")
    assert_accessible(page)
    which.select_option("1")
    page.get_by_role("button", name="Capture", exact=True).click()
    expect(page.locator(".message.good")).to_contain_text("Accepted.")
    (job,) = site.world.device.jobs.recent(9)
    assert utc(job.start_ns).startswith("2026-10-25T01:30:00")
