"""Cuts a window out of the packet ring: the records of the window, merged by time.

What of the window is overwritten, damaged or was never recorded becomes a note in the file; the rest is
still exported. Memory does not grow with the window: records are listed one segment at a time, read when
their packets are next, and written through one buffer.
"""

from __future__ import annotations

import heapq
import platform
import time
from collections.abc import Callable, Iterable, Iterator

from allegro import words
from allegro.capture import _packets
from allegro.capture.extraction import coverage, pcapng
from allegro.capture.extraction.contract import LATEST_NS, PortResult, Request, Result
from allegro.capture.extraction.output import Output
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring.reader import ORDER_SLACK_NS, RecordDamaged, RecordGone, RingReader
from allegro.capture.ring.record import PACKET_SLACK_NS, Record
from allegro.errors import Unavailable
from allegro.version import own_version

NS = 1_000_000_000

HEADER_SIZE = 16384
"""Bytes of every file's section header, reserved at the beginning and written at the end."""

COMMENT_LIMIT = HEADER_SIZE - 1024

DISORDER_NS = 5 * NS
"""How far the order of the records on disk may differ from the order of their times: each port's blocks wait
for themselves until the recorder writes them."""

MARGIN_NS = 2 * NS
"""Losses are counted with the record that the recorder wrote next, but may have happened after its packets,
while the disk was behind: those of records this close to the window are looked at too."""

SAMPLE_NS = NS // 4
"""The recorder asks for losses this often, and tells them with the next record."""

Report = Callable[[float, int, int], None]
"""Called with progress (0..1), packets and bytes so far."""


def extract(request: Request, report: Report, courtesy: Courtesy) -> Result:
    """Writes the file. Raises AllegroError, and then there is no file."""
    window = coverage.Window(request.start_ns, request.end_ns)
    with RingReader(request.ring_directory) as reader, Output(request.output) as output:
        try:
            cut = _Cut(window, reader, output, {*request.ports, *reader.ports()})
            cut.run(report, courtesy)
            result = cut.finish(request.comment, request.notes, time.time_ns())
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Unavailable(
                f"The packet ring cannot be read: {error.strerror}.",
                place=str(request.ring_directory),
                remedy="Check the disk that holds it.",
            ) from error
        output.publish()
    return result


class _Source:
    """A block that is being merged."""

    __slots__ = ("block", "index", "interface", "position")

    def __init__(self, block: bytes, index: bytes, interface: int) -> None:
        self.block = block
        self.index = index
        self.interface = interface
        self.position = 0

    @property
    def exhausted(self) -> bool:
        return self.position * _packets.ENTRY_SIZE >= len(self.index)


class _Cut:
    """One extraction: the records of the window, merged by time."""

    def __init__(
        self, window: coverage.Window, reader: RingReader, output: Output, ports: Iterable[str]
    ) -> None:
        self._window = window
        self._reader = reader
        self._output = output
        self._findings = coverage.Findings()
        self._open: list[_Source] = []
        self._names: list[str] = []
        self._packets: list[int] = []
        self._bytes = 0
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._earliest_record_ns: int | None = None
        self._wrapped = reader.has_overwritten()
        self._bounds = reader.bounds()
        self._output.write(bytes(HEADER_SIZE))
        for port in sorted(ports, key=_natural):
            self._interface(port)

    def run(self, report: Report, courtesy: Courtesy) -> None:
        """Writes all packets of the window."""
        window = self._window
        report(0.0, 0, 0)
        records = self._reader.iterate(max(window.start_ns - MARGIN_NS, 0), window.end_ns + MARGIN_NS)
        for ref in in_order_of_time(self._watch(records), DISORDER_NS):
            if (
                ref.last_ns < window.start_ns - ORDER_SLACK_NS
                or ref.first_ns > window.end_ns + ORDER_SLACK_NS
            ):
                continue
            courtesy.breathe()
            self._merge_until(ref.first_ns - ORDER_SLACK_NS - 1)
            self._load(ref)
            report(self._progress(ref.first_ns), sum(self._packets), self._bytes)
        self._merge_until(window.end_ns)

    def finish(self, comment: dict[str, str], known: Iterable[str], now_ns: int) -> Result:
        """Writes what stands behind and before the packets. `known` are notes that are not found here."""
        window, findings = self._window, self._findings
        counts = [
            PortResult(name, packets, findings.drops(name), findings.nic_missed(name))
            for name, packets in zip(self._names, self._packets, strict=True)
        ]
        for interface, count in enumerate(counts):
            statistics = pcapng.Statistics(
                window.start_ns, window.end_ns, count.packets, count.drops, count.nic_missed
            )
            self._output.write(pcapng.interface_statistics(interface, statistics))
        packets = sum(self._packets)
        drops = sum(count.drops + count.nic_missed for count in counts)
        notes = [*known, *coverage.notes(window, self._ring(), findings, packets, now_ns)]
        size = self._output.size
        fields = [
            *_readable(comment),
            ("window", f"{words.utc(window.start_ns)} to {words.utc(window.end_ns)}"),
            ("packets", str(packets)),
            ("packets lost in the window", str(drops)),
        ]
        system = platform.uname()
        section = pcapng.Section(
            comment=pcapng.comment_text(fields, notes, COMMENT_LIMIT),
            hardware=system.machine,
            os=f"{system.system} {system.release}"[:200],
            application=f"Allegro {own_version()}",
        )
        header = pcapng.section_header(section, section_length=size - HEADER_SIZE, size=HEADER_SIZE)
        self._output.write_header(header)
        return Result(packets, self._bytes, size, self._first_ns, self._last_ns, drops, notes, counts)

    def _ring(self) -> coverage.Ring:
        """The ring as it was for this extraction: what was read before it was overwritten counts as there."""
        bounds = self._reader.bounds() or self._bounds
        if bounds is not None and self._earliest_record_ns is not None:
            bounds = (min(bounds[0], self._earliest_record_ns), bounds[1])
        wrapped = self._wrapped
        if not wrapped and bounds is not None and self._bounds is not None:
            wrapped = bounds[0] > self._bounds[0] and self._reader.has_overwritten()
        up = [coverage.Up(run.start_ns, run.alive_ns) for run in self._reader.runs()]
        return coverage.Ring(bounds, wrapped, up)

    def _watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """Notes what the records say about losses, and which are missing between them."""
        window, findings = self._window, self._findings
        last_of_port: dict[str, int] = {}
        previous: Record | None = None
        for ref in records:
            if previous is not None and previous.run == ref.run and ref.sequence > previous.sequence + 1:
                start_ns, end_ns = sorted((previous.last_ns, ref.first_ns))
                if window.start_ns <= start_ns and end_ns <= window.end_ns:
                    findings.miss(ref.sequence - previous.sequence - 1, start_ns, end_ns)
            previous = ref
            # Somewhere from the port's record before this one until this one was written.
            since_ns = min(last_of_port.get(ref.port_name, ref.first_ns), ref.first_ns) - SAMPLE_NS
            if since_ns <= window.end_ns and ref.last_ns + MARGIN_NS >= window.start_ns:
                for table, count in (
                    (findings.system_losses, ref.drops),
                    (findings.card_losses, ref.nic_missed),
                ):
                    if count:
                        findings.lose(table, ref.port_name, count, since_ns, ref.last_ns)
            last_of_port[ref.port_name] = ref.last_ns
            yield ref

    def _load(self, ref: Record) -> None:
        try:
            block = self._reader.read(ref)
            bounds = max(ref.first_ns - PACKET_SLACK_NS, 0), ref.last_ns + PACKET_SLACK_NS
            index = _packets.scan(memoryview(block)[: ref.used], *bounds)
        except RecordGone:
            self._hole(coverage.OVERWRITTEN, ref)
            return
        except (RecordDamaged, _packets.BlockError):
            self._hole(coverage.DAMAGED, ref)
            return
        if self._earliest_record_ns is None or ref.first_ns < self._earliest_record_ns:
            self._earliest_record_ns = ref.first_ns
        self._open.append(_Source(block, index, self._interface(ref.port_name)))

    def _hole(self, reason: str, ref: Record) -> None:
        self._findings.hole(reason, ref.port_name, ref.packets, ref.first_ns, ref.last_ns)

    def _merge_until(self, end_ns: int) -> None:
        """Writes the packets of the open blocks up to a time that no later block can fall below."""
        window = self._window
        end_ns = min(end_ns, window.end_ns)
        done = end_ns < window.start_ns or not self._open
        while not done:
            sources = [(one.block, one.index, one.position, one.interface) for one in self._open]
            used, done, first_ns, last_ns, progress = _packets.emit(
                sources, window.start_ns, end_ns, self._output.buffer, self._output.used
            )
            if any(packets for _, packets, _ in progress):
                self._note_times(first_ns, last_ns)
            for source, (position, packets, count) in zip(self._open, progress, strict=True):
                source.position = position
                self._packets[source.interface] += packets
                self._bytes += count
            self._output.filled(used, full=not done)
        self._open = [source for source in self._open if not source.exhausted]

    def _note_times(self, first_ns: int, last_ns: int) -> None:
        if self._last_ns is not None and first_ns < self._last_ns:
            self._findings.clock_set_back_ns = self._last_ns
        self._first_ns = first_ns if self._first_ns is None else min(self._first_ns, first_ns)
        self._last_ns = last_ns if self._last_ns is None else max(self._last_ns, last_ns)

    def _interface(self, port: str) -> int:
        """Number of a port in the file; describes it there first if it is new."""
        if port not in self._names:
            self._names.append(port)
            self._packets.append(0)
            self._output.write(pcapng.interface_description(port))
        return self._names.index(port)

    def _progress(self, time_ns: int) -> float:
        """By time, within the part of the window that the ring holds."""
        start_ns, end_ns = self._window.start_ns, self._window.end_ns
        if self._bounds is not None:
            start_ns, end_ns = max(start_ns, self._bounds[0]), min(end_ns, self._bounds[1])
        if end_ns <= start_ns:
            return 0.0
        return min(max((time_ns - start_ns) / (end_ns - start_ns), 0.0), 1.0)


def in_order_of_time(records: Iterable[Record], disorder_ns: int) -> Iterator[Record]:
    """Sorts records by their first packet, holding back no more than those of the last `disorder_ns`.

    Records that come even later are passed on at once.
    """
    waiting: list[tuple[int, int, Record]] = []
    newest_ns = 0
    for ref in records:
        heapq.heappush(waiting, (ref.first_ns, ref.sequence, ref))
        newest_ns = max(newest_ns, ref.first_ns)
        while waiting[0][0] < newest_ns - disorder_ns:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


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
