"""The list in its file: over restarts, on a disk that fails, and of other versions."""

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from allegro.events import event_list
from allegro.events.event import Event, event
from allegro.events.event_list import EventList, parsed
from allegro.keeping import copy_of

pytestmark = pytest.mark.spec("S7", "S2")


def texts(events: EventList) -> list[str]:
    return [each.text for each in events.newest(1000)]


def test_the_list_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    first = EventList(path)
    first.start()
    first.note("login", "Logged in", who="anna", source="192.0.2.1")
    first.note("settings", "Changed export.host", who="anna")
    before = first.newest(10)
    first.stop()
    again = EventList(path)
    assert again.newest(10) == before
    again.note("logout", "Logged out", who="anna")
    assert [each.id for each in again.newest(10)] == [3, 2, 1]
    assert (path.stat().st_mode & 0o777, path.read_text().count("\n")) == (0o600, 4)


def test_a_line_is_written_while_the_device_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_list, "TOGETHER_S", 0.01)
    path = tmp_path / "events.json"
    events = EventList(path)
    events.start()
    events.note("login", "Logged in", who="anna")
    _until(path.exists)
    events.stop()
    assert [each.who for each in parsed(path.read_bytes())] == ["anna"]


def test_who_follows_hears_of_each_event_also_of_those_that_are_only_counted(tmp_path: Path) -> None:
    events = EventList(tmp_path / "events.json")
    heard: list[str] = []
    events.follow(lambda each: heard.append(each.text))
    for _ in range(3):
        events.note("press", "Pressed next", source="Logitech R400")
    assert heard == ["Pressed next"] * 3
    assert [each.count for each in events.all()] == [3]


def test_who_follows_hears_in_the_order_of_the_list(tmp_path: Path) -> None:
    events = EventList(tmp_path / "events.json")
    heard: list[str] = []
    events.follow(lambda each: heard.append(each.text))

    def act(who: str) -> None:
        for number in range(20):
            events.note("file", f"Deleted {number} of {who}", who=who)

    acting = [threading.Thread(target=act, args=(who,)) for who in ("anna", "ben", "carl")]
    for each in acting:
        each.start()
    for each in acting:
        each.join()
    assert heard == [each.text for each in events.all()]


def test_who_follows_hears_of_others_events_too_but_not_of_those_before_the_start(tmp_path: Path) -> None:
    others = [event(5, "firmware", "Installed 2.")]
    events = EventList(tmp_path / "events.json", lambda: others, lambda: 10)
    heard: list[str] = []
    events.follow(lambda each: heard.append(each.text))
    events.write()
    assert heard == []
    others.append(event(11, "firmware", "Activated 2."))
    events.write()
    events.write()
    assert heard == ["Activated 2."]


def test_pages_of_the_list(tmp_path: Path) -> None:
    events = EventList(tmp_path / "events.json")
    for number in range(5):
        events.note("file", f"Deleted {number}", who="anna")
    assert [each.id for each in events.newest(2)] == [5, 4]
    assert [each.id for each in events.newest(2, before=4)] == [3, 2]
    assert events.newest(2, before=1) == []


def test_a_list_that_cannot_be_written_says_so_and_takes_events_still(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    events = EventList(folder / "events.json")
    events.note("login", "Logged in", who="anna")
    events.write()
    assert "cannot be written" in events.problem
    assert texts(events) == ["Logged in"]
    folder.mkdir()
    events.write()
    assert events.problem == ""
    assert texts(EventList(folder / "events.json")) == ["Logged in"]


def test_what_could_not_be_read_at_the_start_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    earlier = EventList(path)
    earlier.note("login", "Earlier")
    earlier.write()
    content = path.read_bytes()
    for each in (path, copy_of(path)):
        each.unlink()
        each.mkdir()  # gives EISDIR, for root too
    events = EventList(path)
    events.note("login", "Later")
    events.write()
    assert "cannot be written" in events.problem
    for each in (path, copy_of(path)):
        each.rmdir()
        each.write_bytes(content)
    events.write()
    assert (events.problem, texts(events)) == ("", ["Later", "Earlier"])
    assert texts(EventList(path)) == ["Later", "Earlier"]


def test_a_damaged_list_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text("[{")
    events = EventList(path)
    events.note("login", "Logged in")
    events.write()
    assert (texts(EventList(path)), path.with_name("events.json.damaged").read_text()) == (
        ["Logged in"],
        "[{",
    )


def test_a_newer_versions_events_stay(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps([{"time_ns": 1, "kind": "beamed", "text": "Up\n.", "by": "anna"}]))
    events = EventList(path)
    events.note("login", "Logged in")
    events.write()
    found = EventList(path).newest(2)[1]
    assert (found.kind, found.text, found.id) == ("beamed", "Up\\u000a.", 1)


def test_events_that_others_keep_are_in_it(tmp_path: Path) -> None:
    others: list[Event] = []
    events = EventList(tmp_path / "events.json", lambda: others)
    others.append(event(1, "firmware", "Installed 2."))
    assert texts(events) == ["Installed 2."]
    events.write()
    others.clear()
    assert texts(EventList(tmp_path / "events.json")) == ["Installed 2."]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_line_with_an_absurd_time_or_kind_can_be_shown_and_costs_no_other() -> None:
    lines = [{"time_ns": each, "kind": "\ud800", "text": "x"} for each in (10**30, -(10**30), 5)]
    events = parsed(json.dumps(lines).encode())
    assert [each.time_ns for each in events] == [253_402_214_400 * 10**9, 0, 5]
    for each in events:
        assert each.kind.encode() == b"\\ud800"
        assert datetime.fromtimestamp(each.last_ns // 10**9, ZoneInfo("Pacific/Kiritimati"))
