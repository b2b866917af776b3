"""Cuts a window out of the packet ring: the records of the window, merged by time.

What of the window is overwritten, damaged or was never recorded becomes a note in the file; the rest is
still exported. Memory does not grow with the window: records are listed one segment at a time, read in groups
a little ahead of the merge (`reading`), and written through two buffers (`output`).
"""

from __future__ import annotations

import heapq
import itertools
import platform
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from allegro import words
from allegro.capture import _packets, status
from allegro.capture.extraction import coverage, pcapng
from allegro.capture.extraction.contract import LATEST_NS, PortResult, Request, Result
from allegro.capture.extraction.output import Output
from allegro.capture.extraction.reading import Group, ReadAhead
from allegro.capture.extraction.timeline import Timeline, timeline
from allegro.capture.extraction.watching import DISORDER_NS, MARGIN_NS, Watch
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring import news
from allegro.capture.ring.reader import ORDER_SLACK_NS, RecordDamaged, RecordGone, RingReader
from allegro.capture.ring.record import PACKET_SLACK_NS, Record
from allegro.capture.ring.segments import Run
from allegro.errors import Unavailable
from allegro.filters import program
from allegro.system import boottime
from allegro.version import own_version

NS = 1_000_000_000

HEADER_SIZE = 16384
"""Bytes of every file's section header, reserved at the beginning and written at the end."""

COMMENT_LIMIT = HEADER_SIZE - 1024

Report = Callable[[float, int, int], None]
"""Called with progress (0..1), packets and bytes so far."""

_ENTRY = struct.Struct("<QII")


def extract(request: Request, report: Report, courtesy: Courtesy) -> Result:
    """Writes the file. Raises AllegroError, and then there is no file."""
    with RingReader(request.ring_directory) as reader, Output(request.output) as output:
        try:
            cut = _Cut(request, reader, output)
            cut.run(report, courtesy)
            result, header = cut.finish()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Unavailable(
                f"The packet ring cannot be read: {error.strerror}.",
                place=str(request.ring_directory),
                remedy="Check the disk that holds it.",
            ) from error
        output.publish(header)
    return result


class _Source:
    """Packets of a block that are being merged; their stamps are `shift_ns` ahead of the time line."""

    __slots__ = ("block", "group", "index", "interface", "position", "shift_ns")

    def __init__(self, group: Group, block: memoryview, index: bytes, interface: int, shift_ns: int) -> None:
        self.group = group
        self.block = block
        self.index = index
        self.interface = interface
        self.shift_ns = shift_ns
        self.position = 0

    @property
    def exhausted(self) -> bool:
        return self.position * _packets.ENTRY_SIZE >= len(self.index)


class _Cut:
    """One extraction."""

    def __init__(self, request: Request, reader: RingReader, output: Output) -> None:
        self._request = request
        self._window = coverage.Window(request.start_ns, request.end_ns)
        self._reader = reader
        self._output = output
        self._findings = coverage.Findings()
        self._open: list[_Source] = []
        self._names: list[str] = []
        self._packets: list[int] = []
        self._rejected: list[int] = []
        self._programs: dict[str, bytes] = {}
        self._bytes = 0
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._earliest_ns: int | None = None
        self._runs = reader.runs()
        self._line = _line_of(request, self._runs)
        self._wrapped = reader.has_overwritten()
        self._oldest_ns = self._oldest()
        bounds = reader.bounds()
        self._empty = bounds is None
        self._newest_ns = bounds[1] + self._line.correction_ns if bounds else request.end_ns
        self._output.write(bytes(HEADER_SIZE))
        for port in sorted({*request.ports, *reader.ports()}, key=_natural):
            self._interface(port)

    def run(self, report: Report, courtesy: Courtesy) -> None:
        """Writes all packets of the window."""
        window, line = self._window, self._line
        report(0.0, 0, 0)
        watch = Watch(window, line, self._runs, self._findings, self._news)
        records = in_order_of_time(watch.pass_on(self._records()), line, DISORDER_NS)
        with ReadAhead() as ahead:
            for group in ahead.groups(record for record in records if self._wanted(record)):
                begin_ns = line.first(group.records[0])
                courtesy.breathe()
                self._merge_until(begin_ns - ORDER_SLACK_NS - 1, ahead)
                self._load(group, ahead)
                report(self._progress(begin_ns), sum(self._packets), self._bytes)
            self._merge_until(window.end_ns, ahead)
        report(1.0, sum(self._packets), self._bytes)

    def finish(self) -> tuple[Result, bytes]:
        """Writes what stands behind the packets; the result, and what is to stand before them."""
        request, window, findings = self._request, self._window, self._findings
        filtered = bool(request.program)
        counts = [
            PortResult(name, packets, findings.drops(name), findings.nic_missed(name), rejected)
            for name, packets, rejected in zip(self._names, self._packets, self._rejected, strict=True)
        ]
        for interface, count in enumerate(counts):
            statistics = pcapng.Statistics(
                window.start_ns,
                window.end_ns,
                count.packets,
                count.drops,
                count.nic_missed,
                count.rejected if filtered else None,
            )
            self._output.write(pcapng.interface_statistics(interface, statistics))
        packets, rejected = sum(self._packets), sum(self._rejected)
        drops = sum(count.drops + count.nic_missed for count in counts)
        found = coverage.notes(window, self._ring(), findings, packets, self._now(), rejected)
        notes = [*request.notes, *found]
        size = self._output.size
        fields = [
            *_readable(request.comment),
            ("window", f"{words.utc(window.start_ns)} to {words.utc(window.end_ns)}"),
            ("packets", str(packets)),
            ("packets lost in the window", str(drops)),
        ]
        if filtered:
            fields.append(("packets of the window that do not match the filter", str(rejected)))
            fields.append(("filter", request.filter))
        system = platform.uname()
        section = pcapng.Section(
            comment=pcapng.comment_text(fields, notes, COMMENT_LIMIT),
            hardware=system.machine,
            os=f"{system.system} {system.release}"[:200],
            application=f"Allegro {own_version()}",
        )
        header = pcapng.section_header(section, section_length=size - HEADER_SIZE, size=HEADER_SIZE)
        result = Result(packets, self._bytes, size, self._first_ns, self._last_ns, drops, notes, counts)
        return result, header

    def _records(self) -> Iterator[Record]:
        """The records of all starts of the kernel that the window reaches, in their order on disk."""
        window, line = self._window, self._line
        start_ns = max(window.start_ns - MARGIN_NS - DISORDER_NS, 0)
        passes: list[Iterator[Record]] = []
        if not all(run.boot_id for run in self._runs) or not self._runs:
            stamps = (start_ns - line.correction_ns, window.end_ns + DISORDER_NS - line.correction_ns)
            others = self._reader.iterate(max(stamps[0], 0), stamps[1])
            passes.append(record for record in others if record.boot_id not in line.offsets)
        for number, (boot_id, offset_ns) in enumerate(line.offsets.items()):
            following = list(line.offsets.values())[number + 1 :]
            if offset_ns <= window.end_ns and not any(start_ns >= later for later in following):
                begin_ns = max(start_ns - offset_ns, 0)
                passes.append(self._reader.iterate_boot(boot_id, begin_ns, LATEST_NS))
        return itertools.chain.from_iterable(passes)

    def _wanted(self, record: Record) -> bool:
        window, line = self._window, self._line
        return (
            line.last(record) >= window.start_ns - ORDER_SLACK_NS
            and line.first(record) <= window.end_ns + ORDER_SLACK_NS
        )

    def _news(self, record: Record) -> tuple[news.News, ...]:
        try:
            return self._reader.news(record)
        except (RecordGone, RecordDamaged):
            return ()

    def _oldest(self) -> int | None:
        """The moment of the oldest packets in the ring; None if they have no place on the time line."""
        oldest = next((record for record in self._reader.iterate(0, LATEST_NS) if record.packets), None)
        return self._line.first(oldest) if oldest is not None and self._line.has(oldest) else None

    def _now(self) -> int:
        """This moment, on the time line."""
        offset_ns = self._line.offsets.get(bytes.fromhex(boottime.boot_id()))
        if offset_ns is None:
            return time.time_ns() + self._line.correction_ns
        return boottime.now_ns() + offset_ns

    def _ring(self) -> coverage.Ring:
        """The ring as it was for this extraction: what was read before it was overwritten counts as there."""
        oldest_ns, before_ns = self._oldest(), self._oldest_ns
        wrapped = self._wrapped
        if not wrapped and oldest_ns is not None and before_ns is not None:
            wrapped = oldest_ns > before_ns and self._reader.has_overwritten()
        if oldest_ns is not None and self._earliest_ns is not None:
            oldest_ns = min(oldest_ns, self._earliest_ns)
        empty = self._empty and self._reader.bounds() is None
        unplaced_ns = self._line.begin_ns if self._line.unplaced else None
        return coverage.Ring(empty, oldest_ns if wrapped else None, self._ups(), unplaced_ns)

    def _ups(self) -> list[coverage.Up]:
        """When the recorder was up; of one that is running, how far it has come by its own word."""
        said = _recorder(self._request.status_file)
        ups = []
        for run in self._reader.runs():
            span = self._line.run(run)
            if span is None:
                continue
            start_ns, alive_ns = span
            running = said is not None and said.run_id == run.run
            if said is not None and running:
                through_ns = said.complete_through_ns - (run.alive_ns - alive_ns)
                if run.boot_id and said.boot_id == run.boot_id:
                    through_ns = said.complete_through_boot_ns + start_ns - run.start_boot_ns
                alive_ns = max(alive_ns, through_ns)
            start_ns = max(start_ns, self._findings.opened.get(run.run, start_ns))
            ups.append(coverage.Up(start_ns, alive_ns, running, run.ended))
        return ups

    def _load(self, group: Group, ahead: ReadAhead) -> None:
        """Makes sources of the group's blocks."""
        for record, block in zip(group.records, group.blocks, strict=True):
            if isinstance(block, str):
                self._hole(block, record)
                continue
            bounds = max(record.first_ns - PACKET_SLACK_NS, 0), record.last_ns + PACKET_SLACK_NS
            try:
                index = _packets.scan(block[: record.used], *bounds)
            except _packets.BlockError:
                self._hole(coverage.DAMAGED, record)
                ahead.done(group)
                continue
            first_ns = self._line.first(record)
            self._earliest_ns = min(first_ns, self._earliest_ns or first_ns)
            shift_ns = self._line.shift(record)
            if record.step_ns:
                index, later = split_at_step(index, record)
                group.users += 1
                self._add(group, block, later, record.port_name, shift_ns + record.step_ns)
            self._add(group, block, index, record.port_name, shift_ns)

    def _add(self, group: Group, block: memoryview, index: bytes, port: str, shift_ns: int) -> None:
        """Opens the packets of an index that match the filter, and counts the others."""
        interface = self._interface(port)
        if self._request.program:
            packets, (matching,) = _packets.match(
                block, index, self._window.start_ns, self._window.end_ns, shift_ns, (self._program(port),)
            )
            self._rejected[interface] += packets - len(matching) // _packets.ENTRY_SIZE
            index = matching
        self._open.append(_Source(group, block, index, interface, shift_ns))

    def _program(self, port: str) -> bytes:
        """The filter for packets of one port."""
        if port not in self._programs:
            self._programs[port] = program.for_interface(self._request.program, port)
        return self._programs[port]

    def _hole(self, reason: str, record: Record) -> None:
        first_ns, last_ns = self._line.first(record), self._line.last(record)
        self._findings.hole(reason, record.port_name, record.packets, first_ns, last_ns)

    def _merge_until(self, end_ns: int, ahead: ReadAhead) -> None:
        """Writes the packets of the open blocks up to a moment that no later block can fall below."""
        window, findings = self._window, self._findings
        end_ns = min(end_ns, window.end_ns)
        done = end_ns < window.start_ns or not self._open
        while not done:
            sources = [
                (one.block, one.index, one.position, one.interface, one.shift_ns) for one in self._open
            ]
            used, done, first_ns, last_ns, progress = _packets.emit(
                sources, window.start_ns, end_ns, self._output.buffer, self._output.used
            )
            written = 0
            for source, (position, packets, count, large, unfinished, completed) in zip(
                self._open, progress, strict=True
            ):
                source.position = position
                if packets:
                    written += packets
                    self._packets[source.interface] += packets
                    self._bytes += count
                if large or unfinished > completed:
                    name = self._names[source.interface]
                    findings.large[name] = findings.large.get(name, 0) + large
                    lacking = findings.unfinished.get(name, 0) + unfinished - completed
                    findings.unfinished[name] = lacking
            if written:
                self._note_times(first_ns, last_ns)
            self._output.filled(used, full=not done)
        still_open = []
        for source in self._open:
            if source.exhausted:
                ahead.done(source.group)
            else:
                still_open.append(source)
        self._open = still_open

    def _note_times(self, first_ns: int, last_ns: int) -> None:
        """Stamps of what was written."""
        self._first_ns = first_ns if self._first_ns is None else self._first_ns
        self._last_ns = last_ns

    def _interface(self, port: str) -> int:
        """Number of a port in the file; describes it there first if it is new."""
        if port not in self._names:
            self._names.append(port)
            self._packets.append(0)
            self._rejected.append(0)
            self._output.write(pcapng.interface_description(port))
        return self._names.index(port)

    def _progress(self, moment: int) -> float:
        """By time, within the part of the window that the ring holds."""
        start_ns = max(self._window.start_ns, self._oldest_ns or 0)
        end_ns = min(self._window.end_ns, self._newest_ns)
        if end_ns <= start_ns:
            return 0.0
        return min(max((moment - start_ns) / (end_ns - start_ns), 0.0), 1.0)


def in_order_of_time(records: Iterable[Record], line: Timeline, disorder_ns: int) -> Iterator[Record]:
    """Sorts records by their first packet, holding back no more than those of the last `disorder_ns`.

    Records that come even later are passed on at once.
    """
    waiting: list[tuple[int, int, Record]] = []
    newest_ns = 0
    for record in records:
        first_ns = line.first(record)
        heapq.heappush(waiting, (first_ns, record.sequence, record))
        newest_ns = max(newest_ns, first_ns)
        while waiting[0][0] < newest_ns - disorder_ns:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def split_at_step(index: bytes, record: Record) -> tuple[bytes, bytes]:
    """The index of a block in two: packets stamped before the clock was set, and those stamped after it.

    Packets are taken in the order in which they came in. One belongs to those after as soon as its stamp does
    not fit before (by the record's first and last time since the start of the kernel).
    """
    before: list[tuple[int, int, int]] = []
    after: list[tuple[int, int, int]] = []
    entries = sorted(_ENTRY.iter_unpack(index), key=lambda entry: entry[1])
    for entry in entries:
        moment = entry[0] - record.wall_offset_ns
        fits = record.first_boot_ns - ORDER_SLACK_NS <= moment <= record.last_boot_ns + ORDER_SLACK_NS
        (after if after or not fits else before).append(entry)
    halves = (b"".join(_ENTRY.pack(*entry) for entry in sorted(half)) for half in (before, after))
    return next(halves), next(halves)


def _recorder(status_file: Path | None) -> status.RecorderStatus | None:
    """What the recorder says, if its process is there."""
    try:
        said = status.from_json(status_file.read_bytes()) if status_file is not None else None
    except (OSError, ValueError):
        return None
    return said if said is not None and Path(f"/proc/{said.pid}").exists() else None


def _readable(comment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The texts of the request; a time in nanoseconds ("press_ns") is written as people write it."""
    for key, text in comment.items():
        if key.endswith("_ns") and text.isascii() and text.isdigit() and int(text) <= LATEST_NS:
            yield key.removesuffix("_ns"), words.utc(int(text))
        else:
            yield key, text


def _natural(name: str) -> tuple[str, int, str]:
    """port2 before port10."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0), name


def _line_of(request: Request, runs: Sequence[Run]) -> Timeline:
    """Of a press by its own clock; of dates by that of now, if it was set and no ring says so yet."""
    if request.boot_id:
        return timeline(runs, bytes.fromhex(request.boot_id), request.boot_offset_ns)
    present, now = boottime.boot_id(), boottime.read_clocks()
    seen = [
        run._replace(alive_ns=now.wall_ns, alive_boot_ns=now.boot_ns)
        if run.boot_id == present and _was_set(run, now)
        else run
        for run in runs
    ]
    return timeline(seen, b"", 0)


def _was_set(run: Run, now: boottime.Reading) -> bool:
    """Whether the clock was set since the run's last word: else a window of dates would not be exact."""
    return abs(now.wall_ns - now.boot_ns - (run.alive_ns - run.alive_boot_ns)) >= boottime.STEP_NS
