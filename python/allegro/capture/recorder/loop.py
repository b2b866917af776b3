"""The recorder: from every measuring port to the ring on disk.

The kernel fills blocks with packets; this program gives every finished block a header, a place and to a
writer thread.  It does nothing per packet.  FILE is recorder.json (see `config`); SIGHUP reads it again,
SIGTERM ends the recorder after everything received is written.  Without a usable ring it goes on counting,
says why, and tries again every ten seconds; what passed meanwhile is told in the ring when there is one.
Where `config` names a place in memory, a small ring there takes the place of one that its disk refuses.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
from pathlib import Path

from allegro.capture import config, status
from allegro.capture.recorder import telling
from allegro.capture.recorder.clocks import Clock, StepWatch, boot_id
from allegro.capture.recorder.completeness import Completeness
from allegro.capture.recorder.dispatcher import BROKEN_AFTER, Dispatcher
from allegro.capture.recorder.link_states import LinkWatch
from allegro.capture.recorder.outbox import Outbox
from allegro.capture.recorder.recorded_ports import Ports
from allegro.capture.recorder.ring_keeper import RETRY_S, RingKeeper
from allegro.capture.ring.news import ClockStepped, RingClosed
from allegro.capture.ring.stock import RingUnavailable
from allegro.errors import AllegroError
from allegro.system.boottime import Reading, read_clocks
from allegro.system.notify import alive, alive_every_s, notify

_LOG = logging.getLogger(__name__)

_STATUS_INTERVAL = 0.25
_SCAN_INTERVAL = 1.0
# While blocks are being written, look again after a pause instead of at every single block: fewer wake-ups,
# longer writes. The pause is such that about this part of a port's memory fills in it, within these limits.
_PAUSE_FILL = 1 / 4
_SHORTEST_PAUSE = 0.002
_LONGEST_PAUSE = 0.04
# Blocks of quiet links, which are copied, wait for so many pauses, so that one turn takes those of all links.
_QUIET_PAUSES = 2


class Recorder:
    """All ports and the ring. `run` does everything."""

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
        self._ports = Ports(self._poll, self._outbox, self._completeness)
        self._ring = RingKeeper(now, self._clock.boot_id)
        self._config_error = ""
        self._dispatcher = Dispatcher(
            self._run_ns, self._clock, self._ports, self._outbox, self._completeness, self._ring
        )
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._steps = StepWatch()
        self._links = LinkWatch()
        for poll in (self._poll, self._events):
            for descriptor in (self._wake, self._steps.fileno(), self._links.fileno()):
                poll.register(descriptor, select.POLLIN)
        self._ports.rules.apply(self._config.rules, ())
        self._reload = self._end = self._look_at_ports = False
        self._status_failed = False
        self._pause = _SHORTEST_PAUSE
        self._restless = False
        """Whether idle ports are to be asked at once: an error of one ends by that (see `statistics`)."""

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
        works = True
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
                fullest = self._report()
                works = self._ring.writer is None or self._ring.writer.working()
            else:
                fullest = self._dispatcher.turn(self._look_at_clocks(), idle=self._restless)
            if not announced:
                announced = True
                notify("READY=1")
            if alive_every is not None and now >= next_alive:
                next_alive = now + alive_every
                alive()
            if not works:
                _LOG.error("A part of the recorder has ended unexpectedly; the recorder has to start anew.")
                code = 1
                break
            self._wait(fullest, next_status - time.monotonic())
        notify("STOPPING=1")
        self._shut_down()
        return code

    def _look_at_clocks(self) -> Reading:
        """Both clocks now; a step of the wall clock since the last look becomes news."""
        now = read_clocks()
        step = self._clock.look(now)
        if step is not None:
            _LOG.warning("the clock was set by %.3f s", step.size_ns / 1e9)
            self._outbox.add(ClockStepped(*now, step.size_ns, now.boot_ns - step.after_boot_ns))
        return now

    # -- the ring ------------------------------------------------------------------------------------

    def _open_ring(self, now: float) -> None:
        """Takes an opened ring into use, and leaves the one before; gives up a broken one."""
        if (reason := self._dispatcher.broken()) and not self._dispatcher.under_way():
            self._close_ring(reason, RETRY_S)
        writer = self._ring.look(self._config, now)
        if writer is None:
            refuses = self._dispatcher.trouble.refusing() and not self._dispatcher.under_way()
            if refuses and self._ring.moves() and self._ring.opening():  # which what comes in waits for
                self._close_ring(self._dispatcher.trouble.message(), 0.0)
            return
        if self._ring.writer is not None:  # one in memory, or on another disk
            self._end_ring()
            if self._dispatcher.under_way():
                self._ring.not_now(writer)
                return
            why = self._dispatcher.trouble.message() or "The packet ring goes to another disk."
            self._close_ring("The disk can be used again." if self._ring.in_memory_since_ns else why, 0.0)
        self._outbox.add(self._ring.use(writer, read_clocks()))
        if self._ring.in_memory_since_ns:
            _LOG.warning("packets are kept in memory: %s", self._ring.memory_reason())
            return
        self._dispatcher.trouble.at(writer.directory)
        try:
            writer.resize(self._config.ring_size)  # SIGHUP may have told another one meanwhile
        except RingUnavailable as error:
            self._refuse_config(error)

    def _close_ring(self, reason: str, pause_s: float) -> None:
        if self._ring.writer is not None:
            self._dispatcher.trouble.count(self._ring.writer.failures)
        self._ring.give_up(reason, read_clocks(), pause_s)
        self._dispatcher.ring_closed()

    def _read_config(self) -> None:
        """SIGHUP: takes what changed. A wrong file changes nothing, and the status says so."""
        try:
            new = config.load(self._config_file)
            self._ports.rules.apply(new.rules, self._ports.open.values())
            writer = self._ring.writer
            if writer is not None and new.ring_directory == writer.directory:
                writer.resize(new.ring_size)
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
        now = self._look_at_clocks()
        self._ports.rules.tell_now(now, self._ports.all())
        self._dispatcher.tell_losses(now)
        self._outbox.add(RingClosed(*now))
        self._dispatcher.settle(now)

    # -- waiting, telling, ending --------------------------------------------------------------------

    def _wait(self, fullest: float, until_status: float) -> None:
        if fullest:
            pause = self._pause * _PAUSE_FILL / fullest
            self._pause = min(max(pause, _SHORTEST_PAUSE), _LONGEST_PAUSE, max(until_status, _SHORTEST_PAUSE))
            self._listen(self._events.poll(self._pause * 1000))
            return
        if self._dispatcher.under_way():
            self._gather(until_status)
            return
        before = time.monotonic()
        events = self._poll.poll(max(until_status, 0) * 1000)
        woken = self._listen(events)
        # A socket has something to tell, again and again: an error, or the ring is busy.
        self._restless = bool(not woken and events and time.monotonic() - before < _SHORTEST_PAUSE)
        if self._restless:
            time.sleep(_SHORTEST_PAUSE)

    def _gather(self, until_status: float) -> None:
        """Waits for what else comes in on quiet links, as long as none of them gets busy."""
        self._pause = _LONGEST_PAUSE
        for _ in range(_QUIET_PAUSES):
            pause = min(_LONGEST_PAUSE, max(until_status, _SHORTEST_PAUSE))
            until_status -= pause
            events = self._events.poll(pause * 1000)
            self._listen(events)
            if events or until_status <= 0 or any(port.piled_up() for port in self._ports.all()):
                return

    def _listen(self, events: list[tuple[int, int]]) -> bool:
        """Takes note of signals, of a clock that was set (the next turn looks), and of the links."""
        if not events:
            return False
        told = {descriptor for descriptor, _ in events}
        if self._wake in told:
            os.read(self._wake, 64)
        if self._steps.fileno() in told:
            self._steps.clear()
        if self._links.fileno() in told:
            self._ports.on_links(self._links.events(), read_clocks())
            self._look_at_ports = True
        return self._wake in told

    def _report(self) -> float:
        """Four times a second: a turn of all ports, losses that nothing else tells, how far the ring is
        complete, the status. Returns what the turn does."""
        now = self._look_at_clocks()
        fullest = self._dispatcher.turn(now, idle=True)
        self._ports.sample(now)
        self._ports.rules.tell(now, self._ports.all(), ring=self._ring.writer is not None)
        self._dispatcher.tell_losses(now)
        self._say(now)
        return fullest

    def _say(self, now: Reading) -> None:
        """Notes how far the ring is complete, and writes the status."""
        writer = self._ring.writer
        if writer is not None:
            for port in self._ports.all():
                if port.losses.certain:
                    self._completeness.lost(port, port.losses.from_boot_ns)
            if self._outbox.waiting():
                self._completeness.lost(self._outbox, self._outbox.since_ns())
            self._completeness.claim(self._dispatcher.last_written, now.boot_ns)
            self._completeness.published(writer.published)
            writer.alive(self._complete(), tuple(self._ports.open))
        failures = writer.failures if writer is not None else 0
        report = telling.status_of(
            now,
            self._run_ns,
            self._clock,
            self._complete(),
            self._ring,
            self._ports,
            self._message(),
            self._dispatcher.trouble.errors + failures,
            self._dispatcher.trouble.errors_here + failures,
            self._dispatcher.load,
        )
        self._dispatcher.load.told()
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
        writer = self._ring.writer
        refused = self._ports.refused.values()
        parts = [self._ring.message(), self._config_error, *refused, self._ports.rules.message()]
        if writer is not None and not self._ring.in_memory_since_ns:
            parts.append(writer.shortage or writer.progress())
        parts.append(self._dispatcher.message())
        return " ".join(part for part in parts if part)

    def _shut_down(self) -> None:
        """Lets all ports run dry, writes everything, closes the ring. What comes in now is not taken."""
        stopped = self._look_at_clocks()
        for port in list(self._ports.open.values()):
            self._ports.let_go(port)
        end = time.monotonic() + BROKEN_AFTER
        while self._ports.closing and time.monotonic() < end:
            self._dispatcher.turn(self._look_at_clocks(), idle=True)
            time.sleep(_LONGEST_PAUSE)
        self._end_ring()
        self._say(read_clocks())  # a clock that is set from now on is news of the next run
        left = self._dispatcher.under_way() or self._ports.closing or self._outbox.waiting()
        if self._ring.writer is not None and not left:
            self._ring.writer.ended((stopped.boot_ns, self._clock.wall_ns(stopped.boot_ns)))
        self._ring.end()
        self._links.close()
        self._steps.close()
        self._ports.close()
        self._dispatcher.close()

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
