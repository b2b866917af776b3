"""A live capture: follows the ring and streams the packets as they come in, each once, in the order of time.

A packet is passed on as soon as the recorder says that nothing older can come any more, which is less than a
second after it came in. Nothing is kept here but what lies between: a reader that is slow falls behind, at
most as far as the ring reaches back; what is overwritten until then is told like every other loss.
"""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path

from allegro import words
from allegro.capture import _packets, status
from allegro.capture.extraction import coverage, pcapng
from allegro.capture.extraction.contract import LATEST_NS, Request
from allegro.capture.extraction.filter_rows import Rows, RowsByPort
from allegro.capture.extraction.group_parts import Look
from allegro.capture.extraction.held import Held
from allegro.capture.extraction.live_request import NS, LiveRequest
from allegro.capture.extraction.packet_file import Source
from allegro.capture.extraction.packet_stream import COMMENT_LIMIT, PacketStream
from allegro.capture.extraction.reading import Group, ReadAhead
from allegro.capture.extraction.sifting import Sieve
from allegro.capture.extraction.sliced import Slicing
from allegro.capture.extraction.watching import DISORDER_NS, MARGIN_NS, Watch
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring import news, segments
from allegro.capture.ring.reader import ORDER_SLACK_NS, RecordDamaged, RecordGone, RingReader
from allegro.capture.ring.record import Record
from allegro.capture.ring.tail import RingTail
from allegro.errors import Unavailable
from allegro.filters import program
from allegro.system import boottime

PAUSE_S = 0.2
"""Between two looks; the recorder says four times a second how far it is."""

SIGN_OF_LIFE_S = 10.0
"""Without packets, counts so far are streamed this often: who waits knows that the stream goes on."""

MOST_RECORDS = 4096
"""Looked at in one turn; when there are more, those of the last DISORDER_NS wait for the next turn."""

CLOSING_S = 2.0
"""So long after the recorder has left a ring, all that is in it can be found."""

DYING_S = 30.0
"""A ring that cannot be read is waited for so long: after ten seconds the recorder uses another one."""

LATE_NS = 10 * NS
"""The end is not waited for longer than this if the recorder does not come so far; of what was past from the
start, since then: a recorder that has just been started does not say at once how far its ring is complete."""


def follow(request: LiveRequest, stream: PacketStream, courtesy: Courtesy) -> None:
    """Streams to the end. Raises AllegroError and OSError, BrokenPipeError if nobody reads any more."""
    with RingReader(request.ring_directory) as reader:
        following = Following(request, reader, stream, courtesy)
        with following.ahead, contextlib.closing(following):
            following.begin()
            while not following.ended():
                following.turn()
            following.finish()


class Following:
    """One live capture. Moments are what the clock as it was set at the beginning says; what was recorded
    before the start of the device is left to captures."""

    def __init__(
        self,
        request: LiveRequest,
        reader: RingReader,
        stream: PacketStream,
        courtesy: Courtesy,
    ) -> None:
        now = boottime.read_clocks()
        self._began_ns = now.wall_ns
        self._boot_id = boottime.boot_id()
        self._offset_ns = now.wall_ns - now.boot_ns
        self._request = request
        self._reader = reader
        self._stream = stream
        self._courtesy = courtesy
        start_ns = request.start_ns or now.wall_ns - request.past_ns
        end_ns = request.end_ns or (now.wall_ns + request.length_ns if request.length_ns else LATEST_NS)
        self._window = coverage.Window(max(start_ns, self._offset_ns), end_ns)
        self._held = Held(self._as_window(), reader)
        reaches_to = self._held.ring(coverage.Findings()).oldest_ns
        if reaches_to is None or reaches_to <= self._window.start_ns:
            self._held.saw(self._window.start_ns)  # although the ring goes on meanwhile
        self._line = self._held.line
        self._all, self._recent = (
            Watch(self._window, self._line, self._held.runs, coverage.Findings(), self._news)
            for _ in range(2)
        )
        self._directory = request.ring_directory
        self._holds = [_Hold(self._directory)]
        """Of the ring that is followed, and of those before of which records are still to be read."""
        self._tail = RingTail(self._directory, self._before(self._window.start_ns))
        self._left: dict[segments.RingIdentity | None, int] = {}
        """Of rings that were followed before, the number of the last record: another one may have come into
        the same directory meanwhile."""
        self._moved_at = self._unreadable_since = self._exhausted_at = 0.0
        self._waiting: list[tuple[int, int, Record]] = []
        self._sources: list[Source] = []
        self._rows = RowsByPort(lambda _, port: program.for_interface(request.program, port))
        self._sieve = Sieve(self._window, self._line)
        self.ahead = ReadAhead(Look(self._window, self._line, self._filter))
        self._through_ns = 0
        self._from_ns = self._streamed_ns = self._window.start_ns
        """What another ring holds of before comes too late."""
        self._late = False
        """The recorder has not come as far as the end, long after it."""
        self._said_at = time.monotonic()

    def close(self) -> None:
        """Lets the rings go."""
        for hold in self._holds:
            hold.close()

    def begin(self) -> None:
        """Says what the stream is."""
        window = self._window
        end = words.utc(window.end_ns) if window.end_ns < LATEST_NS else "its end"
        fields = [
            *self._request.comment.items(),
            ("live capture", f"from {words.utc(window.start_ns)} to {end}"),
            ("filter", self._request.filter or "none"),
            (
                "what is missing",
                "stands in comments of packets, and with all counts in the interface statistics at the end",
            ),
        ]
        self._stream.begin(fields)
        for port in self._request.ports:
            self._stream.interface(port)

    def ended(self) -> bool:
        """Whether all that was asked for is streamed."""
        return self._stream.full or self._streamed_ns >= self._window.end_ns or self._late

    def turn(self) -> None:
        """Streams what has become complete, and waits for more if that was little."""
        began_ns = (
            self._held.now_ns()
        )  # of a slow reader the turn may last, and the recorder goes on meanwhile
        self._look_at_recorder()
        overtaken = self._tail.overtaken
        records = self._new()
        for record in records:
            if record.boot_id.hex() == self._boot_id:
                heapq.heappush(self._waiting, (self._line.first(record), record.sequence, record))
        until_ns = self._through_ns
        if behind := len(records) == MOST_RECORDS:
            until_ns = min(until_ns, self._line.first(records[-1]) - DISORDER_NS)
        if missing := self._tail.overtaken - overtaken:
            self._miss(missing, records)
        self._stream_until(until_ns)
        if len(self._holds) > 1:
            self._let_go()
        self._late = began_ns > max(self._window.end_ns, self._began_ns) + LATE_NS and not behind
        # Which rules hold is told again and again: the end has it once.
        recent = dataclasses.replace(self._recent.take(), slicing=Slicing())
        self._stream.note(coverage.happenings(self._window, recent))
        self._show_life()
        if not behind:
            self._stream.wait(PAUSE_S)

    def finish(self) -> None:
        """Writes the counts, and all that happened."""
        self._all.finish()
        found = dataclasses.replace(
            self._all.findings,
            large=self._stream.large,
            unfinished=self._stream.unfinished,
            shortened=self._stream.shortened,
        )
        start_ns, now_ns = self._window.start_ns, self._held.now_ns()
        # What the recorder did not come to is missing, too.
        until_ns = min(self._window.end_ns, now_ns) if self._late else self._streamed_ns
        window = coverage.Window(start_ns, until_ns)
        rejected = sum(count.rejected for count in self._stream.counts.values())
        said_ns = self._streamed_ns if self._late and not self._stream.full else None
        sentences = coverage.notes(
            window, self._held.ring(found), found, self._stream.packets, now_ns, rejected, said_ns
        )
        fields = [
            ("streamed", f"{words.utc(start_ns)} to {words.utc(self._streamed_ns)}"),
            ("packets", str(self._stream.packets)),
        ]
        comment = pcapng.comment_text(fields, sentences, COMMENT_LIMIT)
        self._stream.statistics(self._counts(), comment)
        self._reader.close()

    def _as_window(self) -> Request:
        """The same as an extraction would be asked for it."""
        return Request(
            ring_directory=self._request.ring_directory,
            start_ns=self._window.start_ns,
            end_ns=self._window.end_ns,
            output=self._request.ring_directory,
            status_file=self._request.status_file,
            boot_id=self._boot_id,
            boot_offset_ns=self._offset_ns,
        )

    def _before(self, since_ns: int) -> int:
        """Number of the last record that need not be looked at, as it is older than this moment."""
        start_ns = max(since_ns - self._offset_ns - DISORDER_NS - MARGIN_NS, 0)
        first = next(self._reader.iterate_boot(bytes.fromhex(self._boot_id), start_ns, LATEST_NS), None)
        if first is not None:
            return first.sequence - 1
        try:
            paths = segments.list_segments(self._directory)
        except FileNotFoundError:
            return 0
        return (segments.first_sequence(paths[-1]) or 1) - 1 if paths else 0

    def _look_at_recorder(self) -> None:
        """How far the ring is complete. A recorder that is silent says nothing new."""
        try:
            said = status.from_json(self._request.status_file.read_bytes())
        except (OSError, ValueError):
            return
        if said.ring_directory not in ("", str(self._directory)):
            self._move(said)
            return
        self._moved_at = 0.0
        if said.boot_id == self._boot_id and said.complete_through_boot_ns:
            self._through_ns = max(self._through_ns, said.complete_through_boot_ns + self._offset_ns)

    def _new(self) -> list[Record]:
        """What has been added. A ring whose disk has died is left by the recorder in a moment, which is
        waited for."""
        now = time.monotonic()
        try:
            found = list(itertools.islice(self._tail.new(), MOST_RECORDS))
        except (OSError, Unavailable):
            self._unreadable_since = self._unreadable_since or now
            if not self._moved_at and now - self._unreadable_since > DYING_S:
                raise
            self._exhausted_at = now
            return []
        self._unreadable_since = 0.0
        if len(found) < MOST_RECORDS:
            self._exhausted_at = now
        return found

    def _move(self, said: status.RecorderStatus) -> None:
        """The recorder uses another ring: what is still in this one comes first."""
        self._moved_at = self._moved_at or time.monotonic()
        if said.ring is None or self._exhausted_at < self._moved_at + CLOSING_S:
            return
        self._left[self._tail.identity] = self._tail.last
        self._directory, self._moved_at = Path(said.ring_directory), 0.0
        self._from_ns = self._streamed_ns + 1
        self._holds.append(_Hold(self._directory))
        self._reader.close()
        self._reader = RingReader(self._directory)
        self._held.goes_on(self._reader, self._directory)
        left = self._left.get(segments.read_identity(self._directory), 0)
        last = max(self._before(self._streamed_ns), left)
        self._tail = RingTail(self._directory, last)

    def _let_go(self) -> None:
        """Of the rings before, those of which nothing is to be read any more."""
        to_read = {self._directory, *(record.segment.path.parent for _, _, record in self._waiting)}
        done = [hold for hold in self._holds if hold.directory not in to_read]
        if done:
            self.ahead.close_files()
            self._reader.close()  # it has read the news of those rings; what it needs it opens again
        for hold in done:
            self._holds.remove(hold)
            hold.close()

    def _stream_until(self, until_ns: int) -> None:
        """Streams the packets up to a moment up to which all records are known."""
        ready = []
        while self._waiting and self._waiting[0][0] <= until_ns:
            record = heapq.heappop(self._waiting)[2]
            self._all.see(record)
            if self._recent.see(record) and self._held.wanted(record, self._window):
                pieces = self._sieve.pieces(record, self._filter(record.port_name))
                if pieces is None:
                    self._pass_over(record)
                else:
                    ready.append((record, pieces))
        for group in self.ahead.groups(iter(ready)):
            self._courtesy.breathe()
            self._show_life()
            self._merge_until(self._line.first(group.records[0]) - ORDER_SLACK_NS - 1)
            self._load(group)
            if self._stream.full:
                return
        self._merge_until(until_ns - ORDER_SLACK_NS)

    def _merge_until(self, end_ns: int) -> None:
        end_ns = min(end_ns, self._window.end_ns)
        before = self._stream.packets
        self._stream.merge_until(self._sources, self._from_ns, end_ns)
        self._streamed_ns = max(self._streamed_ns, end_ns)
        if self._stream.packets > before:
            self._said_at = time.monotonic()
        still_open = []
        for source in self._sources:
            if source.exhausted:
                self.ahead.done(source.group)
            else:
                still_open.append(source)
        self._sources = still_open

    def _show_life(self) -> None:
        """Says that it goes on, also while nothing matches of the much that was recorded before."""
        if time.monotonic() - self._said_at >= SIGN_OF_LIFE_S:
            self._said_at = time.monotonic()
            self._stream.statistics(self._counts()[:1])

    def _load(self, group: Group) -> None:
        contents, missing = group.take()
        for reason, record in missing:
            self._hole(reason, record)
        if contents.first_ns is not None:
            self._held.saw(contents.first_ns)
        for part in contents.parts:
            interface, index = self._stream.interface(part.port), part.index
            if self._request.program:
                index = part.matching.get(0, b"")
                rejected = part.in_window - len(index) // _packets.ENTRY_SIZE
                self._stream.counts[part.port].rejected += rejected
            if index:
                group.users += 1
                self._sources.append(Source(group, index, interface, part.shift_ns))
        self.ahead.done(group)  # from here on the sources hold it

    def _filter(self, port: str) -> Rows | None:
        """For packets of a port; also of the threads that read."""
        return self._rows.of(port, (0,) if self._request.program else ())

    def _pass_over(self, record: Record) -> None:
        """No packet of the record matches."""
        self._held.saw(self._line.first(record))
        self._stream.interface(record.port_name)
        self._stream.counts[record.port_name].rejected += record.packets

    def _hole(self, reason: str, record: Record) -> None:
        span = self._line.first(record), self._line.last(record)
        for watch in (self._all, self._recent):
            watch.findings.hole(reason, record.port_name, record.packets, *span)

    def _miss(self, records: int, found: Sequence[Record]) -> None:
        """Records were overwritten before they could be read: the reader is too slow for so small a ring."""
        end_ns = self._line.first(found[0]) if found else self._held.now_ns()
        for watch in (self._all, self._recent):
            watch.findings.miss(records, self._streamed_ns, max(end_ns, self._streamed_ns))

    def _counts(self) -> list[tuple[str, pcapng.Statistics]]:
        found, told = self._all.findings, []
        for port, count in self._stream.counts.items():
            discarded = found.slicing.discarded(port)
            rejected = count.rejected + discarded if self._request.program or discarded else None
            span = self._window.start_ns, self._streamed_ns
            losses = found.drops(port), found.nic_missed(port)
            told.append((port, pcapng.Statistics(*span, count.packets, *losses, rejected)))
        return told

    def _news(self, record: Record) -> tuple[news.News, ...]:
        try:
            return self._reader.news(record)
        except (RecordGone, RecordDamaged):
            return ()


class _Hold:
    """Keeps the disk of a ring from being unmounted, as long as it is there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._descriptor: int | None = None
        with contextlib.suppress(OSError):
            self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Does so no longer."""
        if self._descriptor is not None:
            os.close(self._descriptor)
