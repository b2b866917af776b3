"""Gathers from the records of a window what was lost, was away or was set meanwhile. No I/O of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from allegro.capture.extraction import coverage
from allegro.capture.extraction.coverage import Away, Findings, Window
from allegro.capture.extraction.timeline import Timeline
from allegro.capture.ring import news
from allegro.capture.ring.losses import NO_LOSSES
from allegro.capture.ring.record import FLAG_NEWS, Record, fields
from allegro.capture.ring.segments import Run

NS = 1_000_000_000

MARGIN_NS = 2 * NS
"""Losses are told with the record that the recorder wrote next, but may have happened after its packets,
while the disk was behind: those of records this close to the window are looked at too."""

SAMPLE_NS = NS // 4
"""The recorder asks for losses this often."""

DISORDER_NS = 5 * NS
"""How far the order of the records on disk may differ from the order of their times: each port's blocks wait
for themselves until the recorder writes them."""

BEYOND = 64
"""Records looked at behind the window: the first ones say what was missing until then."""

_SEEN = fields("sequence", "boot_id", "first_boot_ns", "losses", "flags", "packets", "port_name")

_OPENING_NS = 5 * NS
"""A port that is opened this soon after the recorder's start was not away before."""


class Watch:
    """What the records say, put into `findings`; `read_news` reads a record of news."""

    def __init__(
        self,
        window: Window,
        timeline: Timeline,
        runs: Iterable[Run],
        findings: Findings,
        read_news: Callable[[Record], tuple[news.News, ...]],
    ) -> None:
        self._window = window
        self._timeline = timeline
        self.findings = findings
        self._read_news = read_news
        self._began: dict[int, int] = {}
        for run in runs:  # of which a ring in memory may have a part
            if (span := timeline.run(run)) is not None:
                self._began.setdefault(run.run, span[0])
        self._last_of_port: dict[str, Record] = {}
        self._gaps: list[tuple[int, int, int]] = []
        self._away: dict[tuple[str, str], int] = {}

    def pass_on(self, records: Iterable[Record]) -> Iterator[tuple[int, Record]]:
        """The records with packets, each with the moment of its first, in their order on disk, until some way
        behind the window."""
        previous: Record | None = None
        beyond = 0
        unplaced, far_ns = self._timeline.unplaced, self._window.end_ns + DISORDER_NS
        offset_of, first, see = self._timeline.offsets.get, self._timeline.first, self.see
        last_of_port, expected = self._last_of_port, -1
        for record in records:
            sequence, boot_id, first_boot_ns, losses, flags, packets, port = _SEEN(record)
            if unplaced and boot_id in unplaced:
                continue
            if previous is not None and (sequence != expected or not boot_id):
                self._note_gap(previous, record)
            expected, previous = sequence + 1, record
            offset_ns = offset_of(boot_id)
            first_ns = first(record) if offset_ns is None else first_boot_ns + offset_ns
            if losses is NO_LOSSES and packets and boot_id and not flags & FLAG_NEWS:  # `see` in short
                last_of_port[port] = record
                yield first_ns, record
            elif see(record):
                yield first_ns, record
            if first_ns > far_ns:
                beyond += 1
                if beyond >= BEYOND:
                    break
        self.finish()

    def see(self, record: Record) -> bool:
        """Notes what a single record says, which has a place on the time line; whether it holds packets."""
        if record.losses is not NO_LOSSES:
            self._note_losses(record)
        self._last_of_port[record.port_name] = record
        if record.flags & FLAG_NEWS:
            for told in self._read_news(record):
                self._note(told, record)
            return False
        if record.packets and not record.boot_id:  # by version 0.1.0, which knows no rules
            self.findings.slicing.opened(record.port_name, self._timeline.first(record))
        return bool(record.packets)

    def take(self) -> Findings:
        """What was found since the last time."""
        found, self.findings = self.findings, Findings()
        return found

    def _note_gap(self, previous: Record, record: Record) -> None:
        if not record.boot_id and record.first_ns < previous.first_ns - DISORDER_NS:
            self.findings.clock_set_back_ns = self._timeline.last(previous)
        same = previous.segment is record.segment
        if not same and previous.segment.path.parent != record.segment.path.parent:
            return  # another ring has numbers of its own
        missing = record.sequence - previous.sequence - 1
        if previous.run == record.run and missing > 0:
            start_ns, end_ns = sorted((self._timeline.last(previous), self._timeline.first(record)))
            if self._window.start_ns <= start_ns and end_ns <= self._window.end_ns:
                self._gaps.append((missing, start_ns, end_ns))

    def _note_losses(self, record: Record) -> None:
        timeline, window, losses = self._timeline, self._window, record.losses
        if any(losses):
            first_ns, last_ns = timeline.first(record), timeline.last(record)
            if record.boot_id and losses.until_boot_ns:
                start_ns = timeline.moment(record, losses.from_boot_ns)
                end_ns = timeline.moment(record, losses.until_boot_ns)
                told = start_ns <= window.end_ns and end_ns >= window.start_ns
            else:
                # Somewhere from the port's record before this one until this one was written.
                before = self._last_of_port.get(record.port_name)
                start_ns = min(timeline.last(before) if before else first_ns, first_ns) - SAMPLE_NS
                end_ns = last_ns
                told = start_ns <= window.end_ns and end_ns + MARGIN_NS >= window.start_ns
            if told:
                for kind in coverage.KINDS:
                    if count := getattr(losses, kind):
                        self.findings.lose(kind, record.port_name, count, start_ns, end_ns)

    def _note(self, told: news.News, record: Record) -> None:
        if not record.boot_id:
            return
        moment = self._timeline.moment(record, told.boot_ns)
        began_ns = self._began.get(record.run, moment)
        match told:
            case news.RingOpened() if told.begun:
                self.findings.away.append(Away(coverage.BEGUN, "", None, moment, told.reason))
            case news.RingOpened():
                since_ns = began_ns
                if told.since_boot_ns:
                    since_ns = self._timeline.moment(record, told.since_boot_ns)
                self.findings.away.append(Away(coverage.RING, "", since_ns, moment, told.reason))
            case news.PortClosed():
                self._away.setdefault((coverage.PORT, told.port), moment)
            case news.PortOpened():
                self.findings.slicing.opened(told.port, moment)
                if moment - began_ns <= _OPENING_NS:
                    self.findings.opened.setdefault(record.run, moment)
                self._back(coverage.PORT, told.port, moment, began_ns)
            case news.LinkDown():
                self._away.setdefault((coverage.LINK, told.port), moment)
            case news.LinkUp():
                self._back(coverage.LINK, told.port, moment, began_ns)
            case news.RulesHeld() if moment <= self._window.end_ns:
                self.findings.slicing.held(told.ports, told.text, moment)
            case news.RulesChanged():
                self.findings.slicing.changed(told.ports, told.text, moment)
            case news.Discarded():
                since_ns = self._timeline.moment(record, told.since_boot_ns)
                if since_ns <= self._window.end_ns and moment >= self._window.start_ns:
                    self.findings.slicing.discard(told.port, told.packets, since_ns, moment)
            case news.ClockStepped():
                if self._window.start_ns <= moment and moment - told.within_ns <= self._window.end_ns:
                    self.findings.steps.append((told.wall_ns - told.size_ns, told.size_ns))

    def _back(self, what: str, port: str, moment: int, began_ns: int) -> None:
        since_ns = self._away.pop((what, port), None)
        if since_ns is not None or moment - began_ns > _OPENING_NS:
            self.findings.away.append(Away(what, port, since_ns, moment))

    def finish(self) -> None:
        """Nothing more comes: what is still away, and numbers that are missing."""
        for (what, port), since_ns in self._away.items():
            self.findings.away.append(Away(what, port, since_ns, None))
        for missing, start_ns, end_ns in self._gaps:
            if not self._explained(start_ns, end_ns):
                self.findings.miss(missing, start_ns, end_ns)

    def _explained(self, start_ns: int, end_ns: int) -> bool:
        """Whether numbers are missing because the disk refused records, or the ring was opened anew."""
        spans = [
            (span.start_ns, span.end_ns)
            for (kind, _), spans in self.findings.losses.items()
            if kind == "unwritten"
            for span in spans
        ]
        spans += [
            (away.start_ns, away.end_ns)
            for away in self.findings.away
            if away.what == coverage.RING and away.start_ns is not None and away.end_ns is not None
        ]
        return any(begin <= end_ns + MARGIN_NS and end >= start_ns - MARGIN_NS for begin, end in spans)
