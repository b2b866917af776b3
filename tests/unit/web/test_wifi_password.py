"""The first page of a new device: the admin's own password, and one of its own for the WiFi."""

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from markupsafe import Markup

from allegro.errors import Unavailable
from allegro.joining import wifi as to_join
from allegro.settings.wifi import AccessPoint, Wifi, wpa_password
from allegro.web import qr, wifi_password
from allegro.web.backend import Asker, Backend
from tests.unit.web.world import PASSWORD, Browser, World

pytestmark = pytest.mark.spec("S6", "W1")
SHOWN = re.compile(r'<code class="key" id="wifi-password">([^<]+)</code>')


def test_a_thousand_devices_have_a_thousand_passwords() -> None:
    made = {wifi_password.made() for _ in range(1000)}
    assert len(made) == 1000
    for each in made:
        assert re.fullmatch(r"([bdfghjklmnprstvz][aeiou]){2}(-([bdfghjklmnprstvz][aeiou]){2}){5}", each)
        assert wpa_password(each) == each


def test_it_is_worth_64_bits_and_more() -> None:
    assert 75 < wifi_password.ENTROPY_BITS < 76
    letters = "".join(wifi_password.made().replace("-", "") for _ in range(1000))
    assert set(letters[::2]) == set("bdfghjklmnprstvz")
    assert set(letters[1::2]) == set("aeiou")


def test_a_code_for_phones() -> None:
    assert to_join("allegro-mm-3456", "bafu-kilo") == "WIFI:T:WPA;S:allegro-mm-3456;P:bafu-kilo;;"
    assert to_join("a;b", 'x\\y,z:"') == 'WIFI:T:WPA;S:a\\;b;P:x\\\\y\\,z\\:\\";;'


def test_the_code_obeys_the_policy_of_the_page() -> None:
    """No style, no script, nothing from elsewhere (allegro.web.headers)."""
    code = qr.svg(to_join("<b>&", "bafu-kilo-mena-sotu-rivu-gape"))
    assert isinstance(code, Markup)
    root = ET.fromstring(code)
    assert root.tag == "svg"
    names = {name for element in root.iter() for name in element.attrib}
    assert names <= {"viewBox", "class", "transform", "fill", "stroke", "d"}
    assert {element.tag for element in root.iter()} <= {"svg", "g", "path"}


def first_page(world: World) -> Browser:
    browser = Browser(world.app)
    browser.log_in("admin", "allegro")
    return browser


def present(world: World) -> str:
    return world.device.settings.current.wifi.access_point.password


def test_the_first_page_shows_one_which_is_then_in_force(world: World) -> None:
    browser = first_page(world)
    found = SHOWN.search(browser.page("/password"))
    assert found
    made = found[1]
    assert SHOWN.findall(browser.page("/password")) == [made], "looking again changes nothing"
    assert 'aria-label="QR code to join the WiFi network allegro-mm-3456"' in browser.page("/password")
    wrong = browser.post("/password", password="short", again="short")
    assert SHOWN.findall(wrong.text) == [made]
    assert present(world) == "Allegro-MM"
    assert browser.post("/password", password=PASSWORD, again=PASSWORD).headers["location"] == "/setup"
    assert present(world) == made
    page = browser.page("/")
    assert "Your new password is saved." in page
    assert "The WiFi has its new password" in page
    assert '<a href="/password/wifi">' in page
    assert SHOWN.findall(browser.page("/password/wifi")) == [made]
    other = Browser(world.app)
    other.log_in("admin", PASSWORD)
    world.device.wifi.settings = world.device.settings.current
    assert made not in other.page("/password/wifi")
    assert "has a password of its own" in other.page("/password/wifi")


def test_two_browsers_are_offered_two(world: World) -> None:
    pages = [first_page(world).page("/password") for _ in range(2)]
    assert SHOWN.findall(pages[0]) != SHOWN.findall(pages[1])


def test_another_one_can_be_typed(world: World) -> None:
    browser = first_page(world)
    browser.page("/password")
    for typed, said in (
        ("kurz", "This is not a WiFi password"),
        ("Allegro-MM", "Everybody can guess this password."),
        ("********", "Everybody can guess this password."),
    ):
        answer = browser.post("/password", password=PASSWORD, again=PASSWORD, wifi=typed)
        assert said in answer.text
        assert 'id="wifi-error"' in answer.text
    assert present(world) == "Allegro-MM"
    browser.post("/password", password=PASSWORD, again=PASSWORD, wifi="typed by hand")
    assert present(world) == "typed by hand"
    assert SHOWN.findall(browser.page("/password/wifi")) == ["typed by hand"]


def test_one_that_is_typed_is_not_kept_by_the_browser(world: World) -> None:
    for page in (first_page(world).page("/password"), world.user("admin").page("/password/wifi")):
        (field,) = re.findall(r'<input [^>]*name="wifi"[^>]*>', page)
        assert " data-secret" in field


def test_a_password_that_nobody_was_shown_is_not_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor did not answer yet when the form was made."""
    browser = first_page(world)

    async def silent(*_: object, **__: object) -> None:
        raise Unavailable("The device did not answer in time.")

    monkeypatch.setattr(Backend, "ask", silent)
    form = {"csrf": browser.csrf(), "password": PASSWORD, "again": PASSWORD}
    monkeypatch.undo()
    assert browser.send("POST", "/password", data=form).headers["location"] == "/setup"
    assert present(world) == "Allegro-MM"


def test_a_device_with_its_own_password_is_left_alone(world: World) -> None:
    world.device.settings.change({"wifi": {"access_point": {"password": "set long ago"}}})
    world.device.wifi.settings = world.device.settings.current
    browser = first_page(world)
    page = browser.page("/password")
    assert "Choose your own password" in page
    assert not SHOWN.search(page)
    browser.post("/password", password=PASSWORD, again=PASSWORD, wifi="ignored one")
    assert present(world) == "set long ago"


def test_only_an_administrator_gets_it(world: World) -> None:
    world.site.users.add("anna", "capture", "long enough")
    browser = Browser(world.app)
    browser.log_in("anna", "long enough")
    assert not SHOWN.search(browser.page("/password"))
    browser.post("/password", password="her own one", again="her own one")
    assert present(world) == "Allegro-MM"
    assert browser.get("/password/wifi").status_code == 403


def test_somebody_was_faster(world: World) -> None:
    browser = first_page(world)
    browser.page("/password")
    world.device.wifi.settings = world.device.wifi.settings.model_copy(
        update={"wifi": Wifi(access_point=AccessPoint(password="of another admin"))}
    )
    browser.post("/password", password=PASSWORD, again=PASSWORD)
    page = browser.page("/")
    assert "The WiFi has its new password" not in page
    assert "has got another password meanwhile" in page
    assert not SHOWN.search(browser.page("/password/wifi"))


def test_the_own_password_does_not_wait_for_a_supervisor_that_is_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = first_page(world)
    browser.page("/password")

    async def refused(*_: object, **__: object) -> None:
        raise Unavailable("The device did not answer in time.")

    monkeypatch.setattr(Backend, "ask", refused)
    assert browser.post("/password", password=PASSWORD, again=PASSWORD).headers["location"] == "/setup"
    monkeypatch.undo()
    page = browser.page("/")
    assert "The new password of the WiFi was not saved. The device did not answer in time." in page
    assert "The WiFi has its new password" not in page
    assert "still has its first password" in browser.page("/password/wifi"), "it is offered again"
    assert world.site.users.verified("admin", PASSWORD)


def test_it_is_offered_later_too_as_long_as_the_first_one_holds(world: World) -> None:
    """Who had no WiFi adapter at the first log-in, or a supervisor that did not answer yet."""
    browser = world.user("admin")
    assert '<a href="/password/wifi">' in browser.page("/")
    (made,) = SHOWN.findall(browser.page("/password/wifi"))
    browser.post("/password", old=f"{PASSWORD}!", password="another own one", again="another own one")
    assert present(world) == "Allegro-MM", "that form showed nothing of the WiFi"
    wrong = browser.post("/password/wifi", wifi="kurz")
    assert wrong.status_code == 422
    assert 'id="wifi-error"' in wrong.text
    assert SHOWN.findall(wrong.text) == [made]
    browser.post("/password/wifi", wifi="")
    assert present(world) == made
    page = browser.page("/password/wifi")
    assert SHOWN.findall(page) == [made]
    assert "The WiFi has its new password" in page
    assert world.user("capture").get("/password/wifi").status_code == 403


def test_the_code_names_the_network_that_is_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's name may have changed since the page started, and the network have a name of its own."""
    real = Backend.ask

    async def ask(self: Backend, asker: Asker, method: str, path: str, *more: Any) -> Any:
        answer = await real(self, asker, method, path, *more)
        return {**answer, **wifi} if path == "/wifi" else answer

    monkeypatch.setattr(Backend, "ask", ask)
    browser = world.user("admin")
    wifi = {"mode": "access-point", "ssid": "Sent now"}
    assert "to join the WiFi network Sent now" in browser.page("/password/wifi")
    assert "WPA3 comes back by itself" in browser.page("/password/wifi")
    wifi = {"mode": "off", "ssid": ""}
    assert "The network is not there at the moment" in browser.page("/password/wifi")
