"""The recorder: from every measuring port to the ring on disk.

The kernel fills blocks with packets; this program gives every finished block a header, a place and to a
writer thread.  It does nothing per packet.  FILE is recorder.json (see `config`); SIGHUP reads it again,
SIGTERM ends the recorder after everything received is written.  Without a usable ring it goes on counting,
says why, and tries again every ten seconds; what passed meanwhile is told in the ring when there is one.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from allegro.capture import config, status
from allegro.capture.recorder import telling
from allegro.capture.recorder.clocks import BLOCK_AGE_NS, Clock, Reading, StepWatch, boot_id, read_clocks
from allegro.capture.recorder.completeness import Completeness
from allegro.capture.recorder.link_states import LinkWatch
from allegro.capture.recorder.memory import SMALL, Arena
from allegro.capture.recorder.outbox import Letter, Outbox, write_letter
from allegro.capture.recorder.port import RecordedPort
from allegro.capture.recorder.recorded_ports import Ports
from allegro.capture.recorder.ring_keeper import RETRY_S, RingKeeper
from allegro.capture.recorder.write_pool import WriteJob, WritePool
from allegro.capture.ring import news
from allegro.capture.ring import record as blocks
from allegro.capture.ring.news import ClockStepped, RingClosed
from allegro.capture.ring.open_segment import Slot
from allegro.capture.ring.record import NO_LOSSES, Record, Times
from allegro.capture.ring.stock import RingBusyError, RingUnavailable
from allegro.capture.ring.writer import RingWriter
from allegro.errors import AllegroError, Unavailable
from allegro.system.notify import alive, alive_every_s, notify

_LOG = logging.getLogger(__name__)

_STATUS_INTERVAL = 0.25
_SCAN_INTERVAL = 1.0
_WRITERS = 4
# While blocks are being written, look again after a pause instead of at every single block: fewer wake-ups,
# longer writes. The pause is such that about this part of a port's memory fills in it, within these limits.
_PAUSE_FILL = 1 / 4
_SHORTEST_PAUSE = 0.002
_LONGEST_PAUSE = 0.04
# Without one successful write for so long, the ring is given up and opened anew.
_BROKEN_AFTER = 10.0
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


@dataclass
class _Trouble:
    """Failed writes."""

    errors: int = 0
    text: str = ""
    since: float | None = None
    told: float = field(default=-RETRY_S)


class Recorder:
    """All ports and the ring. `run` does everything; `turn` is one look at all ports."""

    def __init__(self, config_file: Path) -> None:
        self._config_file = config_file
        self._config = config.load(config_file)
        now = read_clocks()
        self._run_ns = now.wall_ns
        self._clock = Clock(now, boot_id())
        self._poll = select.poll()
        self._events = select.poll()
        self._completeness = Completeness()
        self._outbox = Outbox()
        self._completeness.open(self._outbox, _FOREVER)
        self._ports = Ports(self._poll, self._outbox, self._completeness)
        self._ring = RingKeeper(now, self._clock.boot_id)
        self._config_error = ""
        self._pool = WritePool(_WRITERS)
        self._arena = Arena()
        self._records: deque[_UnderWay] = deque()
        self._trouble = _Trouble()
        self._last_written = 0
        self._load = telling.Load()
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._steps = StepWatch()
        self._links = LinkWatch()
        for poll in (self._poll, self._events):
            for descriptor in (self._wake, self._steps.fileno(), self._links.fileno()):
                poll.register(descriptor, select.POLLIN)
        self._reload = self._end = self._look_at_ports = False
        self._status_failed = False
        self._pause = _SHORTEST_PAUSE

    def run(self) -> int:
        """Records until SIGTERM or SIGINT; returns the exit code.

        That is 1 if a part of the ring's writer has died: a new process is to go on, with a ring opened anew.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._woken)
        next_scan = next_status = next_alive = 0.0
        alive_every = alive_every_s()
        announced = False
        code = 0
        while not self._end:
            now = time.monotonic()
            if self._reload:
                self._reload = False
                self._read_config()
            self._open_ring(now)
            if now >= next_scan or self._look_at_ports:
                next_scan = now + _SCAN_INTERVAL
                self._look_at_ports = False
                self._ports.look(self._config, read_clocks())
            if now >= next_status:
                next_status = now + _STATUS_INTERVAL
                self._report()
            if not announced:
                announced = True
                notify("READY=1")
            if alive_every is not None and now >= next_alive:
                next_alive = now + alive_every
                alive()
            writer = self._ring.writer
            if writer is not None and not writer.working():
                _LOG.error("A part of the recorder has ended unexpectedly; the recorder has to start anew.")
                code = 1
                break
            self._wait(self.turn(), next_status - time.monotonic())
        notify("STOPPING=1")
        self._shut_down()
        return code

    def turn(self) -> float:
        """Takes what the kernel has ready, lets it be written, accounts for what is written.

        Returns the largest part (0 to 1) of a port's memory that is full.
        """
        now = self._look_at_clocks()
        self._account(now)
        fullest = 0.0
        job: WriteJob | None = None
        for port in self._ports.all():
            port.count(now.boot_ns)
            job = self._take(port, job, now)
            fullest = max(fullest, port.under_way / len(port.busy))
        if job is not None:
            self._pool.submit(job)
        self._load.fullest = max(self._load.fullest, fullest)
        self._ports.close_drained(now)
        if self._outbox.waiting() and self._trouble.since is None:
            self._tell(now)
        return fullest

    def _look_at_clocks(self) -> Reading:
        """Both clocks now; a step of the wall clock since the last look becomes news."""
        now = read_clocks()
        step = self._clock.look(now)
        if step is not None:
            _LOG.warning("the clock was set by %.3f s", step.size_ns / 1e9)
            self._outbox.add(ClockStepped(*now, step.size_ns, now.boot_ns - step.after_boot_ns))
        return now

    def _take(self, port: RecordedPort, job: WriteJob | None, now: Reading) -> WriteJob | None:
        """Puts the port's ready blocks into `job` and further ones; returns the one not handed over yet."""
        writer = self._ring.writer
        if (writer is None and self._ring.opening()) or self._broken():
            return job  # they wait for a ring, as long as there is memory
        while (number := port.ready()) is not None:
            block = port.socket.blocks[number]
            if writer is None:
                port.lose_unrecorded(blocks.packet_count(block), port.emptied_boot_ns, now.boot_ns)
                port.skip()
                blocks.release(block)
                continue
            try:
                slot = writer.place(blocks.record_length(block))
            except RingBusyError:
                return job
            since_ns = max(port.emptied_boot_ns - BLOCK_AGE_NS, port.last_boot_ns)
            times = self._clock.times(*blocks.packet_times(block), since_ns)
            port.last_boot_ns = times.last_boot_ns
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
                job.add(block[: record.length])
                port.take()
            else:
                job.add(copy)
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
            try:
                slot = writer.place(news.LENGTH)
            except RingBusyError:
                return
            self._completeness.lost(self._outbox, self._outbox.since_ns())
            self._completeness.telling(self._outbox, slot.sequence)
            self._send(self._outbox.next(), writer, slot, now, self._outbox)

    def _tell_losses(self, now: Reading) -> None:
        """Tells what ports have lost that no record with packets has told in the meantime."""
        writer = self._ring.writer
        for port in self._ports.all():
            if not port.losses.certain or writer is None:
                continue
            try:
                slot = writer.place(news.LENGTH)
            except RingBusyError:
                return
            self._completeness.lost(port, port.losses.from_boot_ns)
            self._completeness.telling(port, slot.sequence)
            self._send(Letter(port.name, port.take_losses(), ()), writer, slot, now, port)

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
        if writer is None or not self._records:
            return
        while self._records and self._records[0].job.done:
            done = self._records.popleft()
            self._load.slowest_write_s = max(self._load.slowest_write_s, done.job.seconds)
            source = done.source
            if isinstance(source, _Block):
                source.port.finished(source.number)
            elif isinstance(source, _Copy):
                source.port.copied -= 1
                self._arena.give_back()
            if done.job.error is None:
                writer.written(done.slot, done.record)
                self._last_written = done.record.sequence
                self._trouble.since = None
                if not isinstance(source, Letter):
                    self._completeness.reached(source.port, done.record.last_boot_ns)
                continue
            self._failed(done.job.error)
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

    def _failed(self, error: OSError) -> None:
        now, trouble = time.monotonic(), self._trouble
        trouble.errors += 1
        trouble.text = error.strerror or str(error)
        trouble.since = trouble.since or now
        if now - trouble.told >= RETRY_S:
            trouble.told = now
            _LOG.error("a record could not be written: %s (%d so far)", trouble.text, trouble.errors)

    def _broken(self) -> bool:
        """Whether the ring is to be given up as soon as no record is under way."""
        since = self._trouble.since
        return since is not None and time.monotonic() - since > _BROKEN_AFTER

    # -- the ring ------------------------------------------------------------------------------------

    def _open_ring(self, now: float) -> None:
        """Takes an opened ring into use; gives up a broken one."""
        if self._ring.writer is not None and self._broken() and not self._records:
            self._close_ring(f"The disk does not take packets: {self._trouble.text}.", now + RETRY_S)
        writer = self._ring.look(self._config, now)
        if writer is None:
            return
        self._outbox.add(self._ring.use(writer, read_clocks()))
        try:
            writer.resize(self._config.ring_size)  # SIGHUP may have told another one meanwhile
        except RingUnavailable as error:
            self._refuse_config(error)

    def _close_ring(self, reason: str, open_again: float) -> None:
        self._ring.give_up(reason, read_clocks(), open_again)
        self._completeness.ring_closed()
        self._last_written = 0
        self._trouble.since = None

    def _read_config(self) -> None:
        """SIGHUP: takes what changed. A wrong file changes nothing, and the status says so."""
        try:
            new = config.load(self._config_file)
            writer = self._ring.writer
            if writer is not None and new.ring_directory == writer.directory:
                writer.resize(new.ring_size)
            elif writer is not None:
                self._end_ring()
                if self._records:
                    raise Unavailable("The disk is too slow to close the ring.", place="ring_directory")
                self._close_ring("The packet ring is being opened.", 0.0)
        except AllegroError as error:
            self._refuse_config(error)
            return
        self._config_error = ""
        self._config = new
        self._ring.try_now()
        self._look_at_ports = True

    def _refuse_config(self, error: AllegroError) -> None:
        self._config_error = f"The recorder's settings were not taken over: {error}"
        _LOG.error("%s", self._config_error)

    def _end_ring(self) -> None:
        """Writes all that is under way or to be told, and that nothing more comes."""
        now = read_clocks()
        self._tell_losses(now)
        self._outbox.add(RingClosed(*now))
        self._tell(now)
        end = time.monotonic() + _BROKEN_AFTER
        while self._records and time.monotonic() < end:
            time.sleep(_SHORTEST_PAUSE)
            self._account(read_clocks())

    # -- waiting, telling, ending --------------------------------------------------------------------

    def _wait(self, fullest: float, until_status: float) -> None:
        if fullest:
            pause = self._pause * _PAUSE_FILL / fullest
            self._pause = min(max(pause, _SHORTEST_PAUSE), _LONGEST_PAUSE, max(until_status, _SHORTEST_PAUSE))
            self._listen(self._events.poll(self._pause * 1000))
            return
        before = time.monotonic()
        events = self._poll.poll(max(until_status, 0) * 1000)
        if not self._listen(events) and events and time.monotonic() - before < _SHORTEST_PAUSE:
            # The socket has something to tell, again and again: an error, or the ring is busy.
            time.sleep(_SHORTEST_PAUSE)

    def _listen(self, events: list[tuple[int, int]]) -> bool:
        """Takes note of signals, of a clock that was set (the next turn looks), and of the links."""
        told = {descriptor for descriptor, _ in events}
        if self._wake in told:
            os.read(self._wake, 64)
        if self._steps.fileno() in told:
            self._steps.clear()
        if self._links.fileno() in told:
            self._ports.on_links(self._links.events(), read_clocks())
            self._look_at_ports = True
        return self._wake in told

    def _report(self) -> None:
        """Four times a second: losses that nothing else tells, how far the ring is complete, the status."""
        now = self._look_at_clocks()
        for port in self._ports.all():
            port.sample(now.boot_ns)
        if not self._broken():
            self._tell_losses(now)
            self._tell(now)
        writer = self._ring.writer
        if writer is not None:
            for port in self._ports.all():
                if port.losses.certain:
                    self._completeness.lost(port, port.losses.from_boot_ns)
            if self._outbox.waiting():
                self._completeness.lost(self._outbox, self._outbox.since_ns())
            self._completeness.claim(self._last_written, now.boot_ns)
            self._completeness.published(writer.published)
            writer.alive(self._complete(), tuple(self._ports.open))
        report = telling.status_of(
            now,
            self._run_ns,
            self._clock.boot_id,
            self._complete(),
            self._ring,
            self._ports,
            self._message(),
            self._trouble.errors + (writer.sync_errors if writer is not None else 0),
            self._load,
        )
        self._load = telling.Load()
        try:
            status.write(report, self._config.status_file)
            self._status_failed = False
        except OSError as error:
            if not self._status_failed:
                _LOG.error("status cannot be written: %s", error)
            self._status_failed = True

    def _complete(self) -> Reading:
        """Up to when the ring is complete, by both clocks (0: nothing yet)."""
        boot_ns = self._completeness.through_ns
        return Reading(boot_ns, self._clock.wall_ns(boot_ns) if boot_ns else 0)

    def _message(self) -> str:
        trouble, writer = self._trouble, self._ring.writer
        parts = [self._ring.reason, self._config_error, *self._ports.refused.values()]
        if writer is not None:
            parts.append(writer.shortage or writer.progress())
        if trouble.errors and trouble.since is not None:
            parts.append(f"The disk refuses packets ({trouble.text}); they are counted as lost.")
        return " ".join(part for part in parts if part)

    def _shut_down(self) -> None:
        """Lets all ports run dry, writes everything, closes the ring. What comes in now is not taken."""
        stopped = read_clocks()
        for port in list(self._ports.open.values()):
            self._ports.let_go(port)
        end = time.monotonic() + _BROKEN_AFTER
        while self._ports.closing and time.monotonic() < end:
            self.turn()
            time.sleep(_LONGEST_PAUSE)
        self._end_ring()
        self._report()
        if self._ring.writer is not None and not self._records and not self._ports.closing:
            self._ring.writer.ended(stopped)
        self._ring.end()
        self._links.close()
        self._steps.close()
        if not self._records:
            self._pool.close()

    def _on_signal(self, number: int, _frame: object) -> None:
        if number == signal.SIGHUP:
            self._reload = True
        else:
            self._end = True


def main(arguments: list[str]) -> int:
    """Runs the recorder; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    if len(arguments) != 1:
        print("usage: python3 -m allegro.capture.recorder RECORDER.JSON", file=sys.stderr)
        return 2
    try:
        recorder = Recorder(Path(arguments[0]))
    except AllegroError as error:
        print(error, file=sys.stderr)
        return 1
    return recorder.run()
