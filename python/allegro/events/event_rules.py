"""What becomes of the list when something happens. Rules only, no I/O.

Nobody can wash the lines of others away: each kind has a share of the list of its own, one source and one
kind get so many lines a day, and what comes beyond that is counted.
"""

from collections.abc import Sequence
from dataclasses import replace

from allegro.events.event import Event
from allegro.words import SECOND_NS

KEPT_OF_KIND = 300
A_DAY_OF_KIND = 100
A_DAY_OF_SOURCE = 20

SAME_NS = 3600 * SECOND_NS
"""What happens again within an hour of the last time is counted."""

DAY_NS = 86_400 * SECOND_NS

BEYOND = "More of these, not listed one by one"
MANY = "several sources"


def added(events: Sequence[Event], new: Event) -> list[Event]:
    """The list (oldest first) with an event in it: as a line of its own, or counted in one that is there."""
    changed = list(events)
    place = _same(changed, new, SAME_NS)
    if place is None:
        told = _within_the_day(changed, new)
        place = _same(changed, told, DAY_NS) if told is not new else None
        new = told
    if place is not None:
        known = changed[place]
        changed[place] = replace(
            known, count=known.count + new.count, last_ns=max(known.last_ns, new.last_ns)
        )
        return changed
    return _appended(changed, new)


def taken_over(events: Sequence[Event], others: Sequence[Event]) -> list[Event]:
    """The list with events of one kind in it that another list keeps, and bounds by itself."""
    known = {(each.kind, each.time_ns, each.text) for each in events}
    changed = list(events)
    for each in others:
        if (each.kind, each.time_ns, each.text) not in known:
            changed = _appended(changed, each)
    return changed


def open_problems(events: Sequence[Event]) -> dict[str, str]:
    """Problems that came and have not gone since: id and text of each."""
    latest: dict[str, Event] = {}
    for each in events:
        if each.kind in ("problem", "problem-over") and each.text != BEYOND:
            known = latest.get(each.source)
            if known is None or each.last_ns >= known.last_ns:
                latest[each.source] = each
    return {source: each.text for source, each in latest.items() if each.kind == "problem"}


def _appended(events: Sequence[Event], new: Event) -> list[Event]:
    changed = [*events, replace(new, id=events[-1].id + 1 if events else 1)]
    of_kind = [place for place, each in enumerate(changed) if each.kind == new.kind]
    if len(of_kind) > KEPT_OF_KIND:
        del changed[of_kind[0]]
    return changed


def _same(events: Sequence[Event], new: Event, within_ns: int) -> int | None:
    """Where the newest event is that says the same. Clocks may be set back."""
    for place in range(len(events) - 1, -1, -1):
        each = events[place]
        if (each.kind, each.who, each.source, each.text) == (new.kind, new.who, new.source, new.text):
            return place if abs(new.last_ns - each.last_ns) < within_ns else None
    return None


def _within_the_day(events: Sequence[Event], new: Event) -> Event:
    today = [each for each in events if each.kind == new.kind and abs(new.time_ns - each.time_ns) < DAY_NS]
    if len(today) >= A_DAY_OF_KIND:
        return replace(new, who="", source=MANY, text=BEYOND)
    if sum(_origin(each) == _origin(new) for each in today) >= A_DAY_OF_SOURCE:
        who = "" if new.kind == "login-failed" else new.who
        return replace(new, who=who, text=BEYOND)
    return new


def _origin(event: Event) -> tuple[str, str]:
    """Who fails to log in chooses the name; the address is what he has."""
    return ("" if event.kind == "login-failed" else event.who, event.source)
