import pytest

from allegro.settings.model import Settings
from allegro.trigger.keys import (
    EV_KEY,
    EV_MSC,
    EV_SYN,
    MSC_SCAN,
    SYN_DROPPED,
    SYN_REPORT,
    Debouncer,
    Decoder,
    KeyEvent,
    PresenterModel,
    RawEvent,
    models,
)

R400 = PresenterModel("046d", "c52d", "Logitech R400")
MS = 1_000_000
S = 1000 * MS
KEY_PRESENTATION, KEY_DISPLAYTOGGLE = 0x1A9, 0x1AF


def decode(*events: tuple[int, int, int]) -> list[KeyEvent]:
    decoder = Decoder(R400)
    found = (decoder.feed(RawEvent(index, *event)) for index, event in enumerate(events))
    return [event for event in found if event is not None]


def packet(scan: int, code: int, value: int) -> list[tuple[int, int, int]]:
    return [(EV_MSC, MSC_SCAN, scan), (EV_KEY, code, value), (EV_SYN, SYN_REPORT, 0)]


@pytest.mark.spec("T2")
@pytest.mark.parametrize(
    ("scan", "code", "name"),
    [
        (0x7004B, 104, "prev"),
        (0x7004E, 109, "next"),
        (0x7003E, 63, "play"),
        (0x70029, 1, "play"),
        (0x70037, 52, "black"),
        # as systemd's hwdb remaps them
        (0x7003E, KEY_PRESENTATION, "play"),
        (0x70029, KEY_PRESENTATION, "play"),
        (0x70037, KEY_DISPLAYTOGGLE, "black"),
        # other keys of other presenters
        (0x70004, 30, "other"),
        (0xC00E9, 115, "other"),
    ],
)
def test_scan_codes_name_the_key_whatever_its_key_code(scan: int, code: int, name: str) -> None:
    down, up = decode(*packet(scan, code, 1), *packet(scan, code, 0))
    assert (down.key, down.down, down.time_ns) == (name, True, 1)
    assert (up.key, up.down, up.time_ns) == (name, False, 4)


@pytest.mark.spec("T2")
@pytest.mark.parametrize(
    ("code", "name"),
    [
        (104, "prev"),
        (109, "next"),
        (63, "play"),
        (1, "play"),
        (KEY_PRESENTATION, "play"),
        (52, "black"),
        (30, "other"),
    ],
)
def test_key_codes_help_out_when_there_is_no_scan_code(code: int, name: str) -> None:
    assert [event.key for event in decode((EV_KEY, code, 1), (EV_SYN, SYN_REPORT, 0))] == [name]


@pytest.mark.parametrize(
    "events",
    [
        packet(0x700E1, 42, 1),  # left shift
        packet(0x90001, 0x110, 1),  # left mouse button
        packet(0x70001, 0, 1),  # error roll over
        [(EV_KEY, 42, 1)],
        [(EV_KEY, 0x110, 1)],
        [(2, 0, 5)],  # mouse movement
    ],
)
def test_modifiers_and_mouse_are_no_presses(events: list[tuple[int, int, int]]) -> None:
    assert decode(*events) == []


@pytest.mark.spec("T2")
def test_repeat_is_no_press() -> None:
    held = [(EV_KEY, 109, 2), (EV_SYN, SYN_REPORT, 1)] * 50
    events = decode(*packet(0x7004E, 109, 1), *held, *packet(0x7004E, 109, 0))
    assert [event.down for event in events] == [True, False]


def test_release_without_scan_code_belongs_to_its_press() -> None:
    """So it comes when the receiver is unplugged with a key held."""
    events = decode(
        *packet(0x70037, KEY_DISPLAYTOGGLE, 1), (EV_KEY, KEY_DISPLAYTOGGLE, 0), (EV_SYN, SYN_REPORT, 0)
    )
    assert [(event.key, event.down) for event in events] == [("black", True), ("black", False)]


def test_a_scan_code_is_not_used_for_the_next_key() -> None:
    events = decode((EV_MSC, MSC_SCAN, 0x7004E), (EV_SYN, SYN_REPORT, 0), (EV_KEY, 104, 1))
    assert [event.key for event in events] == ["prev"]


def test_overrun_is_skipped_to_the_next_report() -> None:
    events = decode(
        *packet(0x7004E, 109, 1),
        (EV_SYN, SYN_DROPPED, 0),
        (EV_MSC, MSC_SCAN, 0x7004B),
        (EV_KEY, 104, 1),
        (EV_SYN, SYN_REPORT, 0),
        *packet(0x70037, 52, 1),
    )
    assert [event.key for event in events] == ["next", "black"]


def test_table_comes_from_the_settings() -> None:
    assert models(Settings().trigger.presenters) == (R400,)


def presses(debounce_ms: int, *events: tuple[str, int, bool]) -> list[int]:
    """Times (ms) of the presses that count."""
    debouncer = Debouncer()
    return [
        at
        for key, at, down in events
        if debouncer.accept(KeyEvent(at * MS, key, key, down), debounce_ms * MS)
    ]


def strokes(key: str, *times: int, hold: int = 30) -> list[tuple[str, int, bool]]:
    return [event for at in times for event in ((key, at, True), (key, at + hold, False))]


@pytest.mark.spec("T2")
class TestDebounce:
    def test_contact_bounce_counts_once(self) -> None:
        assert presses(1000, *strokes("next", 0, 40, 80, 500)) == [0]

    def test_next_press_counts_after_the_time(self) -> None:
        assert presses(1000, *strokes("next", 0, 1029)) == [0]
        assert presses(1000, *strokes("next", 0, 1030)) == [0, 1030]

    def test_bounce_when_a_long_hold_ends(self) -> None:
        assert presses(1000, ("next", 0, True), ("next", 5000, False), *strokes("next", 5010, 5999)) == [0]
        assert presses(1000, ("next", 0, True), ("next", 5000, False), *strokes("next", 6000)) == [0, 6000]

    def test_bounces_do_not_prolong_the_time(self) -> None:
        assert presses(1000, *strokes("next", 0, 300, 600, 900, 1200, 1500)) == [0, 1200]

    def test_off_counts_every_press(self) -> None:
        assert presses(0, *strokes("next", 0, 40, 80)) == [0, 40, 80]

    def test_keys_do_not_hide_each_other(self) -> None:
        events = sorted(strokes("next", 0, 200) + strokes("prev", 100, 300), key=lambda event: event[1])
        assert presses(1000, *events) == [0, 100]

    def test_clock_set_back_loses_no_press(self) -> None:
        assert presses(1000, *strokes("next", 10_000, 2_000)) == [10_000, 2_000]

    def test_missing_release(self) -> None:
        assert presses(1000, ("next", 0, True), ("next", 500, True), ("next", 1000, True)) == [0, 1000]
