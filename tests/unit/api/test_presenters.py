from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.trigger.beep import Signal, SoundCard, wav
from allegro.trigger.learning import Heard, Learning, UsbInput
from allegro.trigger.press import SOURCE_PRESENTER, Press
from allegro.trigger.windows import Span
from tests.unit.api.bench import Bench, make_bench

pytestmark = pytest.mark.spec("T8")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    made.usb_inputs = [
        UsbInput("046d", "c52d", "Logitech USB Receiver", ("event1",)),
        UsbInput("046d", "c53e", "Logitech Spotlight", ("event2",)),
    ]
    yield made
    made.jobs.close()


def test_what_is_plugged_in_is_used_or_not(bench: Bench) -> None:
    answer = bench.get("/presenters")
    assert [(each["name"], each["used"]) for each in answer["devices"]] == [
        ("Logitech R400", True),
        ("Logitech Spotlight", False),
    ]
    assert (answer["learning_s"], answer["heard"], answer["sound"], answer["last_press"]) == (
        *(None, None),
        *(False, None),
    )


def test_a_key_is_waited_for_and_the_device_is_named(bench: Bench) -> None:
    assert bench.call("POST", "/presenters/learn", {"seconds": 30}).json()["learning_s"] == 30
    bench.learning = Learning(None, Heard("046d", "c53e", "Logitech Spotlight", "next"))
    assert bench.get("/presenters")["heard"] == {
        "vendor": "046d",
        "product": "c53e",
        "name": "Logitech Spotlight",
        "key": "next",
    }
    assert bench.call("DELETE", "/presenters/learn").json()["heard"] is None
    bench.refused(422, "POST", "/presenters/learn", {"seconds": 3600})


def test_the_last_press_is_that_of_a_presenter(bench: Bench) -> None:
    for source, device in ((SOURCE_PRESENTER, "Logitech R400"), ("page", "")):
        press = Press(1_795_271_405_000_000_000, source, "next", device)
        bench.jobs.refuse([press], Span(0, 0), "No ring.", now_ns=press.time_ns)
    last = bench.get("/presenters")["last_press"]
    assert (last["key"], last["presenter"], last["job"]) == ("next", "Logitech R400", 1)


def test_a_test_tone(bench: Bench) -> None:
    assert "No USB sound device" in bench.refused(503, "POST", "/presenters/tone", {})["message"]
    bench.sound_cards = [SoundCard(1, 0)]
    assert bench.get("/presenters")["sound"]
    assert bench.call("POST", "/presenters/tone", {"signal": "refused"}).status_code == 204
    assert bench.asked == [(SoundCard(1, 0), wav(Signal.REFUSED))]
