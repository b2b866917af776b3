"""Says in plain words what of a window is missing in an extracted file, and why. No I/O.

Times are nanoseconds since 1970 (UTC).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from allegro.capture.extraction.sliced import Slicing
from allegro.words import duration, exact_moment

NS = 1_000_000_000

ALIVE_NS = 5 * NS
"""The recorder says about once a second that it lives; one that did so this recently is taken as running."""

JOIN_NS = 5 * NS
"""Losses no further apart than this are told as one."""

MOST_LOSSES = 10
"""Occasions of loss told one by one per port; a summary tells the rest."""

MOST_AWAYS = 20

LONGEST_BACKLOG_NS = 600 * NS
"""What comes in may wait this long in memory for a disk that stands still."""

SHORTEST_TOLD_NS = 1_000_000
"""What times in sentences resolve."""

SHORTEST_AWAY_NS = 500_000_000
"""What was away for less is not told: opening a ring or a port takes a moment."""

OTHER_TIMES = (
    "All other times in these notes are by the clock as it was set when this capture was asked for;"
    " packets have those of then."
)
"""Where the clock was set: the window is one time line, that of the press (see `timeline`)."""

OVERWRITTEN = "were already overwritten"
DAMAGED = "are damaged on the disk"
PULLED = "are on a disk that is not there any more"


@dataclass(frozen=True)
class Window:
    """What was asked for; both ends belong to it."""

    start_ns: int
    end_ns: int


KINDS = {
    "drops": "because the recorder could not keep up",
    "unwritten": "because the disk refused them",
    "unrecorded": "because the ring or the port was not open yet",
    "missed": "in the network card",
    "fifo": "in the network card, whose FIFO overran",
    "over": "in the network card, whose receive buffers overran",
    "crc": "as they were damaged on the wire",
    "length": "as they were too long or too short",
}
"""What a port can lose (fields of `allegro.capture.ring.losses.Losses`), and how it is told. `dropped` is not
among them: the kernel counts there also what was recorded."""

SYSTEM_KINDS = ("drops", "unwritten", "unrecorded")
CARD_KINDS = ("missed", "fifo", "over")
REFUSED_KINDS = ("crc", "length")

RING, PORT, LINK, BEGUN = "ring", "port", "link", "begun"


@dataclass(frozen=True)
class Away:
    """Something (RING, PORT or LINK) was not there; None: since before, or still. BEGUN: the ring holds
    nothing of before `end_ns`, when it took the place of another one."""

    what: str
    port: str
    start_ns: int | None
    end_ns: int | None
    reason: str = ""


@dataclass(frozen=True)
class Up:
    """A period in which the recorder was running, and up to `alive_ns` had everything on disk.

    `running`: it still is. `ended`: it ended at `alive_ns`; else it may have run longer, and what came in
    then was still in memory. `left`: it took another ring into use then.
    """

    start_ns: int
    alive_ns: int
    running: bool = False
    ended: bool = True
    left: bool = False


@dataclass(frozen=True)
class Ring:
    """What the ring had: whether it is empty, the time of its oldest packet if older ones have been
    overwritten, when the recorder was up (empty: not known), and from when on the device had been
    running if nothing can be said of what is older."""

    empty: bool
    oldest_ns: int | None
    up: Sequence[Up]
    unplaced_before_ns: int | None = None


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

    losses: dict[tuple[str, str], list[Span]] = field(default_factory=dict)
    away: list[Away] = field(default_factory=list)
    opened: dict[int, int] = field(default_factory=dict)
    """When a run had opened its first port: before that it received nothing."""
    steps: list[tuple[int, int]] = field(default_factory=list)
    """What the clock said when it was set, and by how much (both ns)."""
    large: dict[str, int] = field(default_factory=dict)
    unfinished: dict[str, int] = field(default_factory=dict)
    shortened: dict[str, int] = field(default_factory=dict)
    slicing: Slicing = field(default_factory=Slicing)
    holes: dict[tuple[str, str], Span] = field(default_factory=dict)
    missing_records: Span | None = None
    clock_set_back_ns: int | None = None

    def lose(self, kind: str, port: str, count: int, start_ns: int, end_ns: int) -> None:
        """Counts packets that never came into the ring; `kind` is one of KINDS."""
        spans = self.losses.setdefault((kind, port), [])
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
        return self._lost(SYSTEM_KINDS, port)

    def nic_missed(self, port: str) -> int:
        """Packets lost by the network card."""
        return self._lost(CARD_KINDS, port)

    def refused(self, port: str) -> int:
        """Frames that the network card refused."""
        return self._lost(REFUSED_KINDS, port)

    def _lost(self, kinds: Iterable[str], port: str) -> int:
        return sum(span.count for kind in kinds for span in self.losses.get((kind, port), ()))


def notes(
    window: Window,
    ring: Ring,
    findings: Findings,
    packets: int,
    now_ns: int,
    rejected: int = 0,
    said_ns: int | None = None,
) -> list[str]:
    """One sentence per thing that a reader of the file must know; none if the window is covered completely.

    `packets` is how many the file holds, `now_ns` the time of the extraction, `rejected` how many packets of
    the window the ring holds that did not match the filter, `said_ns` how far the recorder said that the ring
    is complete, if nothing later is in the file because of that.
    """
    begun_ns = max((away.end_ns or 0 for away in findings.away if away.what == BEGUN), default=0)
    told = [*_reach(window, ring), *_future(window, now_ns), *_downtimes(window, ring, now_ns, begun_ns)]
    told += _unsaid(window, ring, said_ns)
    told += happenings(window, findings)
    steps = list(_steps(findings.steps))
    if steps and len(told) > len(steps):
        told.append(OTHER_TIMES)
    if packets:
        return told
    if rejected:
        matching = "The only packet" if rejected == 1 else f"None of the {rejected} packets"
        verb = "does not match" if rejected == 1 else "matches"
        first = f"No packet is in this file. {matching} that the ring holds of this window {verb} the filter."
        return [first, *told]
    if told:
        return ["No packet is in this file.", *told]
    return ["No packet is in this file: nothing was received on any measuring port in this window."]


def happenings(window: Window, findings: Findings) -> list[str]:
    """One sentence per thing that was found in the records."""
    told = []
    if findings.clock_set_back_ns is not None:
        told.append(
            f"The device's clock was set back near {exact_moment(findings.clock_set_back_ns)}: "
            "packets around that time are not in the order of their times."
        )
    told += _steps(findings.steps)
    told += _aways(window, findings.away)
    told += _losses(findings.losses)
    told += findings.slicing.notes(window.start_ns, window.end_ns, findings.shortened)
    told += _offloads(findings)
    for (reason, port), span in sorted(findings.holes.items()):
        told.append(f"Up to {_packets(span.count)} of {port} {_between(span)} are missing: they {reason}.")
    if findings.missing_records is not None:
        span = findings.missing_records
        pieces = "1 piece" if span.count == 1 else f"{span.count} pieces"
        verb = "is" if span.count == 1 else "are"
        told.append(f"{pieces} of the recording {_between(span)} {verb} missing: damaged or overwritten.")
    return told


def _reach(window: Window, ring: Ring) -> list[str]:
    if ring.empty:
        return ["The ring holds no packets."]
    oldest = ring.oldest_ns
    if oldest is None or window.start_ns >= oldest:
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


def _downtimes(window: Window, ring: Ring, now_ns: int, begun_ns: int) -> list[str]:
    """The parts of the window, as far as it is past, in which no recorder was running; but for what is older
    than the ring, or than `begun_ns`, which is told already."""
    up = ring.up
    if not up:
        return []
    told = []
    end_ns = min(window.end_ns, now_ns)
    covered_ns = max(window.start_ns, begun_ns, ring.oldest_ns or 0)
    if ring.unplaced_before_ns is not None and covered_ns < ring.unplaced_before_ns:
        covered_ns = min(ring.unplaced_before_ns, end_ns)
        told.append(
            f"The device was started at {exact_moment(ring.unplaced_before_ns)}. What was recorded before"
            " is not in this file: how long ago that was is not known, as the clock stood still meanwhile."
            " Once the clock is set, it can be captured by its time."
        )
    # Not the one that started last: the clock may have been set back since.
    latest = min(up, key=lambda run: abs(now_ns - run.alive_ns))
    last: Up | None = None
    for run in sorted(up, key=lambda run: run.start_ns):
        if run.start_ns > covered_ns:
            told += _downtime(covered_ns, min(run.start_ns, end_ns), last)
        if last is None or run.alive_ns > last.alive_ns:
            last = run
        alive_ns = run.alive_ns
        if run is latest and not run.running and now_ns - alive_ns <= ALIVE_NS:
            alive_ns = now_ns
        covered_ns = max(covered_ns, alive_ns)
    if latest.running and covered_ns == max(latest.alive_ns, window.start_ns):
        return told + _not_yet(covered_ns, end_ns)
    return told + _downtime(covered_ns, end_ns, last)


def _unsaid(window: Window, ring: Ring, said_ns: int | None) -> list[str]:
    """What the recorder may have taken in after that; when none was running is told already."""
    if said_ns is None or window.end_ns - said_ns < SHORTEST_AWAY_NS:
        return []
    up = (run for run in ring.up if run.start_ns < window.end_ns)
    if ring.up and all(run.alive_ns - said_ns < SHORTEST_AWAY_NS for run in up):
        return []
    return [
        f"The recorder did not say in time that what came in after {exact_moment(said_ns)} is on the disk:"
        " packets of this window may be missing from then on."
    ]


def _not_yet(start_ns: int, end_ns: int) -> list[str]:
    if end_ns - start_ns < SHORTEST_AWAY_NS:
        return []
    length = duration((end_ns - start_ns) / NS)
    return [
        f"The disk was behind: what came in after {exact_moment(start_ns)}, the last {length} of the window,"
        " was not on it yet when this file was made."
    ]


def _downtime(start_ns: int, end_ns: int, before: Up | None) -> list[str]:
    """`before` is the run that was up last until then."""
    if end_ns <= start_ns:
        return []
    start, end, length = exact_moment(start_ns), exact_moment(end_ns), duration((end_ns - start_ns) / NS)
    when = f"from {start} to {end} ({length})"
    if end_ns - start_ns < SHORTEST_TOLD_NS:
        when = f"for less than {duration(SHORTEST_TOLD_NS / NS)} at {start}"
    cut_off = before is not None and not before.ended and start_ns - before.alive_ns <= LONGEST_BACKLOG_NS
    perhaps = ", or had not written yet what came in" if cut_off else ""
    if before is not None and before.left:
        perhaps = ", or kept packets in another ring (on another disk, or in memory)"
    return [f"The recorder was not running {when}{perhaps}."]


def _losses(losses: dict[tuple[str, str], list[Span]]) -> Iterable[str]:
    for kind, why in KINDS.items():
        for (lost, port), spans in sorted(losses.items()):
            for span in spans if lost == kind else ():
                verb = "was" if span.count == 1 else "were"
                when = _between(span).replace("between", "between about")
                if kind in REFUSED_KINDS:
                    frames = "1 frame" if span.count == 1 else f"{span.count} frames"
                    yield f"{frames} {verb} refused by the network card of {port} {when}, {why}."
                else:
                    yield f"{_packets(span.count)} {verb} lost on {port} {when} {why}."


def _steps(steps: Sequence[tuple[int, int]]) -> Iterable[str]:
    for before_ns, size_ns in steps[:MOST_LOSSES]:
        direction, length = "forward" if size_ns > 0 else "back", duration(abs(size_ns) / NS)
        yield (
            f"The device's clock was set {direction} by {length}, from {exact_moment(before_ns)} to"
            f" {exact_moment(before_ns + size_ns)}; packets stand in the order in which they came in."
        )
    if len(steps) > MOST_LOSSES:
        yield f"The device's clock was set {len(steps) - MOST_LOSSES} more times."


def _aways(window: Window, aways: Sequence[Away]) -> Iterable[str]:
    told = [away for away in aways if _touches(window, away)]
    for away in told[:MOST_AWAYS]:
        start_ns, end_ns = away.start_ns, away.end_ns
        when = f" from {exact_moment(start_ns)}" if start_ns is not None else ""
        when += f" to {exact_moment(end_ns)}" if end_ns is not None else " on"
        when = when if start_ns is not None else when.replace(" to ", " until ")
        if start_ns is not None and end_ns is not None:
            when += f" ({duration((end_ns - start_ns) / NS)})"
        reason = away.reason.rstrip(".")
        if away.what == BEGUN:
            begun = f"The packet ring was begun anew at {exact_moment(end_ns or 0)}"
            yield f"{begun}{f': {reason}' if reason else ''}. It holds nothing that came in before."
        elif away.what == RING:
            yield f"The packet ring was not open{when}{f': {reason}' if reason else ''}."
        else:
            yield f"{away.port} {'had no link' if away.what == LINK else 'was not there'}{when}."
    if len(told) > MOST_AWAYS:
        yield f"Ports or links were away {len(told) - MOST_AWAYS} more times."


def _touches(window: Window, away: Away) -> bool:
    start_ns = window.start_ns if away.start_ns is None else away.start_ns
    end_ns = window.end_ns if away.end_ns is None else away.end_ns
    return start_ns <= window.end_ns and end_ns >= window.start_ns and end_ns - start_ns >= SHORTEST_AWAY_NS


def _offloads(findings: Findings) -> Iterable[str]:
    for port, count in _counted(findings.large):
        yield (
            f"{_packets(count)} of {port} came larger than on the wire, as the host of this virtual machine"
            " handed them over: switch off segmentation offload there."
        )
    for port, count in _counted(findings.unfinished):
        verb = "has" if count == 1 else "have"
        yield (
            f"{_packets(count)} of {port} {verb} no checksum, as the host of this virtual machine left it to"
            " a network card: switch off checksum offload there."
        )


def _counted(ports: dict[str, int]) -> list[tuple[str, int]]:
    """The ports that have any, in their order."""
    return sorted((port, count) for port, count in ports.items() if count)


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
