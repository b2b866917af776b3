"""Says in plain words what of a window is missing in an extracted file, and why. No I/O.

Times are nanoseconds since 1970 (UTC).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from allegro.words import duration, exact_moment

NS = 1_000_000_000

ALIVE_NS = 5 * NS
"""The recorder says about once a second that it lives; one that did so this recently is taken as running."""

JOIN_NS = 5 * NS
"""Losses no further apart than this are told as one."""

MOST_LOSSES = 10
"""Occasions of loss told one by one per port; a summary tells the rest."""

OVERWRITTEN = "were already overwritten"
DAMAGED = "are damaged on the disk"


@dataclass(frozen=True)
class Window:
    """What was asked for; both ends belong to it."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Up:
    """A period in which the recorder was running, as far as it could still say so."""

    start_ns: int
    alive_ns: int


@dataclass(frozen=True)
class Ring:
    """What the ring had: times of its oldest and newest packet (None: it is empty), whether older ones
    have been overwritten, and when the recorder was up (empty: not known)."""

    bounds: tuple[int, int] | None
    wrapped: bool
    up: Sequence[Up]


@dataclass
class Span:
    """A number of packets (or records) between two times."""

    count: int
    start_ns: int
    end_ns: int

    def include(self, count: int, start_ns: int, end_ns: int) -> None:
        """Adds some, which may reach further on both sides."""
        self.count += count
        self.start_ns = min(self.start_ns, start_ns)
        self.end_ns = max(self.end_ns, end_ns)


@dataclass
class Findings:
    """What was found out while the records were read; small, however long the window is."""

    system_losses: dict[str, list[Span]] = field(default_factory=dict)
    card_losses: dict[str, list[Span]] = field(default_factory=dict)
    holes: dict[tuple[str, str], Span] = field(default_factory=dict)
    missing_records: Span | None = None
    clock_set_back_ns: int | None = None

    def lose(self, losses: dict[str, list[Span]], port: str, count: int, start_ns: int, end_ns: int) -> None:
        """Counts packets that never came into the ring; `losses` is one of the two tables above."""
        spans = losses.setdefault(port, [])
        if spans and (start_ns - spans[-1].end_ns <= JOIN_NS or len(spans) > MOST_LOSSES):
            spans[-1].include(count, start_ns, end_ns)
        else:
            spans.append(Span(count, start_ns, end_ns))

    def hole(self, reason: str, port: str, packets: int, start_ns: int, end_ns: int) -> None:
        """Counts packets that were in the ring, but could not be read any more."""
        _include(self.holes, (reason, port), packets, start_ns, end_ns)

    def miss(self, records: int, start_ns: int, end_ns: int) -> None:
        """Counts records that should be there by their numbers."""
        if self.missing_records is None:
            self.missing_records = Span(0, start_ns, end_ns)
        self.missing_records.include(records, start_ns, end_ns)

    def drops(self, port: str) -> int:
        """Packets lost between kernel and ring."""
        return sum(span.count for span in self.system_losses.get(port, ()))

    def nic_missed(self, port: str) -> int:
        """Packets lost by the network card."""
        return sum(span.count for span in self.card_losses.get(port, ()))


def notes(window: Window, ring: Ring, findings: Findings, packets: int, now_ns: int) -> list[str]:
    """One sentence per thing that a reader of the file must know; none if the window is covered completely.

    `packets` is how many the file holds, `now_ns` the time of the extraction.
    """
    told = [*_reach(window, ring), *_future(window, now_ns), *_downtimes(window, ring.up, now_ns)]
    if findings.clock_set_back_ns is not None:
        told.append(
            f"The device's clock was set back near {exact_moment(findings.clock_set_back_ns)}: "
            "packets around that time are not in the order of their times."
        )
    told += _losses(findings.system_losses, "because the recorder could not keep up")
    told += _losses(findings.card_losses, "in the network card")
    for (reason, port), span in sorted(findings.holes.items()):
        told.append(f"Up to {_packets(span.count)} of {port} {_between(span)} are missing: they {reason}.")
    if findings.missing_records is not None:
        span = findings.missing_records
        pieces = "1 piece" if span.count == 1 else f"{span.count} pieces"
        verb = "is" if span.count == 1 else "are"
        told.append(f"{pieces} of the recording {_between(span)} {verb} missing: damaged or overwritten.")
    if packets:
        return told
    if told:
        return ["No packet is in this file.", *told]
    return ["No packet is in this file: nothing was received on any measuring port in this window."]


def _reach(window: Window, ring: Ring) -> list[str]:
    if ring.bounds is None:
        return ["The ring holds no packets."]
    oldest = ring.bounds[0]
    if not ring.wrapped or window.start_ns >= oldest:
        return []
    if window.end_ns < oldest:
        return [f"The ring reaches back only to {exact_moment(oldest)}: the whole window lies before that."]
    missing = duration((oldest - window.start_ns) / NS)
    reach = f"The ring reaches back only to {exact_moment(oldest)}"
    return [f"{reach}: the first {missing} of the window are missing."]


def _future(window: Window, now_ns: int) -> list[str]:
    if window.start_ns > now_ns:
        return [f"The window begins in the future; this file was made at {exact_moment(now_ns)}."]
    if window.end_ns > now_ns:
        missing = duration((window.end_ns - now_ns) / NS)
        return [f"This file was made at {exact_moment(now_ns)}, {missing} before the end of the window."]
    return []


def _downtimes(window: Window, up: Sequence[Up], now_ns: int) -> list[str]:
    """The parts of the window, as far as it is past, in which no recorder was running."""
    if not up:
        return []
    told = []
    end_ns = min(window.end_ns, now_ns)
    covered_ns = window.start_ns
    # Not the one that started last: the clock may have been set back since.
    latest = min(up, key=lambda run: abs(now_ns - run.alive_ns))
    for run in sorted(up, key=lambda run: run.start_ns):
        if run.start_ns > covered_ns:
            told += _downtime(covered_ns, min(run.start_ns, end_ns))
        alive_ns = run.alive_ns
        if run is latest and now_ns - alive_ns <= ALIVE_NS:
            alive_ns = now_ns
        covered_ns = max(covered_ns, alive_ns)
    return told + _downtime(covered_ns, end_ns)


def _downtime(start_ns: int, end_ns: int) -> list[str]:
    if end_ns <= start_ns:
        return []
    start, end, length = exact_moment(start_ns), exact_moment(end_ns), duration((end_ns - start_ns) / NS)
    return [f"The recorder was not running from {start} to {end} ({length})."]


def _losses(losses: dict[str, list[Span]], why: str) -> Iterable[str]:
    for port, spans in sorted(losses.items()):
        for span in spans:
            verb = "was" if span.count == 1 else "were"
            when = _between(span).replace("between", "between about")
            yield f"{_packets(span.count)} {verb} lost on {port} {when} {why}."


def _packets(count: int) -> str:
    return "1 packet" if count == 1 else f"{count} packets"


def _between(span: Span) -> str:
    start, end = exact_moment(span.start_ns), exact_moment(span.end_ns)
    return f"at about {start}" if start == end else f"between {start} and {end}"


def _include(
    table: dict[tuple[str, str], Span], key: tuple[str, str], count: int, start_ns: int, end_ns: int
) -> None:
    if key in table:
        table[key].include(count, start_ns, end_ns)
    else:
        table[key] = Span(count, start_ns, end_ns)
