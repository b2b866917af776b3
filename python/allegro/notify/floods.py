"""How often what people do is told: each event, until it would be a flood. Rules only, no I/O.

Who can make such events at will (a wrong password needs no account) neither floods people nor pushes out what
else is to be told. The list of events counts everything.
"""

from collections import Counter
from dataclasses import replace

from allegro.events.event import Event
from allegro.words import SECOND_NS

PERIOD_NS = 3600 * SECOND_NS
OF_SOURCE = 20
OF_KIND = 40
"""Events told in a period: of one kind from one source, and of one kind."""


class Shares:
    """What has been told in this period. Times are those of the events; clocks may be set back."""

    def __init__(self) -> None:
        self._since_ns = 0
        self._told: Counter[tuple[str, str]] = Counter()
        self._told_of_kind: Counter[str] = Counter()

    def told_as(self, event: Event) -> Event | None:
        """The event, the one that says that no more of these are told, or None."""
        if not 0 <= event.time_ns - self._since_ns < PERIOD_NS:
            self._since_ns = event.time_ns
            self._told.clear()
            self._told_of_kind.clear()
        if self._told_of_kind[event.kind] > OF_KIND:
            return None
        place = event.kind, event.source
        if self._told[place] > OF_SOURCE:
            return None
        self._told[place] += 1
        self._told_of_kind[event.kind] += 1
        if self._told_of_kind[event.kind] > OF_KIND:
            return replace(event, text=_more(event), who="", source="", count=1)
        if self._told[place] > OF_SOURCE:
            return replace(event, text=_more(event), who="", count=1)
        return event


def _more(event: Event) -> str:
    return f"More of the kind {event.kind} is not told for up to an hour; the page Log counts it"
