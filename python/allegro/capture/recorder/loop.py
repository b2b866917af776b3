"""The recorder: from every measuring port to the ring on disk.

The kernel fills blocks with packets; this program gives every finished block a header, a place and to a
writer thread.  It does nothing per packet.  FILE is recorder.json (see `config`); SIGHUP reads it again,
SIGTERM ends the recorder after everything received is written.  Without a usable ring it goes on counting,
says why, and tries again every ten seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import select
import signal
import socket
import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from allegro.capture import config, status
from allegro.capture.recorder.clock import BLOCK_AGE_NS, Clock, Reading, boot_id, read_clocks
from allegro.capture.recorder.port import RecordedPort
from allegro.capture.recorder.socket import RingSocket
from allegro.capture.recorder.write_pool import WriteJob, WritePool
from allegro.capture.ring import record as blocks
from allegro.capture.ring.writer import RingBusyError, RingUnavailable, RingWriter, Slot
from allegro.capture.status import PortStatus, RecorderStatus
from allegro.errors import AllegroError, Unavailable
from allegro.system.notify import alive, alive_every_s, notify

_LOG = logging.getLogger(__name__)

_STATUS_INTERVAL = 0.25
_SCAN_INTERVAL = 1.0
_RETRY_INTERVAL = 10.0
_WRITERS = 4
# While blocks are being written, look again after a pause instead of at every single block: fewer wake-ups,
# longer writes. The pause is such that about this part of a port's memory fills in it, within these limits.
_PAUSE_FILL = 1 / 4
_SHORTEST_PAUSE = 0.002
_LONGEST_PAUSE = 0.04
# Without one successful write for so long, the ring is given up and opened anew.
_BROKEN_AFTER = 10.0


@dataclass(eq=False)
class _Record:
    """A record under way."""

    job: WriteJob
    port: RecordedPort
    number: int
    slot: Slot
    header: blocks.Record


@dataclass
class _Totals:
    """Of ports that are gone, so that the totals since start never fall."""

    packets: int = 0
    bytes: int = 0
    drops: int = 0
    nic_missed: int = 0

    def add(self, port: PortStatus) -> None:
        self.packets += port.packets
        self.bytes += port.bytes
        self.drops += port.drops
        self.nic_missed += port.nic_missed


@dataclass
class _Trouble:
    """Failed writes."""

    errors: int = 0
    text: str = ""
    since: float | None = None
    told: float = field(default=-_RETRY_INTERVAL)


class Recorder:
    """All ports and the ring. `run` does everything; `turn` is one look at all ports."""

    def __init__(self, config_file: Path) -> None:
        self._config_file = config_file
        self._config = config.load(config_file)
        now = read_clocks()
        self._run_ns = now.wall_ns
        self._clock = Clock(now, boot_id())
        self._ports: dict[str, RecordedPort] = {}
        self._closing: list[RecordedPort] = []
        self._refused: dict[str, str] = {}
        self._gone = _Totals()
        self._writer: RingWriter | None = None
        self._opening: Future[RingWriter] | None = None
        self._opener = ThreadPoolExecutor(1, "ring opener")
        self._open_again = 0.0
        self._no_ring = "The packet ring is being opened."
        self._config_error = ""
        self._pool = WritePool(_WRITERS)
        self._records: deque[_Record] = deque()
        self._trouble = _Trouble()
        self._complete_through_ns = 0
        self._last_written = 0
        self._claims: deque[tuple[int, int]] = deque()
        self._poll = select.poll()
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._wake, select.POLLIN)
        self._reload = self._end = False
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
            if now >= next_scan:
                next_scan = now + _SCAN_INTERVAL
                self._scan()
            if now >= next_status:
                next_status = now + _STATUS_INTERVAL
                self._write_status()
            if not announced and self._opening is None:
                announced = True
                notify("READY=1")
            if alive_every is not None and now >= next_alive:
                next_alive = now + alive_every
                alive()
            if self._writer is not None and not self._writer.working():
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
        self._account()
        fullest = 0.0
        job: WriteJob | None = None
        now = read_clocks()
        self._clock.look(now)
        for port in (*self._ports.values(), *self._closing):
            port.count()
            job = self._take(port, job, now)
            fullest = max(fullest, port.under_way / len(port.busy))
        if job is not None:
            self._pool.submit(job)
        self._close_drained()
        return fullest

    def _take(self, port: RecordedPort, job: WriteJob | None, now: Reading) -> WriteJob | None:
        """Puts the port's ready blocks into `job` and further ones; returns the one not handed over yet."""
        writer = self._writer
        while (number := port.ready()) is not None:
            block = port.socket.blocks[number]
            if writer is None:
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
            losses = port.take_losses()
            header = blocks.seal(
                block, writer.ring_id, slot.sequence, self._run_ns, port.index, port.name, losses, times
            )
            if job is None or not job.takes(slot.segment.descriptor, slot.offset, header.length):
                if job is not None:
                    self._pool.submit(job)
                job = WriteJob(slot.segment.descriptor, slot.offset)
            job.add(block[: header.length])
            port.take()
            self._records.append(_Record(job, port, number, slot, header))
        port.emptied_boot_ns = now.boot_ns
        if not port.under_way:
            port.note_quiet(now.wall_ns)
        return job

    def _account(self) -> None:
        """Puts into the index what has been written, in order."""
        writer = self._writer
        if writer is None or not self._records:
            return
        while self._records and self._records[0].job.done:
            record = self._records.popleft()
            record.port.finished(record.number)
            if record.job.error is None:
                writer.written(record.slot, record.header)
                record.port.note_written(record.header.last_ns)
                self._last_written = record.header.sequence
                self._trouble.since = None
            else:
                self._failed(record.job.error)
                writer.lost(record.slot)
                header = record.header
                record.port.lose(header.packets)
                record.port.give_back(header.losses)
        writer.publish()

    def _failed(self, error: OSError) -> None:
        now, trouble = time.monotonic(), self._trouble
        trouble.errors += 1
        trouble.text = error.strerror or str(error)
        trouble.since = trouble.since or now
        if now - trouble.told >= _RETRY_INTERVAL:
            trouble.told = now
            _LOG.error("a record could not be written: %s (%d so far)", trouble.text, trouble.errors)

    # -- ports ---------------------------------------------------------------------------------------

    def _scan(self) -> None:
        """Opens new ports, lets vanished ones go."""
        pattern = re.compile(self._config.port_pattern)
        present = {name: number for number, name in socket.if_nameindex() if pattern.fullmatch(name)}
        for name, port in list(self._ports.items()):
            if present.get(name) != port.ifindex:
                _LOG.info("%s is gone", name)
                del self._ports[name]
                port.stop()
                self._closing.append(port)
        self._refused = {name: text for name, text in self._refused.items() if name in present}
        for name in sorted(present.keys() - self._ports.keys()):
            self._open_port(name, present[name])

    def _open_port(self, name: str, ifindex: int) -> None:
        options = self._config
        try:
            connection = RingSocket(
                name, ifindex, options.block_size, options.blocks_per_port, options.retire_ms
            )
        except AllegroError as error:
            if self._refused.get(name) != str(error):
                _LOG.warning("%s", error)
            self._refused[name] = str(error)
            return
        self._refused.pop(name, None)
        if len(connection.blocks) < options.blocks_per_port:
            _LOG.warning("%s: memory for only %d blocks", name, len(connection.blocks))
        port = RecordedPort(name, ifindex, connection, options.retire_ms)
        port.emptied_boot_ns = read_clocks().boot_ns
        self._ports[name] = port
        self._poll.register(connection.fileno(), select.POLLIN)
        _LOG.info("recording %s", name)

    def _close_drained(self) -> None:
        for port in [port for port in self._closing if port.drained()]:
            self._closing.remove(port)
            self._poll.unregister(port.socket.fileno())
            port.sample()
            self._gone.add(port.counts)
            port.close()

    # -- the ring ------------------------------------------------------------------------------------

    def _open_ring(self, now: float) -> None:
        """Opens the ring, in a thread as looking through it may take a moment; gives up a broken one."""
        trouble = self._trouble
        broken = trouble.since is not None and now - trouble.since > _BROKEN_AFTER
        if self._writer is not None and broken and not self._records:
            self._no_ring = f"The disk does not take packets: {trouble.text}."
            self._close_ring(now + _RETRY_INTERVAL)
        if self._opening is not None and self._opening.done():
            opening, self._opening = self._opening, None
            try:
                writer = opening.result()
            except RingUnavailable as error:
                if self._no_ring != str(error):
                    _LOG.error("no ring: %s", error)
                self._no_ring = str(error)
                self._open_again = now + _RETRY_INTERVAL
            else:
                self._use_ring(writer, now)
        if self._writer is None and self._opening is None and now >= self._open_again:
            self._opening = self._opener.submit(
                RingWriter, self._config.ring_directory, self._config.ring_size, self._run_ns
            )

    def _use_ring(self, writer: RingWriter, now: float) -> None:
        """Records into a ring just opened, after what SIGHUP told while it was being opened."""
        self._writer, self._no_ring = writer, ""
        if writer.directory != self._config.ring_directory:
            self._close_ring(now)
            return
        try:
            writer.resize(self._config.ring_size)
        except RingUnavailable as error:
            self._refuse_config(error)

    def _close_ring(self, open_again: float) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        self._claims.clear()
        self._last_written = 0
        self._trouble.since = None
        self._open_again = open_again

    def _read_config(self) -> None:
        """SIGHUP: takes what changed. A wrong file changes nothing, and the status says so."""
        try:
            new = config.load(self._config_file)
            if self._writer is not None and new.ring_directory == self._writer.directory:
                self._writer.resize(new.ring_size)
            elif self._writer is not None:
                self._finish_writing(_BROKEN_AFTER)
                if self._records:
                    raise Unavailable("The disk is too slow to close the ring.", place="ring_directory")
                self._close_ring(0.0)
        except AllegroError as error:
            self._refuse_config(error)
            return
        self._config_error = ""
        self._config = new
        self._open_again = 0.0
        self._scan()

    def _refuse_config(self, error: AllegroError) -> None:
        self._config_error = f"The recorder's settings were not taken over: {error}"
        _LOG.error("%s", self._config_error)

    # -- waiting, telling, ending --------------------------------------------------------------------

    def _wait(self, fullest: float, until_status: float) -> None:
        if fullest:
            pause = self._pause * _PAUSE_FILL / fullest
            self._pause = min(max(pause, _SHORTEST_PAUSE), _LONGEST_PAUSE, max(until_status, _SHORTEST_PAUSE))
            time.sleep(self._pause)
            return
        before = time.monotonic()
        events = self._poll.poll(max(until_status, 0) * 1000)
        if any(descriptor == self._wake for descriptor, _ in events):
            os.read(self._wake, 64)
        elif events and time.monotonic() - before < _SHORTEST_PAUSE:
            # The socket has something to tell, again and again: an error, or the ring is busy.
            time.sleep(_SHORTEST_PAUSE)

    def _write_status(self) -> None:
        now_ns = time.time_ns()
        writer = self._writer
        for port in (*self._ports.values(), *self._closing):
            port.sample()
        if writer is not None:
            self._note_complete(writer, now_ns)
            writer.alive(now_ns, tuple(self._ports))
        report = self._status(now_ns)
        try:
            status.write(report, self._config.status_file)
            self._status_failed = False
        except OSError as error:
            if not self._status_failed:
                _LOG.error("status cannot be written: %s", error)
            self._status_failed = True

    def _note_complete(self, writer: RingWriter, now_ns: int) -> None:
        """What is written now is complete for readers as soon as the last of it is published."""
        if self._complete_through_ns > now_ns:
            self._complete_through_ns = 0  # the clock was set back
        ports = (*self._ports.values(), *self._closing)
        complete = min((port.complete_through_ns for port in ports), default=now_ns)
        self._claims.append((self._last_written, complete))
        while self._claims and self._claims[0][0] <= writer.published:
            self._complete_through_ns = max(self._complete_through_ns, self._claims.popleft()[1])

    def _status(self, now_ns: int) -> RecorderStatus:
        ring = self._writer.status() if self._writer is not None else None
        ports = tuple(port.counts for port in sorted(self._ports.values(), key=lambda port: port.index))
        everything = (*ports, *(port.counts for port in self._closing))
        state = status.RECORDING if ring is not None else status.NO_RING
        if ring is None and self._opening is not None and not self._records and not self._complete_through_ns:
            state = status.STARTING
        oldest = ring.oldest_ns if ring is not None else None
        return RecorderStatus(
            time_ns=now_ns,
            pid=os.getpid(),
            run_id=self._run_ns,
            state=state,
            message=self._message(),
            complete_through_ns=self._complete_through_ns,
            ring=ring,
            ports=ports,
            packets=self._gone.packets + sum(port.packets for port in everything),
            bytes=self._gone.bytes + sum(port.bytes for port in everything),
            packets_per_s=round(sum(port.packets_per_s for port in ports), 1),
            bytes_per_s=round(sum(port.bytes_per_s for port in ports), 1),
            drops=self._gone.drops + sum(port.drops for port in everything),
            nic_missed=self._gone.nic_missed + sum(port.nic_missed for port in everything),
            write_errors=self._trouble.errors + (self._writer.sync_errors if self._writer is not None else 0),
            reach_back_s=round(max(now_ns - oldest, 0) / 1e9, 3) if oldest is not None else 0.0,
        )

    def _message(self) -> str:
        trouble, writer = self._trouble, self._writer
        parts = [self._no_ring, self._config_error, *self._refused.values()]
        if writer is not None:
            parts.append(writer.shortage or writer.progress())
        if trouble.errors and trouble.since is not None:
            parts.append(f"The disk refuses packets ({trouble.text}); they are counted as lost.")
        return " ".join(part for part in parts if part)

    def _finish_writing(self, seconds: float) -> None:
        """Waits until all records under way are written, but not longer than that."""
        end = time.monotonic() + seconds
        while self._records and time.monotonic() < end:
            time.sleep(_SHORTEST_PAUSE)
            self._account()

    def _shut_down(self) -> None:
        """Lets all ports run dry, writes everything, closes the ring."""
        for port in self._ports.values():
            port.stop()
        self._closing.extend(self._ports.values())
        self._ports.clear()
        end = time.monotonic() + _BROKEN_AFTER
        while self._closing and time.monotonic() < end:
            self.turn()
            time.sleep(_LONGEST_PAUSE)
        self._finish_writing(_BROKEN_AFTER)
        self._write_status()
        if self._opening is not None:
            with contextlib.suppress(RingUnavailable):
                self._writer = self._opening.result()
        self._close_ring(0.0)
        self._opener.shutdown()
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
