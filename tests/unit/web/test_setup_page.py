import re
import time

import pytest

from allegro.errors import Unavailable
from allegro.system.set_up import SetUp
from allegro.trigger.beep import SoundCard
from allegro.trigger.learning import Heard, Learning
from allegro.trigger.press import Press
from allegro.trigger.windows import Span
from allegro.web.backend import Backend
from tests.unit.api.bench import LINKED_PORTS
from tests.unit.web.world import PASSWORD, Browser, World

pytestmark = pytest.mark.spec("W11")


def new_device(world: World) -> Browser:
    """A browser that has just chosen its own password."""
    browser = Browser(world.app)
    browser.log_in("admin", "allegro")
    assert browser.post("/password", password=PASSWORD, again=PASSWORD).headers["location"] == "/setup"
    browser.page("/setup")
    return browser


def at(world: World) -> str:
    return str(world.device.get("/setup")["step"])


def step(page: str) -> str:
    """The heading of the step that is shown."""
    found = re.search(r'<h2 id="step-title">([^<]+)', page)
    return found[1] if found else ""


def test_it_is_offered_at_the_first_login_and_taken_up_where_it_was_left(world: World) -> None:
    browser = Browser(world.app)
    browser.log_in("admin", "allegro")
    assert re.search(r'aria-current="step">1\.\s+Passwords', browser.page("/password"))
    browser.post("/password", password=PASSWORD, again=PASSWORD)
    page = browser.page("/setup")
    assert step(page) == "Clock and time zone"
    assert re.search(r'aria-current="step">2\.\s+Clock', page)
    assert browser.post("/setup", step="links").headers["location"] == "/setup"
    assert "The set-up of this device is not finished." in browser.page("/")
    again = Browser(world.app)
    assert again.log_in("admin", PASSWORD).headers["location"] == "/"
    assert step(again.page("/setup")) == "Links"
    assert again.post("/setup", step="finished").headers["location"] == "/"
    assert "is not finished" not in again.page("/")
    assert at(world) == "finished"


def test_a_device_that_has_been_set_up_before_is_not_bothered(world: World) -> None:
    admin = world.user("admin")
    assert at(world) == "not-begun"
    assert "set-up of this device" not in admin.page("/")
    assert 'href="/setup"' in admin.page("/administration")
    assert step(admin.page("/setup")) == "Clock and time zone"
    assert at(world) == "not-begun", "a look is none"
    world.site.users.add("bert", "admin", PASSWORD)
    bert = Browser(world.app)
    bert.log_in("bert", PASSWORD)
    assert "Passwords" not in bert.page("/password")
    assert bert.post("/password", password=PASSWORD + "!", again=PASSWORD + "!").headers["location"] == "/"


@pytest.mark.parametrize("role", ["viewer", "capture"])
def test_others_are_neither_offered_nor_reminded_of_it(world: World, role: str) -> None:
    new_device(world)
    browser = world.user(role)  # type: ignore[arg-type]
    assert "/setup" not in browser.page("/")
    assert "/setup" not in browser.page("/administration")
    assert browser.get("/setup").status_code == 403
    browser.post("/setup", step="finished")
    assert at(world) == "clock"


def test_it_is_offered_however_slow_the_device_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(world.app)
    browser.log_in("admin", "allegro")
    form = {"csrf": browser.csrf(), "password": PASSWORD, "again": PASSWORD}

    async def silent(*_: object, **__: object) -> None:
        raise Unavailable("The device did not answer in time.")

    with monkeypatch.context() as patched:
        patched.setattr(Backend, "ask", silent)
        assert browser.send("POST", "/password", data=form).headers["location"] == "/setup"
        assert "The device did not answer in time." in browser.get("/setup").text
    assert at(world) == "not-begun"
    assert "The set-up of this device is not finished." in browser.page("/"), "noted by the first look"
    assert at(world) == "clock"


def test_what_cannot_be_noted_is_shown_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise Unavailable("How far the set-up is could not be kept: No space left on device.")

    monkeypatch.setattr(SetUp, "go", full)
    browser = new_device(world)
    assert step(browser.page("/setup")) == "Clock and time zone"
    browser.post("/setup", step="links")
    assert "could not be kept: No space left" in browser.page("/setup")
    monkeypatch.undo()
    browser.post("/setup", step="links")
    assert step(browser.page("/setup")) == "Links", "it is not begun once more"


def test_a_step_that_does_not_exist_changes_nothing(world: World) -> None:
    browser = new_device(world)
    browser.post("/setup", step="colours")
    assert "There is no such step." in browser.page("/setup")
    assert at(world) == "clock"


def test_time_and_zone_come_from_the_browser(world: World) -> None:
    world.device.clock_is_kept = False
    browser = new_device(world)
    assert "Take time and zone of this browser" in browser.page("/setup")
    browser.post("/setup/clock", utc="2026-11-30T15:00:00.000Z", zone="Europe/Berlin")
    assert world.device.clock_set == [1_796_050_800_000_000_000]
    assert world.device.settings.current.time.zone == "Europe/Berlin"
    page = browser.page("/setup")
    assert "Europe/Berlin." in page
    assert step(page) == "Links"


def test_a_clock_that_a_server_keeps_is_left_to_it(world: World) -> None:
    browser = new_device(world)
    assert "Take the zone of this browser" in browser.page("/setup")
    browser.post("/setup/clock", utc="2026-11-30T15:00:00.000Z", zone="Asia/Kolkata")
    assert world.device.clock_set == []
    assert world.device.settings.current.time.zone == "Asia/Kolkata"


def test_a_zone_that_the_device_does_not_know_is_told(world: World) -> None:
    browser = new_device(world)
    browser.post("/setup/clock", utc="2026-11-30T15:00:00.000Z", zone="Mars/Olympus")
    page = browser.page("/setup")
    assert "Mars/Olympus" in page
    assert step(page) == "Clock and time zone"


def test_the_ports_are_drawn_with_what_is_missing_and_blink(world: World) -> None:
    world.device.ports = LINKED_PORTS
    browser = new_device(world)
    browser.post("/setup", step="links")
    page = browser.page("/setup")
    assert "port1 sees traffic." in page
    assert "port2 has no link: plug its cable in, and switch on what it leads to." in page
    assert browser.page("/setup/links") in page
    browser.post("/setup/blink", port="port2")
    assert ("port2", 5) in world.device.asked
    assert "A light of port2 has blinked" in browser.page("/setup")
    script = {"HX-Request": "true"}
    assert "A light of port1 has blinked" in browser.post("/links/blink", script, port="port1").text
    assert "Blink" not in world.user("capture").page("/links")


def test_a_press_of_the_presenter_is_heard_and_one_of_an_unknown_is_learnt(world: World) -> None:
    browser = new_device(world)
    press(world, "next")
    browser.post("/setup", step="presenter")
    assert world.device.learning == Learning(300, None), "an unknown one is waited for at once"
    page = browser.page("/setup")
    assert "Press a key of the presenter now." in page
    other = "Is it another presenter? Press any key of that one: 300 seconds left."
    assert other in page
    assert "Heard: key" not in page, "a press of before is none of now"
    press(world, "prev")
    heard = browser.page("/setup/presenter")
    assert "Heard: key <strong>prev</strong> on Logitech R400." in heard
    assert other not in heard
    assert "With a USB sound device a short tone would have said so" in heard
    world.device.sound_cards = [SoundCard(1, 0)]
    assert "A short tone on the USB sound device said so, too" in browser.page("/setup/presenter")
    assert "Two short tones were played." in browser.page(browser.post("/setup/tone").headers["location"]), (
        "and the page is the same"
    )
    world.device.learning = Learning(None, Heard("046d", "c53e", "Logitech Spotlight", "next"))
    assert 'action="/setup/use"' in browser.page("/setup/presenter")
    used = browser.post("/setup/use", vendor="046d", product="c53e", name="Logitech Spotlight")
    assert used.headers["location"] == "/setup"
    assert [each.product for each in world.device.settings.current.trigger.presenters] == ["c52d", "c53e"]
    browser.post("/setup/learn")
    browser.post("/setup", step="captures")
    assert world.device.learning == Learning(None, None), "waits no longer than somebody is there"


def test_a_key_can_be_waited_for_again_without_loading_the_page(world: World) -> None:
    browser = new_device(world)
    browser.post("/setup", step="presenter")
    again = 'action="/setup/learn"'
    assert again not in browser.page("/setup/presenter")
    world.device.learning = Learning(None, None)
    assert again in browser.page("/setup/presenter")
    browser.post("/setup/learn")
    assert world.device.learning == Learning(300, None)


def test_it_names_no_table_that_it_does_not_show(world: World) -> None:
    part = world.site.templates.get_template("parts/presenters.html")
    assert "known presenters below" in part.render(presenters=[], known=[])
    assert "known presenters below" not in part.render(presenters=[], known=[], use_path="/setup/use")


def press(world: World, key: str) -> None:
    now_ns = time.time_ns()
    world.device.jobs.accept([Press(now_ns, "presenter", key, "Logitech R400")], Span(1, 0), now_ns=now_ns)


def test_captures_stay_here_and_a_press_shows_what_becomes_of_it(world: World) -> None:
    browser = new_device(world)
    browser.post("/setup", step="captures")
    assert browser.post("/setup/here").headers["location"] == "/setup"
    page = browser.page("/setup")
    assert "Captures stay on this device." in page
    assert "Nothing has been pressed yet." in page
    browser.post("/setup/press")
    assert "Accepted. The capture appears below." in browser.page("/setup")
    assert '<ul class="captures">' in browser.page("/setup/press")
    assert world.device.jobs.recent(1)[0].source == "page"


def test_a_server_counts_once_it_has_taken_the_test_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = new_device(world)
    browser.post("/setup", step="captures")
    asked: list[str] = []
    answers = {
        "": {"accepted": False, "message": "The server's key is new.", "host_key_type": "ssh-ed25519"},
        KEY: {"accepted": True, "message": "A test file was written.", "host_key_type": "ssh-ed25519"},
    }
    real = Backend.ask

    async def ask(self: Backend, asker: object, method: str, path: str, *more: object) -> object:
        if path == "/export/test":
            asked.append(world.device.settings.current.export.host)
            return {**answers[world.device.settings.current.export.host_key], "fingerprint": KEY}
        return await real(self, asker, method, path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Backend, "ask", ask)
    before = {"protocol": "webdav", "url": "https://dav.example/in", "enabled": True}
    world.device.settings.change({"export": before})  # what goes elsewhere until now waits for the test, too
    typed = {"export.host": "files.example", "export.port": "22", "export.username": "me"}
    shown = browser.post("/setup/server", None, **typed, **{"export.password": "geheim"})
    assert asked == ["files.example"]
    assert "The server&#39;s key is new." in shown.text
    assert 'action="/setup/accept"' in shown.text
    export = world.device.settings.current.export
    assert (export.protocol, export.enabled) == ("sftp", False)
    browser.post("/setup/accept", fingerprint=KEY)
    assert world.device.settings.current.export.enabled
    page = browser.page("/setup")
    assert "A test file was written. Captures go to this server from now on." in page
    assert step(page) == "Try it: press now"


KEY = "SHA256:" + "a" * 43


def test_a_mistake_in_the_server_is_shown_at_its_field(world: World) -> None:
    browser = new_device(world)
    browser.post("/setup", step="captures")
    wrong = browser.post("/setup/server", None, **{"export.host": "sftp://x", "export.username": "me"})
    assert wrong.status_code == 422
    assert 'id="field-export-host-error"' in wrong.text
    assert step(wrong.text) == "Where captures go"
    browser.post("/setup/server", None, **{"export.host": "", "export.username": ""})
    assert step(browser.page("/setup")) == "Where captures go"
    assert not world.device.settings.current.export.enabled


def test_a_reset_of_the_users_begins_it_anew(world: World) -> None:
    world.device.call("PUT", "/setup", {"step": "finished"})
    new_device(world)
    assert at(world) == "clock"


def test_the_api_knows_no_other_step(world: World) -> None:
    assert world.device.call("PUT", "/setup", {"step": "colours"}).status_code == 422
