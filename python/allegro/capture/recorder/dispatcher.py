"""From blocks and news to records on disk: each gets a place in the ring, is written, and is accounted for.

It does nothing per packet.  What is under way is known here, and so is the trouble that the disk makes.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from allegro import words
from allegro.capture.recorder.clocks import BLOCK_AGE_NS, Clock
from allegro.capture.recorder.completeness import Completeness
from allegro.capture.recorder.memory import SMALL, Arena
from allegro.capture.recorder.outbox import Letter, Outbox, write_letter
from allegro.capture.recorder.port import RecordedPort
from allegro.capture.recorder.recorded_ports import Ports
from allegro.capture.recorder.ring_keeper import RETRY_S, RingKeeper
from allegro.capture.recorder.telling import Load
from allegro.capture.recorder.write_pool import WriteJob, WritePool
from allegro.capture.ring import news
from allegro.capture.ring import record as blocks
from allegro.capture.ring.losses import NO_LOSSES
from allegro.capture.ring.open_segment import Slot
from allegro.capture.ring.record import Record, Times
from allegro.capture.ring.stock import RingBusyError
from allegro.capture.ring.writer import RingWriter
from allegro.system.boottime import Reading, read_clocks

_LOG = logging.getLogger(__name__)

BROKEN_AFTER = 10.0
"""Seconds without one successful write, or without room and with failures, until the ring is given up and
opened anew."""

_WRITERS = 4
_ACCOUNT_PAUSE = 0.002
_FOREVER = 1 << 63


class _Block(NamedTuple):
    """A block of a port, by its number."""

    port: RecordedPort
    number: int


class _Copy(NamedTuple):
    """A block of a port that was copied into the arena."""

    port: RecordedPort


@dataclass(eq=False)
class _UnderWay:
    """A record under way, and what is in it."""

    job: WriteJob
    slot: Slot
    record: Record
    source: _Block | _Copy | Letter
    losses_of: object


class Trouble:
    """Failed writes, and a ring that has no room; times are those of time.monotonic."""

    def __init__(self) -> None:
        self.errors = 0
        self.errors_here = 0
        """Of the disk on which the ring lies, since it came there."""
        self._directory: Path | None = None
        self._text = ""
        self._since: float | None = None
        self._told = -RETRY_S
        self._busy_since: float | None = None
        self._failures_before = 0

    def refused(self, error: OSError) -> None:
        """A record could not be written."""
        now = time.monotonic()
        self.count(1)
        self._text = error.strerror or str(error)
        self._since = self._since or now
        if now - self._told >= RETRY_S:
            self._told = now
            _LOG.error("a record could not be written: %s (%d so far)", self._text, self.errors)

    def count(self, failures: int) -> None:
        """So often the disk has refused something."""
        self.errors += failures
        self.errors_here += failures

    def at(self, directory: Path) -> None:
        """The ring lies on a disk here from now on."""
        if directory != self._directory:
            self._directory, self.errors_here = directory, 0

    def taken(self) -> None:
        """A record was written."""
        self._since = None

    def busy(self, failures: int) -> None:
        """There is no place for a record; to make room has failed so often so far."""
        if self._busy_since is None:
            self._busy_since, self._failures_before = time.monotonic(), failures

    def placed(self) -> None:
        """A record has got its place."""
        self._busy_since = None

    def known(self) -> bool:
        """Whether there is any."""
        return self._since is not None or self._busy_since is not None

    def refusing(self) -> bool:
        """Whether the last write failed."""
        return self._since is not None

    def broken(self, failures: int) -> str:
        """Why the ring is to be given up as soon as no record is under way; empty if it is not.

        A disk that only stands still is waited for: giving up would wait for it, too.
        """
        now = time.monotonic()
        if self._since is not None and now - self._since > BROKEN_AFTER:
            return f"The disk does not take packets: {self._text}."
        if self._lasting(now) and failures > self._failures_before:
            return "The disk does not take packets: no room is made in the ring."
        return ""

    def message(self) -> str:
        """In plain words; empty if there is none."""
        if self._since is not None:
            return f"The disk refuses packets ({self._text}); they are counted as lost."
        if self._lasting(time.monotonic()):
            return "The disk is behind: no room is made in the ring; what does not fit into memory is lost."
        return ""

    def forget(self) -> None:
        """Another ring is taken."""
        self._since = self._busy_since = None

    def _lasting(self, now: float) -> bool:
        return self._busy_since is not None and now - self._busy_since > BROKEN_AFTER


class Dispatcher:
    """Takes what the ports and the outbox have into the ring of the keeper, as far as there is one."""

    def __init__(
        self,
        run_ns: int,
        clock: Clock,
        ports: Ports,
        outbox: Outbox,
        completeness: Completeness,
        ring: RingKeeper,
    ) -> None:
        self.trouble = Trouble()
        self.load = Load()
        self.last_written = 0
        """Number of the last record of this ring that is on disk."""
        self._run_ns = run_ns
        self._clock = clock
        self._ports = ports
        self._outbox = outbox
        self._completeness = completeness
        self._completeness.open(self._outbox, _FOREVER)
        self._ring = ring
        self._pool = WritePool(_WRITERS)
        self._arena = Arena()
        self._records: deque[_UnderWay] = deque()

    def turn(self, now: Reading, *, idle: bool = False) -> float:
        """Takes what the kernel has ready, lets it be written, accounts for what is written.

        Ports of which nothing is ready or under way are asked what they lost, and how far they are complete,
        only if that is wanted (`idle`). Returns the largest part (0 to 1) of a port's memory that is full.
        """
        self._account(now)
        self.load.waits_s = time.monotonic() - self._records[0].job.since if self._records else 0.0
        fullest = 0.0
        job: WriteJob | None = None
        waits = bool(self.broken()) or (self._ring.writer is None and self._ring.opening())
        for port in self._ports.all():
            if not idle and not port.under_way and port.ready() is None:
                port.emptied_boot_ns = now.boot_ns
                continue
            port.count(now.boot_ns)
            if not waits:  # for a ring, as long as there is memory
                job = self._take(port, job, now)
            part = port.under_way / len(port.busy)
            port.fullest = max(port.fullest, part)
            fullest = max(fullest, part)
        if job is not None:
            self._pool.submit(job)
        self.load.fullest = max(self.load.fullest, fullest)
        self._ports.close_drained(now)
        if self._outbox.waiting() and not self.trouble.refusing():
            self._tell(now)
        return fullest

    def tell_losses(self, now: Reading) -> None:
        """Tells what ports have lost that no record with packets has told in the meantime, and all news."""
        if self.broken():
            return
        writer = self._ring.writer
        for port in self._ports.all():
            if not port.losses.certain or writer is None:
                continue
            slot = self._place(writer, news.LENGTH)
            if slot is None:
                return
            self._completeness.lost(port, port.losses.from_boot_ns)
            self._completeness.telling(port, slot.sequence)
            self._send(Letter(port.name, port.take_losses(), ()), writer, slot, now, port)
        self._tell(now)

    def broken(self) -> str:
        """Why the ring is to be given up as soon as no record is under way; empty if it is not."""
        writer = self._ring.writer
        if writer is None or not self.trouble.known():
            return ""
        return self.trouble.broken(writer.held_up)

    def message(self) -> str:
        """What is wrong with the disk, in plain words; empty if it takes what it is given."""
        if self.load.waits_s > BROKEN_AFTER:
            waits = words.duration(self.load.waits_s)
            return f"The disk has not answered for {waits}; what comes in waits in memory."
        return self.trouble.message()

    def under_way(self) -> bool:
        """Whether records are being written."""
        return bool(self._records)

    def settle(self, now: Reading) -> None:
        """Waits for what is under way, but not for ever."""
        end = time.monotonic() + BROKEN_AFTER
        self._tell(now)
        while self._records and time.monotonic() < end:
            time.sleep(_ACCOUNT_PAUSE)
            self._account(read_clocks())

    def ring_closed(self) -> None:
        """What follows goes into another ring."""
        self._completeness.ring_closed()
        self.last_written = 0
        self.trouble.forget()

    def close(self) -> None:
        """Ends the threads, if nothing hangs."""
        if not self._records:
            self._pool.close()

    def _place(self, writer: RingWriter, length: int) -> Slot | None:
        try:
            slot = writer.place(length)
        except RingBusyError:
            self.trouble.busy(writer.held_up)
            return None
        self.trouble.placed()
        return slot

    def _take(self, port: RecordedPort, job: WriteJob | None, now: Reading) -> WriteJob | None:
        """Puts the port's ready blocks into `job` and further ones; returns the one not handed over yet."""
        writer = self._ring.writer
        while (number := port.ready()) is not None:
            block = port.socket.blocks[number]
            if writer is None:
                port.lose_unrecorded(blocks.packet_count(block), port.emptied_boot_ns, now.boot_ns)
                port.skip()
                blocks.release(block)
                continue
            slot = self._place(writer, blocks.record_length(block))
            if slot is None:
                return job
            since_ns = max(port.emptied_boot_ns - BLOCK_AGE_NS, port.last_boot_ns)
            times = self._clock.times(*blocks.packet_times(block), since_ns)
            port.last_boot_ns = times.last_boot_ns
            port.passed_since_ns = port.passed_since_ns or times.first_boot_ns
            if port.losses.certain:
                self._completeness.lost(port, port.losses.from_boot_ns)
                self._completeness.telling(port, slot.sequence)
            record = blocks.seal(
                block,
                writer.ring_id,
                slot.sequence,
                self._run_ns,
                port.index,
                port.name,
                port.take_losses(),
                times,
            )
            if job is None or not job.takes(slot.segment.descriptor, slot.offset, record.length):
                if job is not None:
                    self._pool.submit(job)
                job = WriteJob(slot.segment.descriptor, slot.offset)
            source: _Block | _Copy = _Block(port, number)
            copy = self._arena.copy(block[: record.length]) if record.length * SMALL <= len(block) else None
            if copy is None:
                job.add(block[: record.length], port.has_memory_to_spare)
                port.take()
            else:
                job.add(copy, port.has_memory_to_spare)
                source = _Copy(port)
                port.take_copied()
                blocks.release(block)
            self._records.append(_UnderWay(job, slot, record, source, port))
        port.emptied_boot_ns = now.boot_ns
        if not port.under_way and not port.copied:
            self._completeness.reached(port, port.quiet_through(now.boot_ns))
        return job

    def _tell(self, now: Reading) -> None:
        """Puts what is in the outbox into the ring, if there is one."""
        writer = self._ring.writer
        while writer is not None and self._outbox.waiting():
            slot = self._place(writer, news.LENGTH)
            if slot is None:
                return
            self._completeness.lost(self._outbox, self._outbox.since_ns())
            self._completeness.telling(self._outbox, slot.sequence)
            self._send(self._outbox.next(), writer, slot, now, self._outbox)

    def _send(self, letter: Letter, writer: RingWriter, slot: Slot, now: Reading, losses_of: object) -> None:
        times = Times(self._clock.boot_id, now.boot_ns, now.boot_ns, now.wall_ns - now.boot_ns, 0)
        block, record = write_letter(letter, writer.ring_id, slot.sequence, self._run_ns, now.wall_ns, times)
        job = WriteJob(slot.segment.descriptor, slot.offset)
        job.add(block)
        self._records.append(_UnderWay(job, slot, record, letter, losses_of))
        self._pool.submit(job)

    def _account(self, now: Reading) -> None:
        """Puts into the index what has been written, in order."""
        writer = self._ring.writer
        if writer is None or not self._records or not self._records[0].job.done:
            return
        while self._records and self._records[0].job.done:
            done = self._records.popleft()
            summary, error = done.job.summaries.popleft(), done.job.errors.popleft()
            self.load.slowest_write_s = max(self.load.slowest_write_s, done.job.seconds)
            source = done.source
            if isinstance(source, _Block):
                source.port.finished(source.number)
            elif isinstance(source, _Copy):
                source.port.copied -= 1
                self._arena.give_back()
            if error is None:
                writer.written(done.slot, done.record, summary)
                self.last_written = done.record.sequence
                self.trouble.taken()
                if not isinstance(source, Letter):
                    self._completeness.reached(source.port, done.record.last_boot_ns)
                continue
            self.trouble.refused(error)
            writer.lost(done.slot)
            self._completeness.not_written(done.losses_of, done.record.sequence)
            if isinstance(source, Letter):
                port = next((one for one in self._ports.all() if one is done.losses_of), None)
                if port is not None:  # its next record tells them, as the completeness of this port waits for
                    port.losses = port.losses.plus(source.losses)
                    source = replace(source, losses=NO_LOSSES)
                self._outbox.give_back(source)
            else:
                source.port.lose_unwritten(done.record, now.boot_ns)
        writer.publish()
