"""Cuts a window out of the packet ring: the records of the window, merged by time, into one file or several.

What of the window is overwritten, damaged or was never recorded becomes a note in the file; the rest is
still exported. Memory does not grow with the window: records are listed one segment at a time, read in groups
a little ahead of the merge (`reading`), and written through two buffers per file (`output`). However many
files, each block is read once, and each packet looked at once.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from allegro.capture.extraction import coverage
from allegro.capture.extraction.contract import LATEST_NS, Request, Result
from allegro.capture.extraction.filter_rows import Rows, RowsByPort
from allegro.capture.extraction.group_parts import Look, Part
from allegro.capture.extraction.held import Held
from allegro.capture.extraction.output import Writer, room_for
from allegro.capture.extraction.packet_file import PacketFile
from allegro.capture.extraction.pieces import Wanted
from allegro.capture.extraction.reading import Group, ReadAhead
from allegro.capture.extraction.sifting import Sieve
from allegro.capture.extraction.watching import DISORDER_NS, MARGIN_NS, Watch
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring import news
from allegro.capture.ring.joined import reader_of
from allegro.capture.ring.reader import ORDER_SLACK_NS, RecordDamaged, RecordGone, RingReader
from allegro.capture.ring.record import Record
from allegro.capture.status import memory_beside
from allegro.errors import AllegroError, Unavailable

Report = Callable[[float, int, int, int], None]
"""Called with progress (0..1); packets and bytes so far, of all files together; bytes of the ring read."""

Answer = Callable[[int, Result | AllegroError], None]
"""Called once for each request, with its number: its file is there, or why there is none."""

_MANY_FILES = 16
_GROUPS_TOGETHER = 2
_LONGER_GROUPS = 2
"""For many files: what it costs when one has something of a group is spent less often."""

_AT_ONCE = 256
_LOOK_UP = 256
"""After so many records that need not be read, others get their turn."""


def extract(request: Request, report: Report, courtesy: Courtesy) -> Result:
    """Writes one file. Raises AllegroError, and then there is no file."""
    answers: list[Result | AllegroError] = []
    extract_all([request], report, lambda _, answer: answers.append(answer), courtesy)
    if isinstance(answers[0], AllegroError):
        raise answers[0]
    return answers[0]


def extract_all(requests: Sequence[Request], report: Report, answer: Answer, courtesy: Courtesy) -> None:
    """Writes a file for each request, in one pass; they differ only in what is in the files, not in ring and
    window. A file that cannot be written leaves the others alone. Raises AllegroError, and then no further
    file is there."""
    with (
        _reader(requests[0]) as reader,
        Writer(room_for(len(requests))) as writer,
        contextlib.ExitStack() as stack,
    ):
        files = _Files(answer)
        for number, request in enumerate(requests):
            try:
                file = stack.enter_context(PacketFile(request, writer))
            except AllegroError as error:
                answer(number, error)
            else:
                files.add(number, file)
        if not files.open:
            return
        try:
            cut = _Cut(requests[0], reader, files)
            cut.run(report, courtesy)
            cut.finish()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Unavailable(
                f"The packet ring cannot be read: {error.strerror}.",
                place=str(requests[0].ring_directory),
                remedy="Check the disk that holds it.",
            ) from error


def _reader(request: Request) -> RingReader:
    return reader_of(request.ring_directory, memory_beside(request.status_file, request.ring_directory))


class _Files:
    """The files of an extraction that are still being written, by the number of their request."""

    def __init__(self, answer: Answer) -> None:
        self.open: dict[int, PacketFile] = {}
        self.answer = answer
        self.seen: dict[str, int] = {}
        """Packets of each port in the window, as far as somebody had to look which match."""
        self._filtered: tuple[int, ...] = ()  # of those that take further packets
        self._unfiltered: tuple[int, ...] = ()
        self._programs: dict[int, Callable[[str], bytes]] = {}  # for threads, also of files that are given up
        self._rows = RowsByPort(lambda number, port: self._programs[number](port))

    def add(self, number: int, file: PacketFile) -> None:
        """A file that is to be written."""
        self.open[number] = file
        self._programs[number] = file.program
        self.look()

    def each(
        self, action: Callable[[int, PacketFile], None], release: Callable[[Group], None] = lambda _: None
    ) -> None:
        """Does something with each file. What goes wrong with one ends that one alone."""
        for number, file in list(self.open.items()):
            try:
                action(number, file)
            except AllegroError as error:
                self._give_up(number, error, release)

    def let_have(self, group: Group, part: Part, release: Callable[[Group], None]) -> None:
        """Lets the files have what they want of a part: all of it, or what their filters let through."""
        self.seen[part.port] = self.seen.get(part.port, 0) + part.in_window
        wanted = part.matching
        if self._unfiltered:
            wanted = dict.fromkeys(self._unfiltered, part.index) | wanted
        for number, index in wanted.items():
            if (file := self.open.get(number)) is not None:
                try:
                    file.add(group, part.port, index, part.shift_ns)
                except AllegroError as error:
                    self._give_up(number, error, release)

    def pass_over(self, record: Record) -> None:
        """No file wants a packet of the record, which is in the window."""
        self.seen[record.port_name] = self.seen.get(record.port_name, 0) + record.packets

    def counts(self) -> tuple[int, int]:
        """Packets and bytes so far."""
        files = self.open.values()
        return sum(file.packets for file in files), sum(file.bytes for file in files)

    def rows(self, port: str) -> Rows | None:
        """The filters for packets of a port, of the files that have one and take further packets."""
        return self._rows.of(port, self._filtered)

    @property
    def groups_together(self) -> int:
        """So many groups are merged at once: of one group each of many files has little."""
        return _GROUPS_TOGETHER if len(self.open) > _MANY_FILES else 1

    @property
    def longer_groups(self) -> int:
        """How many times as much is read at once."""
        return _LONGER_GROUPS if len(self.open) > _MANY_FILES else 1

    def look(self) -> None:
        """Takes note of which files take further packets: one that has reached its limit does not."""
        wanting = [(number, file) for number, file in self.open.items() if not file.limited]
        self._filtered = tuple(number for number, file in wanting if file.filtered)
        self._unfiltered = tuple(number for number, file in wanting if not file.filtered)

    def want_more(self) -> bool:
        """Whether any file takes further packets."""
        return bool(self._filtered or self._unfiltered)

    def all_filtered(self) -> bool:
        """Whether no file wants all packets."""
        return not self._unfiltered

    def _give_up(self, number: int, error: AllegroError, release: Callable[[Group], None]) -> None:
        self.open.pop(number).give_up(release)
        self.look()
        self.answer(number, error)


class _Cut:
    """One pass over the window."""

    def __init__(self, request: Request, reader: RingReader, files: _Files) -> None:
        self._window = coverage.Window(request.start_ns, request.end_ns)
        self._reader = reader
        self._files = files
        self._findings = coverage.Findings()
        self._held = Held(request, reader)
        self._line = self._held.line
        self._sieve = Sieve(self._window, self._line)
        self._ports = sorted({*request.ports, *reader.ports()}, key=_natural)

    def run(self, report: Report, courtesy: Courtesy) -> None:
        """Writes all packets of the window."""
        window, line = self._window, self._line
        report(0.0, 0, 0, 0)
        self._files.each(lambda _, file: file.begin(self._ports))
        watch = Watch(window, line, self._held.runs, self._findings, self._news)
        records = in_order_of_time(watch.pass_on(self._records()), DISORDER_NS)
        with ReadAhead(Look(window, line, self._files.rows), self._files.longer_groups) as ahead:

            def tell(moment_ns: int) -> None:
                courtesy.breathe()
                amounts = self._sieve.amounts
                report(self._held.progress(moment_ns), *self._files.counts(), amounts.read)

            waiting = 0
            for group in ahead.groups(self._sifted(records, tell)):
                begin_ns = line.first(group.records[0])
                tell(begin_ns)
                waiting += 1
                if waiting >= self._files.groups_together:
                    waiting = 0
                    self._merge_until(begin_ns - ORDER_SLACK_NS - 1, ahead)
                if not self._files.open:
                    return
                self._load(group, ahead)
            self._merge_until(window.end_ns, ahead)
        report(1.0, *self._files.counts(), self._sieve.amounts.read)

    def finish(self) -> None:
        """Gives the files their names, one after the other."""
        ring, now_ns = self._held.ring(self._findings), self._held.now_ns()

        def finish(number: int, file: PacketFile) -> None:
            result = file.finish(self._findings, ring, now_ns, self._sieve.amounts, self._files.seen)
            self._files.answer(number, result)

        self._files.each(finish)

    def _records(self) -> Iterator[Record]:
        """The records of all starts of the kernel that the window reaches, in their order on disk."""
        window, line, runs = self._window, self._line, self._held.runs
        start_ns = max(window.start_ns - MARGIN_NS - DISORDER_NS, 0)
        passes: list[Iterator[Record]] = []
        if not all(run.boot_id for run in runs) or not runs:
            stamps = (start_ns - line.correction_ns, window.end_ns + DISORDER_NS - line.correction_ns)
            others = self._reader.iterate(max(stamps[0], 0), stamps[1])
            passes.append(record for record in others if record.boot_id not in line.offsets)
        for number, (boot_id, offset_ns) in enumerate(line.offsets.items()):
            following = list(line.offsets.values())[number + 1 :]
            if offset_ns <= window.end_ns and not any(start_ns >= later for later in following):
                begin_ns = max(start_ns - offset_ns, 0)
                passes.append(self._reader.iterate_boot(boot_id, begin_ns, LATEST_NS))
        return itertools.chain.from_iterable(passes)

    def _sifted(
        self, records: Iterable[tuple[int, int, Record]], tell: Callable[[int], None]
    ) -> Iterator[Wanted]:
        """The records of the window that have to be read; of the others it counts how many packets."""
        files, window, pieces_of = self._files, self._window, self._sieve.pieces
        begin_ns, end_ns = window.start_ns - ORDER_SLACK_NS, window.end_ns + ORDER_SLACK_NS
        passed_over = 0
        for first_ns, _, record in records:
            if not begin_ns <= first_ns <= end_ns and not self._held.wanted(record, window):
                continue
            if not files.want_more():  # what was lost, and when, is told of the whole window all the same
                self._sieve.leave(record)
            else:
                rows = files.rows(record.port_name) if files.all_filtered() else None
                if (pieces := pieces_of(record, rows)) is not None:
                    yield record, pieces
                    continue
            self._held.saw(first_ns)
            files.pass_over(record)
            passed_over += 1
            if passed_over % _LOOK_UP == 0:
                tell(first_ns)

    def _news(self, record: Record) -> tuple[news.News, ...]:
        try:
            return self._reader.news(record)
        except (RecordGone, RecordDamaged):
            return ()

    def _load(self, group: Group, ahead: ReadAhead) -> None:
        """Lets the files have what they want of the group."""
        self._sieve.amounts.read += group.read
        contents, missing = group.take()
        for reason, record in missing:
            self._hole(reason, record)
        if contents.first_ns is not None:
            self._held.saw(contents.first_ns)
        for part in contents.parts:
            self._files.let_have(group, part, ahead.done)
        ahead.done(group)  # from here on the files hold it that want something of it

    def _hole(self, reason: str, record: Record) -> None:
        first_ns, last_ns = self._line.first(record), self._line.last(record)
        self._findings.hole(reason, record.port_name, record.packets, first_ns, last_ns)

    def _merge_until(self, end_ns: int, ahead: ReadAhead) -> None:
        """Lets each file write its packets up to a moment that no later block can fall below."""
        self._files.each(lambda _, file: file.merge_until(end_ns, ahead.done), ahead.done)
        self._files.look()


def in_order_of_time(
    records: Iterable[tuple[int, Record]], disorder_ns: int
) -> Iterator[tuple[int, int, Record]]:
    """Sorts records, each with its moment, some at a time; gives moment, number and record.

    Those of the last `disorder_ns` are held back, and some more. One that comes even later is passed on with
    the next ones.
    """
    waiting: list[tuple[int, int, Record]] = []
    newest_ns = 0
    coming = iter(records)
    while some := [
        (first_ns, record.sequence, record) for first_ns, record in itertools.islice(coming, _AT_ONCE)
    ]:
        waiting += some
        waiting.sort()
        newest_ns = max(newest_ns, waiting[-1][0])
        ready = bisect.bisect_left(waiting, (newest_ns - disorder_ns,))
        yield from waiting[:ready]
        del waiting[:ready]
    yield from waiting


def _natural(name: str) -> tuple[str, int, str]:
    """port2 before port10."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0), name
