"""What becomes of the list when something happens, often, or from many."""

from dataclasses import replace

import pytest

from allegro.events.event import LONGEST_TEXT, Event, event, visible
from allegro.events.event_rules import (
    A_DAY_OF_KIND,
    A_DAY_OF_SOURCE,
    BEYOND,
    DAY_NS,
    KEPT_OF_KIND,
    MANY,
    SAME_NS,
    added,
    open_problems,
    taken_over,
)
from allegro.words import SECOND_NS

pytestmark = pytest.mark.spec("S7")

NOW = 1_795_271_405 * SECOND_NS


def listed(*events: Event) -> list[Event]:
    found: list[Event] = []
    for each in events:
        found = added(found, each)
    return found


def failed(address: str, *, at_ns: int = NOW, who: str = "admin") -> Event:
    return event(at_ns, "login-failed", "Wrong password", who=who, source=address)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with blanks", "plain, with blanks"),
        ("Größe", "Größe"),
        ("a\n12:00 admin: Logged in", "a\\u000a12:00 admin: Logged in"),
        ("\x1b[2J", "\\u001b[2J"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("a\u2028b\x85c\x7f", "a\\u2028b\\u0085c\\u007f"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_has_no_shape_is_made_visible(text: str, shown: str) -> None:
    assert visible(text, 100) == shown


def test_what_is_too_long_is_cut() -> None:
    assert visible("x" * 10, 10) == "x" * 10
    assert visible("x" * 11, 10) == "x" * 9 + "…"
    assert visible("\n" * 1_000_000, 10) == "\\u000a\\u0…"
    assert len(event(NOW, "change", "\n" * 1000).text) == LONGEST_TEXT


def test_what_happens_again_within_an_hour_is_counted() -> None:
    first = failed("192.0.2.1")
    again = failed("192.0.2.1", at_ns=NOW + SAME_NS - 1)
    later = failed("192.0.2.1", at_ns=NOW + 3 * SAME_NS)
    assert listed(first, again, later) == [
        replace(first, count=2, last_ns=NOW + SAME_NS - 1, id=1),
        replace(later, id=2),
    ]


def test_a_clock_that_is_set_back_changes_no_times() -> None:
    first, earlier = failed("192.0.2.1"), failed("192.0.2.1", at_ns=NOW - SECOND_NS)
    assert listed(first, earlier) == [replace(first, count=2, id=1)]


def test_one_address_that_tries_many_names_takes_few_lines() -> None:
    found = listed(*(failed("192.0.2.1", who=f"user{number}") for number in range(1000)))
    assert len(found) == A_DAY_OF_SOURCE + 1
    last = found[-1]
    assert (last.who, last.source, last.text, last.count) == ("", "192.0.2.1", BEYOND, 1000 - A_DAY_OF_SOURCE)


def test_a_flood_from_250_addresses_washes_nothing_away() -> None:
    kept = [
        event(NOW, "settings", "Changed export.host", who="anna", source="192.0.2.7"),
        failed("198.51.100.9"),
    ]
    flood = [
        failed(f"10.0.0.{number % 250}", at_ns=NOW + number * SECOND_NS, who=f"user{number % 7}")
        for number in range(5000)
    ]
    found = listed(*kept, *flood)
    assert found[:2] == [replace(each, id=number) for number, each in enumerate(kept, 1)]
    assert len(found) == 2 + A_DAY_OF_KIND
    assert (found[-1].source, found[-1].text) == (MANY, BEYOND)
    assert sum(each.count for each in found) == 5002


def test_who_does_very_much_hides_nobody_elses_doing() -> None:
    many = [event(NOW, "download", f"Downloaded {number}", who="eve") for number in range(1000)]
    found = listed(*many, event(NOW, "download", "Downloaded a", who="anna"))
    assert len(found) == A_DAY_OF_SOURCE + 2
    assert (found[-2].who, found[-2].text) == ("eve", BEYOND)
    assert found[-1].who == "anna"


def test_each_kind_keeps_its_newest_and_numbers_go_on() -> None:
    days = range(KEPT_OF_KIND + 5)
    found = listed(
        event(NOW, "reset", "Reset"), *(failed("192.0.2.1", at_ns=NOW + day * DAY_NS) for day in days)
    )
    assert [found[0].kind, found[0].id] == ["reset", 1]
    assert [each.id for each in found[1:]] == list(range(7, KEPT_OF_KIND + 7))


def test_what_another_list_keeps_comes_in_once() -> None:
    others = [event(NOW, "firmware", "Installed 2."), event(NOW + 1, "firmware", "Started 2.")]
    once = taken_over(listed(failed("192.0.2.1")), others)
    assert [each.text for each in once] == ["Wrong password", "Installed 2.", "Started 2."]
    assert taken_over(once, others) == once


@pytest.mark.spec("X7")
def test_problems_that_are_not_over_are_known_from_the_list() -> None:
    def at(seconds: int, kind: str, source: str, text: str) -> Event:
        return event(seconds * SECOND_NS, kind, text, source=source)

    events: list[Event] = []
    for new in (
        at(1, "problem", "no-link", "None has a link."),
        at(2, "problem", "storage-full", "It is full."),
        at(3, "login", "192.0.2.1", "Logged in"),
        at(4, "problem-over", "no-link", "No longer a problem: None has a link."),
        at(5, "problem", "no-link", "None has a link."),  # counted in the first line
        at(6, "problem-over", "storage-full", "No longer a problem: It is full."),
    ):
        events = added(events, new)
    assert len(events) == 5
    assert open_problems(events) == {"no-link": "None has a link."}
