"""The WiFi part of the page in a real browser, with an adapter that is made up."""

import pytest
from playwright.sync_api import Page, Route, expect

from allegro.network.wifi_scan import FoundNetwork, Station
from allegro.settings.wifi import Client, Wifi
from tests.harness.browser import DESKTOP, PHONE, assert_accessible
from tests.host.conftest import Site
from tests.host.test_web_page import photograph

pytestmark = [pytest.mark.timeout(240), pytest.mark.spec("N2", "W8")]
NETWORKS = [
    FoundNetwork("Büro", "02:00:00:00:01:00", -41.0, 2412, 1, "wpa2"),
    FoundNetwork("A name of thirty-two characters!", "02:00:00:00:01:01", -67.0, 5180, 36, "wpa2-wpa3"),
    FoundNetwork("Guests", "02:00:00:00:01:02", -80.0, 2462, 11, "open"),
    FoundNetwork("Company", "02:00:00:00:01:03", -82.0, 2462, 11, "enterprise"),
]
STATIONS = [
    Station("02:00:00:00:02:00", -48.0, 725, 120_000, 4_000_000, "Annas-Telefon", "192.168.78.117"),
    Station("02:00:00:00:02:01", None, 3, 100, 200),
]


@pytest.fixture
def page(site: Site, anna: Page) -> Page:
    wifi = site.world.device.wifi
    wifi.settings = site.world.device.settings.current
    wifi.system.heard = NETWORKS
    wifi.system.present = STATIONS
    wifi.care.refresh()
    anna.goto("/management")
    expect(anna.get_by_role("heading", name="WiFi", exact=True)).to_be_visible()
    return anna


def test_state_and_who_is_in_the_network(site: Site, page: Page) -> None:
    live = page.locator("#live")
    expect(live).to_contain_text("allegro-mm-3456")
    expect(live).to_contain_text("channel 6 (2.4 GHz), WPA2 and WPA3")
    expect(live).to_contain_text("Annas-Telefon")
    expect(live).to_contain_text("no address yet")
    site.world.device.wifi.system.present = []
    expect(live).to_contain_text("Nobody is in this network.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_scan_is_accessible_and_fits(page: Page, size: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size(PHONE if size == "phone" else DESKTOP)  # type: ignore[arg-type]
    page.get_by_role("button", name="Look for networks").click()
    expect(page.locator("#networks li")).to_have_count(len(NETWORKS))
    expect(page.locator("#networks li").nth(3)).to_contain_text("company login")
    expect(page.locator("#networks li").nth(3).locator("summary")).to_have_count(0)
    page.locator("#network-2").click()
    photograph(page, f"wifi-{size}-{scheme}.png")
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("window.innerWidth")


def test_a_network_is_chosen_and_joined(site: Site, page: Page) -> None:
    page.get_by_role("button", name="Look for networks").click()
    page.locator("#network-1").click()
    page.get_by_label("Password of Büro").fill("short")
    page.get_by_role("button", name="Join Büro").click()
    expect(page.locator(".message.error").first).to_contain_text("8 to 63")
    assert site.world.device.settings.current.wifi.mode == "access-point"
    page.get_by_role("button", name="Look for networks").click()
    page.locator("#network-1").click()
    page.get_by_label("Password of Büro").fill("correct horse")
    page.get_by_role("button", name="Join Büro").click()
    expect(page.locator(".message.good")).to_contain_text("The device joins Büro.")
    wifi = site.world.device.settings.current.wifi
    assert (wifi.mode, wifi.client) == ("client", Client(ssid="Büro", password="correct horse"))
    site.world.device.wifi.system.up = False
    site.world.device.wifi.system.refused = True
    site.world.device.wifi.set(wifi)
    expect(page.locator("#live")).to_contain_text("Most likely the password is wrong.")


def test_the_old_list_is_not_in_reach_while_the_adapter_listens(page: Page) -> None:
    scan = page.get_by_role("button", name="Look for networks")
    scan.click()
    expect(page.locator("#network-1")).to_be_visible()
    held: list[Route] = []
    page.route("**/management/wifi/scan", lambda route: held.append(route))
    scan.click()
    expect(page.get_by_text("Listening …")).to_be_visible()
    expect(page.locator("#networks")).to_be_hidden()
    held[0].continue_()
    expect(page.locator("#network-1")).to_be_visible()


def test_a_scan_that_fails_is_told_in_place(site: Site, page: Page) -> None:
    site.world.device.wifi.system.found = []
    site.world.device.wifi.refreshed()
    page.get_by_role("button", name="Look for networks").click()
    expect(page.locator("#networks")).to_contain_text("There is no WiFi adapter.")


def test_the_form_is_saved_and_each_mistake_is_shown_at_its_field(site: Site, page: Page) -> None:
    page.locator("[name='wifi.access_point.ssid']").fill("ü" * 17)
    page.get_by_role("button", name="Apply to WiFi").click()
    expect(
        page.locator("#field-wifi-access_point-ssid-error, #field-wifi-access-point-ssid-error")
    ).to_contain_text("34 bytes long")
    assert_accessible(page)
    page.locator("[name='wifi.access_point.ssid']").fill("Messwagen")
    page.locator("[name='wifi.country']").select_option("DE")
    page.locator("[name='wifi.access_point.channel']").fill("52")
    page.get_by_role("button", name="Apply to WiFi").click()
    expect(page.get_by_role("alert").first).to_contain_text("no channel of the band 2.4 GHz")
    page.locator("[name='wifi.access_point.channel']").fill("11")
    page.locator("[name='wifi.access_point.password']").fill("a better one")
    page.get_by_role("button", name="Apply to WiFi").click()
    expect(page.locator(".message.good")).to_contain_text("Saved.")
    wifi: Wifi = site.world.device.settings.current.wifi
    assert (wifi.country, wifi.access_point.ssid, wifi.access_point.channel) == ("DE", "Messwagen", 11)
    assert wifi.access_point.password == "a better one"
    assert site.world.device.settings.current.management.mode == "dhcp"
    expect(page.locator("[name='wifi.access_point.password']")).to_have_value("********")
