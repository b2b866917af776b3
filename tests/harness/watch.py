"""Starts that can no longer succeed: seen while they are waited for, begun anew, and counted.

An emulated processor sometimes crashes the kernel of a guest while it starts, or spins in it for ever. What
the watchdog of a real machine does about the second, this does for machines without one: after a long silence
on the serial line, during which QEMU computed all the time, the machine is reset. Whoever waits for the start
goes on waiting.
"""

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.harness.agent import GuestAgent
from tests.harness.bench_errors import BenchError
from tests.harness.qmp import QmpClient
from tests.harness.starts import Start
from tests.harness.waiting import PATIENCE

CRASH = "Oops: int3"
"""QEMU crashes a guest's kernel now and then while it patches itself; the kernel starts anew by itself."""
HUNG = "nothing more by the serial line, QEMU computing all the time"
CRASHED = f"the kernel crashed ({CRASH})"
CRASHED_RESUMED = "the guest started anew right after it was resumed"
TRIES = 3
_INTERVAL_S = 2.0


@dataclass(frozen=True)
class Limits:
    """How long nothing may come by the serial line before a start is given up."""

    silent_s: float = 120.0
    """By the clock."""
    computed_s: float = 100.0
    """By QEMU's processor time, too: on a host with much else to do a sound guest may be silent for long."""
    answer_s: float = 30.0
    """What the guest's agent gets before that, to say that all is well."""


LIMITS = Limits()


@dataclass
class Silence:
    """Since when nothing new has come."""

    limits: Limits
    size: int = -1
    since: float = 0.0
    computed: float = 0.0

    def too_long(self, size: int, now: float, computed: float) -> bool:
        """Tell it the size of the serial log, the time, and QEMU's processor time, all counted up."""
        if size != self.size:
            self.size, self.since, self.computed = size, now, computed
        silent = now - self.since >= self.limits.silent_s
        return silent and computed - self.computed >= self.limits.computed_s


class Watch:
    """Watches one start of a machine, and the restarts of its guest, until `close`."""

    def __init__(
        self, process: int, qmp: QmpClient, agent: GuestAgent, serial: Path, start: Start, limits: Limits
    ) -> None:
        """`process` is QEMU's number, `serial` the log of the line. A thread begins at once."""
        self._process = process
        self._qmp = qmp
        self._agent = agent
        self._serial = serial
        self._start = start
        self._limits = limits
        self._ended = threading.Event()
        self._restarted = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def guest_reset(self) -> None:
        """The guest starts anew: this start is watched, too."""
        self._restarted = True

    def close(self) -> None:
        """End, after the connections to QEMU; crashes until now are counted."""
        self._ended.set()
        if self._thread is not threading.current_thread():
            self._thread.join(60)

    def _run(self) -> None:
        at = _size(self._serial)
        silence = Silence(self._limits)
        hangs = 0
        answered = False
        while True:
            last = self._ended.wait(_INTERVAL_S)
            size = _size(self._serial)
            crashes = self._crashes(at, size)
            self._start.anew += [CRASHED] * crashes
            at = size
            if last:
                return
            if self._restarted:
                self._restarted, answered, silence = False, False, Silence(self._limits)
            with contextlib.suppress(OSError, BenchError):  # QEMU has ended: whoever waits is told
                if not answered and silence.too_long(size, time.monotonic(), processor_s(self._process)):
                    answered = self._answers()
                    if not answered and not self._ended.is_set():
                        hangs += 1
                        self._begin_anew(hangs)
                        silence = Silence(self._limits)

    def _crashes(self, start: int, end: int) -> int:
        if end == start:
            return 0
        with self._serial.open("rb") as file:
            # From a little before, as the last look may have seen half of the word.
            file.seek(max(0, start - len(CRASH) + 1))
            return file.read(end - file.tell()).count(CRASH.encode())

    def _answers(self) -> bool:
        try:
            self._agent.request("clock", self._limits.answer_s * PATIENCE)
        except BenchError:
            return False
        return True

    def _begin_anew(self, times: int) -> None:
        self._start.anew.append(HUNG)
        if times < TRIES:
            self._qmp.execute("system_reset")
        else:
            self._start.hopeless = f"{times} times nothing more came by the serial line while it started"
            self._qmp.execute("quit")


def processor_s(process: int) -> float:
    """Processor time that a process has used, in seconds (proc(5), /proc/pid/stat: utime and stime).

    Raises OSError if there is no such process.
    """
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
