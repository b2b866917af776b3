import html
import json
import re

import pytest

from tests.unit.web.world import Browser, World

pytestmark = pytest.mark.spec("W9")


@pytest.fixture
def admin(world: World) -> Browser:
    return world.user("admin")


def test_a_configuration_is_exported_shown_and_imported_after_a_look(world: World, admin: Browser) -> None:
    assert "/configuration" in admin.page("/administration")
    world.device.settings.change({"trigger": {"before_s": 90}, "export": {"password": "geheim"}})
    file = admin.post("/configuration/export", password="only for this")
    assert file.headers["content-disposition"] == 'attachment; filename="allegro-mm-3456-configuration.json"'
    assert "geheim" not in file.text
    world.device.settings.change({"trigger": {"before_s": 60}, "export": {"password": "x", "port": 23}})
    shown = admin.post("/configuration/compare", file=file.text, password="only for this")
    page = html.unescape(shown.text)
    assert "USB capture trigger, Before the press (seconds)" in page
    assert "another secret" in page
    assert "geheim" not in page
    assert world.device.settings.current.trigger.before_s == 60
    sent = dict(re.findall(r'<input type="hidden" name="(seen|password|file)" value="([^"]*)"', shown.text))
    sent = {name: html.unescape(value) for name, value in sent.items()}
    assert json.loads(sent["file"]) == json.loads(file.text)
    done = admin.post("/configuration/import", section="export", **sent)
    assert (done.status_code, done.headers["location"]) == (303, "/configuration")
    assert "The configuration is imported." in admin.page("/configuration")
    now = world.device.settings.current
    assert (now.export.password, now.export.port, now.trigger.before_s) == ("geheim", 22, 60)
    assert "the-admin" in admin.page("/configuration")


def test_what_is_wrong_is_said_on_the_page(world: World, admin: Browser) -> None:
    for file, words in (
        ("", "No file is chosen."),
        ("nothing", "This is no configuration"),
        ("[" * 100_000, "This is no configuration"),
        ('{"settings": {}}', "This is no configuration"),
    ):
        answer = admin.post("/configuration/compare", file=file)
        assert (answer.status_code, words in html.unescape(answer.text)) == (422, True)
    refused = admin.post("/configuration/import", file='{"allegro_configuration": 1, "settings": {}}')
    assert refused.status_code == 422
    assert "Nothing is imported: no section was chosen." in refused.text
    assert "The configuration is imported." not in admin.page("/configuration")
    answer = admin.post("/configuration/export", password="short")
    assert (answer.status_code, "at least 8 characters" in answer.text) == (422, True)


def test_a_wrong_password_costs_nobody_the_file(world: World, admin: Browser) -> None:
    world.device.settings.change({"export": {"password": "geheim"}})
    file = admin.post("/configuration/export", password="only for this").text
    refused = admin.post("/configuration/compare", file=file, password="another one")
    assert refused.status_code == 422
    assert "does not open" in refused.text or "password" in refused.text
    shown = re.search(r'<textarea id="import-file"[^>]*>(.*?)</textarea>', refused.text, re.DOTALL)
    assert shown
    assert json.loads(html.unescape(shown[1])) == json.loads(file)


def test_what_is_left_out_is_named_after_the_import_too(world: World, admin: Browser) -> None:
    """What goes together in the file may not do so without a section that was not chosen."""
    content = {"trigger": {"before_s": 90}, "time": {"zone": "Mars/Olympus"}}
    file = json.dumps({"allegro_configuration": 1, "settings": content})
    assert "Not taken over" in admin.post("/configuration/compare", file=file).text
    admin.post("/configuration/import", section="time", file=file)
    assert "Not taken over: time.zone" in admin.page("/configuration")


def test_somebody_elses_change_in_between_keeps_the_import_back(world: World, admin: Browser) -> None:
    file = admin.post("/configuration/export").text
    world.device.settings.change({"trigger": {"before_s": 90}})
    seen = re.search(r'name="seen" value="(\w+)"', admin.post("/configuration/compare", file=file).text)
    assert seen
    world.device.settings.change({"trigger": {"after_s": 3}})
    refused = admin.post("/configuration/import", section="trigger", file=file, seen=seen[1])
    assert refused.status_code == 412
    assert "Somebody else has changed these settings meanwhile" in refused.text
    assert "After the press (seconds)" in refused.text, "what would change by now"
    assert re.search(r'name="section" value="trigger" checked', refused.text)
    assert world.device.settings.current.trigger.before_s == 90


def test_a_change_that_was_not_seen_is_not_undone(world: World, admin: Browser) -> None:
    admin.post("/trigger", None, **{"trigger.before_s": "70"})
    seen = re.search(r'name="seen" value="(\w+)"', admin.page("/configuration"))
    assert seen
    world.device.call("PATCH", "/settings/trigger", {"after_s": 5})
    admin.post("/configuration/return", name="1", seen=seen[1])
    assert "Somebody else has changed these settings meanwhile" in admin.page("/configuration")
    now = world.device.settings.current.trigger
    assert (now.before_s, now.after_s) == (70, 5)


def test_one_click_leads_back(world: World, admin: Browser) -> None:
    admin.post("/trigger", None, **{"trigger.before_s": "70", "trigger.after_s": "5"})
    assert "USB capture trigger, After the press (seconds)" in admin.page("/configuration")
    admin.post("/configuration/return", name="1")
    assert "The earlier settings are in force again." in admin.page("/configuration")
    assert world.device.settings.current.trigger.before_s == 60
    admin.post("/configuration/return", name="../1")
    assert "There is no such change." in admin.page("/configuration")


def test_an_address_is_answered_before_it_changes(world: World, admin: Browser) -> None:
    content = {"management": {"mode": "static", "address": "192.0.2.5/24"}, "time": {"zone": "Mars/Olympus"}}
    file = json.dumps({"allegro_configuration": 1, "settings": content})
    assert 'name="moves" value="yes"' in admin.post("/configuration/compare", file=file).text
    world.device.remaining_s = 118.0
    sent = {"file": file, "moves": "yes", "section": "management"}
    answer = admin.post("/configuration/import", None, **sent)
    assert (answer.status_code, '<a href="https://192.0.2.5/">' in answer.text) == (200, True)
    assert world.device.get("/settings/management")["address"] == "192.0.2.5/24"
    world.device.call("PATCH", "/settings/management", {"confirm_s": 60})
    assert admin.post("/configuration/return", name="2").status_code == 303, "no address changes"
    back = admin.post("/configuration/return", name="1")
    assert (back.status_code, "The DHCP server chooses the address" in back.text) == (200, True)
    harmless = json.dumps({"allegro_configuration": 1, "settings": {"management": {"host_name": "meter"}}})
    assert 'name="moves"' not in admin.post("/configuration/compare", file=harmless).text


def test_only_administrators(world: World) -> None:
    viewer = world.user("viewer")
    assert viewer.get("/configuration").status_code == 403
    assert viewer.post("/configuration/export").status_code in (303, 403)
    assert "/configuration" not in viewer.page("/administration")
