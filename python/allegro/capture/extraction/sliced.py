"""What slicing rules did to the packets of a window: which held from when, what was discarded or is shorter.

Times are moments on the time line of the extraction, in ns. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from allegro.words import exact_moment

MOST_CHANGES = 10
"""Told one by one; more are counted."""


@dataclass(frozen=True)
class _Change:
    """From this moment on (0: since before anything is known) the rules were these (empty: none)."""

    moment: int
    text: str


@dataclass
class _Discarded:
    packets: int
    start_ns: int
    end_ns: int


@dataclass
class Slicing:
    """What the news of the window say; small, however long the window is and however often they say it."""

    _changes: dict[str, list[_Change]] = field(default_factory=dict)
    _discarded: dict[str, _Discarded] = field(default_factory=dict)

    def opened(self, port: str, moment: int) -> None:
        """The port was opened: no rules hold but those that are told with that, whatever was told before."""
        if port in self._changes:
            self.changed(port, "", moment)

    def held(self, ports: str, text: str, moment: int) -> None:
        """At this moment these rules held on these ports, and had held."""
        for port in ports.split(", "):
            known = self._changes.setdefault(port, [_Change(0, text)])
            if known[-1] == _Change(moment, ""):  # the port was just opened
                known.pop()
            if known[-1].text != text:
                known.append(_Change(moment, text))

    def changed(self, ports: str, text: str, moment: int) -> None:
        """From this moment on these rules held on these ports."""
        for port in ports.split(", "):
            known = self._changes.setdefault(port, [_Change(0, "")])
            if known[-1].text != text:
                known.append(_Change(moment, text))

    def discard(self, port: str, packets: int, start_ns: int, end_ns: int) -> None:
        """So many packets of a port were discarded by a rule between these moments."""
        known = self._discarded.setdefault(port, _Discarded(0, start_ns, end_ns))
        known.packets += packets
        known.start_ns, known.end_ns = min(known.start_ns, start_ns), max(known.end_ns, end_ns)

    def discarded(self, port: str) -> int:
        """About how many packets of a port were discarded."""
        known = self._discarded.get(port)
        return known.packets if known else 0

    def notes(self, start_ns: int, end_ns: int, shortened: dict[str, int]) -> list[str]:
        """One sentence per thing that a reader of the file must know; so many packets of each port are
        `shortened`: in the file with less bytes than they had on the wire."""
        return [*self._rules(start_ns, end_ns), *_shortened(shortened), *self._told_discarded()]

    def _rules(self, start_ns: int, end_ns: int) -> Iterator[str]:
        alike: dict[tuple[_Change, ...], list[str]] = {}
        for port, changes in self._changes.items():
            alike.setdefault(tuple(_within(changes, start_ns, end_ns)), []).append(port)
        for found, ports in alike.items():
            where = ", ".join(ports) or "all ports"
            for change in found[:MOST_CHANGES]:
                if change.moment <= start_ns:
                    if change.text:
                        yield f"Rules for what is kept of packets of {where}: {change.text}."
                elif change.text:
                    yield f"From {exact_moment(change.moment)} on, the rules for {where} were: {change.text}."
                else:
                    yield f"From {exact_moment(change.moment)} on, packets of {where} were kept whole."
            if len(found) > MOST_CHANGES:
                yield f"The rules for {where} changed {len(found) - MOST_CHANGES} more times."

    def _told_discarded(self) -> Iterator[str]:
        for port, known in sorted(self._discarded.items()):
            what = "1 packet" if known.packets == 1 else f"About {known.packets} packets"
            when = f"between {exact_moment(known.start_ns)} and {exact_moment(known.end_ns)}"
            verb = "was" if known.packets == 1 else "were"
            yield f"{what} of {port} {verb} discarded by a rule {when}."


def _within(changes: Iterable[_Change], start_ns: int, end_ns: int) -> Iterator[_Change]:
    """What held at the beginning of the window, and what came in it."""
    before: _Change | None = None
    inside = []
    for change in changes:
        if change.moment <= start_ns:
            before = change
        elif change.moment <= end_ns:
            inside.append(change)
    if before is not None:
        yield _Change(0, before.text)
    yield from inside


def _shortened(shortened: dict[str, int]) -> Iterator[str]:
    for port, count in sorted(shortened.items()):
        what = "1 packet" if count == 1 else f"{count} packets"
        verb = "is" if count == 1 else "are"
        yield f"{what} of {port} {verb} shorter in this file than on the wire."
