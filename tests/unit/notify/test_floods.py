"""What people do is told one by one, but for floods."""

from collections.abc import Iterable

import pytest

from allegro.events.event import Event
from allegro.notify.floods import OF_KIND, OF_SOURCE, PERIOD_NS, Shares

pytestmark = pytest.mark.spec("S7", "X7")

AT = 1_795_271_405_000_000_000
MORE = "More of the kind login-failed is not told for up to an hour; the page Log counts it"


def failed(source: str, at_ns: int = AT) -> Event:
    return Event(at_ns, "login-failed", "Wrong password", "admin", source, last_ns=at_ns)


def told(shares: Shares, events: Iterable[Event]) -> list[tuple[str, str, str]]:
    return [(each.text, each.who, each.source) for each in map(shares.told_as, events) if each is not None]


def test_one_source_is_told_so_often_and_then_that_there_are_more() -> None:
    shares = Shares()
    assert told(shares, [failed("192.0.2.1")] * 1000) == [
        *[("Wrong password", "admin", "192.0.2.1")] * OF_SOURCE,
        (MORE, "", "192.0.2.1"),
    ]
    assert told(shares, [failed("192.0.2.2")]) == [("Wrong password", "admin", "192.0.2.2")]


def test_many_sources_are_told_so_often_together_and_leave_other_kinds_alone() -> None:
    shares = Shares()
    heard = told(shares, [failed(f"192.0.2.{number}") for number in range(200)])
    assert heard[OF_KIND - 1 :] == [("Wrong password", "admin", f"192.0.2.{OF_KIND - 1}"), (MORE, "", "")]
    login = Event(AT, "login", "Logged in to the page", "anna", "192.0.2.1", last_ns=AT)
    assert shares.told_as(login) is login


@pytest.mark.parametrize("later_ns", [PERIOD_NS, -1])
def test_an_hour_later_or_with_the_clock_set_back_it_begins_anew(later_ns: int) -> None:
    shares = Shares()
    told(shares, [failed("192.0.2.1")] * 100)
    assert shares.told_as(failed("192.0.2.1", AT + PERIOD_NS - 1)) is None
    again = failed("192.0.2.1", AT + later_ns)
    assert shares.told_as(again) is again
