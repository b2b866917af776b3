import re
from dataclasses import replace

import pytest

from allegro.trigger.beep import Signal, SoundCard, wav
from allegro.trigger.learning import Heard, Learning, UsbInput
from tests.unit.web.world import World

pytestmark = pytest.mark.spec("T8")


def test_a_presenter_is_learnt_by_a_key_and_used_by_a_click(world: World) -> None:
    admin = world.user("admin")
    admin.post("/trigger/learn")
    page = admin.page("/trigger")
    assert "Press any key of the new presenter: 60 seconds left." in page
    world.device.learning = Learning(None, Heard("046d", "c53e", "Logitech Spotlight", "next"))
    assert "Heard: <strong>Logitech Spotlight</strong> (046d:c53e), key next." in admin.page("/trigger/live")
    admin.post("/trigger/use", vendor="046d", product="c53e", name="Logitech Spotlight")
    assert "The keys of Logitech Spotlight trigger captures from now on." in admin.page("/trigger")
    known = world.device.settings.current.trigger.presenters
    assert [each.product for each in known] == ["c52d", "c53e"]
    assert world.device.learning == Learning(None, None)
    admin.post("/trigger/use", vendor="046d", product="c53e", name="Logitech Spotlight")
    assert "is in the table twice" in admin.page("/trigger")


def test_the_same_presenter_twice_is_refused_at_its_field(world: World) -> None:
    twice = {
        f"trigger.presenters.{row}.{name}": value
        for row, vendor in enumerate(("046d", "046D"))
        for name, value in (("vendor", vendor), ("product", "c52d"), ("name", f"R400 {row}"))
    }
    answer = world.user("admin").post("/trigger", None, **twice)
    assert answer.status_code == 422
    (said,) = re.findall(r'id="field-trigger-presenters-1-product-error" role="alert">([^<]*)', answer.text)
    assert said.startswith("The presenter 046d:c52d is in the table twice")
    assert answer.text.count("in the table twice") == 1
    (field,) = re.findall(r'<input[^>]* name="trigger.presenters.1.vendor"[^>]*>', answer.text)
    assert 'value="046D"' in field


def test_what_is_plugged_in_and_not_used_is_offered_to_administrators(world: World) -> None:
    mouse = UsbInput("1bcf", "0005", "<Mouse>", ("event7",))
    world.device.usb_inputs = [mouse, replace(mouse, nodes=("event8",))]
    assert "Plugged in and not used:" in world.user("viewer").page("/trigger")
    assert "/trigger/use" not in world.user("capture").page("/trigger")
    shown = world.user("admin").get("/trigger").text
    assert "&lt;Mouse&gt;" in shown
    assert re.findall('id="(use-.*?)"', shown) == ["use-1bcf-0005-1", "use-1bcf-0005-2"], "each id once"


def test_a_test_tone_is_played_or_refused_in_words(world: World) -> None:
    admin = world.user("admin")
    assert "No tones: no USB sound device is plugged in." in admin.page("/trigger")
    admin.post("/trigger/tone")
    assert "No USB sound device is plugged in." in admin.page("/trigger")
    world.device.sound_cards = [SoundCard(1, 0)]
    assert "No tones" not in admin.page("/trigger")
    admin.post("/trigger/tone")
    assert "Two short tones were played." in admin.page("/trigger")
    assert world.device.asked == [(SoundCard(1, 0), wav(Signal.COMPLETE))]
