from dataclasses import replace
from typing import Any

import pytest
import segno

from allegro.console.codes import GLYPHS
from allegro.console.screen import HINT, SHORT_HINT, Facts, Interface, Line, changes, screen

STATUS: dict[str, Any] = {
    "ring": {"state": "recording", "message": "", "reach_back_s": 7300.0, "in_memory_since": None},
    "presenters": ["Logitech R400"],
    "actions": [],
    "problems": [],
}
FACTS = Facts(
    name="allegro-mm-3456",
    firmware="1.2.3",
    clock="2026-11-21 14:30 UTC",
    interfaces=(
        Interface("mgmt0", True, ("192.168.1.20/24", "2001:db8::1/64")),
        Interface("port1", True),
        Interface("port2", False),
        Interface("port10", True),
    ),
    system_id="5764fb6b-9bdf-48c3-a4d6-bb8107beb0c5",
    status=STATUS,
    recorder="recording",
)


def text(facts: Facts, columns: int = 80, rows: int = 24) -> str:
    return "\n".join(line.text for line in screen(facts, columns, rows))


@pytest.mark.spec("N4")
def test_shows_everything_that_somebody_in_front_of_it_needs() -> None:
    shown = text(FACTS)
    for expected in (
        "allegro-mm-3456   Allegro 1.2.3",
        "2026-11-21 14:30 UTC",
        "Recording    yes, reaches back 2 h",
        "Web page     https://192.168.1.20",
        "https://allegro-mm-3456.local",
        "Management   mgmt0  link up  192.168.1.20/24  2001:db8::1/64",
        "Ports        1 up  2 down  10 up",
        "Presenter    Logitech R400",
        "System id    5764fb6b-9bdf-48c3-a4d6-bb8107beb0c5",
        "No problems.",
        HINT,
    ):
        assert expected in shown


@pytest.mark.spec("N4", "U5")
def test_shows_messages_of_resets_and_updates_with_their_progress() -> None:
    actions = [
        {"name": "reset", "text": "The configuration was reset.", "progress": 1.0, "state": "done"},
        {"name": "update", "text": "Installing version 2", "progress": 0.5, "state": "running"},
        {"name": "upload", "text": "The server does not answer.", "progress": None, "state": "failed"},
    ]
    lines = screen(replace(FACTS, status={**STATUS, "actions": actions}), 80, 24)
    assert Line(" > The configuration was reset.", "good") in lines
    assert Line(" > Installing version 2", "warning") in lines
    assert Line("   [##########..........] 50%", "warning") in lines
    assert Line(" > The server does not answer.", "bad") in lines


def test_shows_problems_with_what_to_do() -> None:
    problem = {"id": "x", "severity": "error", "text": "word " * 30, "remedy": "Mend it."}
    lines = screen(replace(FACTS, status={**STATUS, "problems": [problem]}), 60, 24)
    marked = [line.text for line in lines if line.style == "bad"]
    assert marked[0].startswith(" ! word")
    assert marked[1].startswith("   word")
    assert "   Mend it." in [line.text for line in lines]


@pytest.mark.spec("N4")
def test_without_the_supervisor_it_says_so_and_shows_what_is_known() -> None:
    shown = text(replace(FACTS, status=None))
    assert "The control program does not answer: it is busy, or" in " ".join(shown.split())
    assert "Recording    yes" in shown
    assert "https://192.168.1.20" in shown
    assert "Presenter" not in shown


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(FACTS, status=None, recorder=""), "Recording    not known"),
        (replace(FACTS, status=None, starting=True), "The device is starting"),
        (replace(FACTS, status=None, leaving=True), "shutting down or starting again"),
        (replace(FACTS, interfaces=(Interface("mgmt0", False),)), "Management   mgmt0  NO LINK"),
        (replace(FACTS, interfaces=(Interface("mgmt0", False),)), "no address yet"),
        (replace(FACTS, interfaces=()), "Ports        none"),
        (replace(FACTS, interfaces=(Interface("wlan0", True, ("192.168.78.1/24",)),)), "WiFi         wlan0"),
    ],
)
def test_says_what_is_missing(facts: Facts, expected: str) -> None:
    assert expected in text(facts)


def test_a_ring_that_does_not_record_is_told_with_the_reason() -> None:
    ring = {"state": "no-ring", "message": "The disk is full.", "reach_back_s": 0.0, "in_memory_since": None}
    lines = screen(replace(FACTS, status={**STATUS, "ring": ring}), 80, 24)
    assert Line(" Recording    NO: The disk is full.", "bad") in lines


def test_a_ring_in_memory_is_no_good_news() -> None:
    ring = {**STATUS["ring"], "in_memory_since": "2026-11-21T12:00:00Z", "message": "The disk is gone."}
    lines = screen(replace(FACTS, status={**STATUS, "ring": ring}), 120, 24)
    (line,) = (line for line in lines if "Recording" in line.text)
    assert (line.style, "The disk is gone." in line.text) == ("warning", True)


@pytest.mark.parametrize("columns", [20, 40, 80, 160])
@pytest.mark.parametrize("rows", [1, 3, 10, 24, 60])
def test_fits_every_screen(columns: int, rows: int) -> None:
    problem = {"id": "x", "severity": "warning", "text": "word " * 200, "remedy": "Mend it."}
    lines = screen(replace(FACTS, status={**STATUS, "problems": [problem] * 5}), columns, rows)
    assert len(lines) == rows
    assert max(len(line.text) for line in lines) <= columns


@pytest.mark.parametrize(("columns", "hint"), [(80, HINT), (40, SHORT_HINT)])
def test_the_keys_stand_in_the_last_line_however_much_there_is_to_say(columns: int, hint: str) -> None:
    problem = {"id": "x", "severity": "warning", "text": "word " * 200, "remedy": "Mend it."}
    lines = screen(replace(FACTS, status={**STATUS, "problems": [problem] * 5}), columns, 24)
    assert lines[-1] == Line(hint, "hint")
    assert lines[-2].text == "... more on the web page"


def test_only_changed_lines_are_drawn() -> None:
    before = screen(FACTS, 80, 24)
    now = screen(replace(FACTS, clock="2026-11-21 14:31 UTC"), 80, 24)
    assert [row for row, _ in changes(before, now)] == [1]
    assert changes(now, now) == []
    assert len(changes(None, now)) == 24
    assert len(changes(before[:20], now)) == 24


def test_a_silent_recorder_is_not_said_to_record_nothing() -> None:
    ring = {
        "state": "silent",
        "message": "The recorder has not been heard of.",
        "reach_back_s": 0.0,
        "in_memory_since": None,
    }
    shown = text(replace(FACTS, status={**STATUS, "ring": ring}))
    assert "Recording    not known: the recorder has not been heard of" in shown
    assert "NO" not in shown.replace("NO LINK", "")


def test_what_failed_is_not_followed_by_no_problems() -> None:
    failed = {"name": "firmware", "text": "It fell back.", "progress": None, "state": "failed"}
    assert "No problems." not in text(replace(FACTS, status={**STATUS, "actions": [failed]}))
    done = {**failed, "state": "done"}
    assert "No problems." in text(replace(FACTS, status={**STATUS, "actions": [done]}))


NEW = {
    "id": "first-passwords",
    "severity": "warning",
    "text": "The first password of page and WiFi is in force: everybody can read it in the manual.",
    "remedy": "Log in to the page: it asks for new ones.",
}
WIFI = {
    "mode": "access-point",
    "ssid": "allegro-mm-3456",
    "first_password": True,
    "addresses": ["192.168.78.1/24"],
}
NEW_DEVICE = replace(FACTS, status={**STATUS, "problems": [NEW]}, wifi=WIFI)


def modules(lines: list[Line]) -> list[list[int]]:
    """The codes of a screen as dark and light modules."""
    meaning = {glyph: pair for pair, glyph in GLYPHS.items()}
    rows = [[meaning[glyph] for glyph in line.text] for line in lines if line.style == "code"]
    return [[pair[half] for pair in row] for row in rows for half in (0, 1)]


def code(text: str) -> list[list[int]]:
    return [list(map(int, row)) for row in segno.make_qr(text, error="l").matrix_iter(border=4)]


@pytest.mark.spec("N8")
@pytest.mark.parametrize(("rows", "wants"), [(24, True), (60, False)])
def test_a_new_device_shows_codes_to_join_and_to_open_the_page(rows: int, wants: bool) -> None:
    lines = screen(replace(NEW_DEVICE, wants_codes=wants), 80, rows)
    shown = modules(lines)
    join = code("WIFI:T:WPA;S:allegro-mm-3456;P:Allegro-MM;;")
    page = code("https://192.168.78.1/")
    width = len(join)
    assert [row[:width] for row in shown[:width]] == join
    assert [row[width:] for row in shown[: len(page)]] == page
    assert not any(map(any, [row[width:] for row in shown[len(page) :]]))
    text = "\n".join(line.text for line in lines)
    assert "Left: Join the WiFi allegro-mm-3456, password Allegro-MM" in text
    assert "Right: Open https://192.168.78.1/, first log-in: admin, allegro" in text
    assert "Q QR codes" in lines[-1].text
    assert len("".join(line.text for line in lines).encode()) < 3800, (
        "the buffer of a serial port holds 4095 bytes"
    )


@pytest.mark.spec("N8")
def test_who_asks_for_codes_gets_those_that_there_is_room_for_and_all_others_in_words() -> None:
    def asked(ssid: str, columns: int, rows: int) -> tuple[list[list[int]], str]:
        lines = screen(replace(NEW_DEVICE, wifi={**WIFI, "ssid": ssid}, wants_codes=True), columns, rows)
        assert all(len(line.text) <= columns for line in lines)
        return modules(lines), " ".join("".join(line.text for line in lines if line.style != "code").split())

    shown, text = asked("allegro-mm-3456", 60, 25)
    join = code("WIFI:T:WPA;S:allegro-mm-3456;P:Allegro-MM;;")
    assert shown[: len(join)] == join
    assert "Open https://192.168.78.1/, first log-in: admin, allegro" in text
    long = "m" * 32
    shown, text = asked(long, 80, 24)
    page = code("https://192.168.78.1/")
    assert shown[: len(page)] == page
    assert f"Join the WiFi {long}, password Allegro-MM" in text
    for columns, rows in ((80, 12), (36, 24)):
        shown, text = asked(long, columns, rows)
        assert shown == []
        assert "This screen is too small for the QR codes." in text
        assert "password Allegro-MM" in text
        assert "https://192.168.78.1/" in text


@pytest.mark.spec("N8")
def test_without_room_or_first_passwords_there_are_no_codes() -> None:
    assert modules(screen(NEW_DEVICE, 80, 24)) == [], "nobody asked: the state of the device comes first"
    own = replace(NEW_DEVICE, status=STATUS, wants_codes=True)
    assert modules(screen(own, 80, 60)) == []
    assert "allegro," not in "\n".join(line.text for line in screen(own, 80, 60))
    wifi_only = {**NEW, "text": "The first password of WiFi is in force."}
    shown = screen(replace(NEW_DEVICE, status={**STATUS, "problems": [wifi_only]}, wants_codes=True), 80, 24)
    assert "first log-in" not in "\n".join(line.text for line in shown)
    by_cable = screen(replace(NEW_DEVICE, wifi=None, wants_codes=True), 80, 24)
    assert modules(by_cable)[: len(code("https://192.168.1.20/"))] == code("https://192.168.1.20/")
