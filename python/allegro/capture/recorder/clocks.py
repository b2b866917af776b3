"""Two clocks: the wall clock, by which the kernel stamps packets, and CLOCK_BOOTTIME, which nobody sets.

Between two steps of the wall clock both differ by a constant: NTP slews them together (clock_gettime(2)).
The recorder looks at both in every turn, so that it notices each step, and gives every record the times of
its packets by the clock that nobody sets, by the difference that held when the kernel stamped them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import time
from collections import deque
from typing import NamedTuple

from allegro.capture.ring.record import Times
from allegro.system import boottime
from allegro.system.boottime import STEP_NS, Reading

BLOCK_AGE_NS = 350_000_000
"""No packet in a block is older when the kernel hands it over: twice the longest retire time that is
usual (100 ms), as the kernel's timer notes a new block first, and what the timer may be late."""

_SLACK_NS = 2_000_000
_KEPT_STEPS = 32

# timerfd_create(2); time.CLOCK_REALTIME, struct itimerspec
_TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_TFD_TIMER_CANCEL_ON_SET = 2
_FAR_FUTURE_S = 1 << 33


class Step(NamedTuple):
    """The wall clock was set between `after_boot_ns` and `before_boot_ns`: by `size_ns`, from a difference
    (wall minus boot) of `old_offset_ns`."""

    after_boot_ns: int
    before_boot_ns: int
    old_offset_ns: int
    size_ns: int


def boot_id() -> bytes:
    """The id of this start of the kernel (random(4)), 16 bytes; empty if it cannot be read."""
    try:
        return bytes.fromhex(boottime.boot_id())
    except (OSError, ValueError):
        return b""


class Clock:
    """The differences between wall clock and CLOCK_BOOTTIME that held since the recorder's start.

    `steps_seen` is how often the wall clock was set.
    """

    def __init__(self, reading: Reading, boot: bytes) -> None:
        self.boot_id = boot
        self.steps_seen = 0
        self._offset_ns = reading.wall_ns - reading.boot_ns
        self._looked_ns = reading.boot_ns
        self._steps: deque[Step] = deque(maxlen=_KEPT_STEPS)

    def look(self, reading: Reading) -> Step | None:
        """Compares the clocks; the step of the wall clock since the last look, if there was one."""
        after_ns, self._looked_ns = self._looked_ns, reading.boot_ns
        size_ns = reading.wall_ns - reading.boot_ns - self._offset_ns
        if abs(size_ns) < STEP_NS:
            return None
        step = Step(after_ns, reading.boot_ns, self._offset_ns, size_ns)
        self._offset_ns += size_ns
        self.steps_seen += 1
        self._steps.append(step)
        return step

    def wall_ns(self, boot_ns: int) -> int:
        """What the wall clock, as it is set now, would say at a boot time."""
        return boot_ns + self._offset_ns

    def times(self, first_ns: int, last_ns: int, since_boot_ns: int) -> Times:
        """The boot times of a block whose first and last packet have these wall times.

        All its packets came in after `since_boot_ns` and until the last look.
        """
        if not self._steps or self._steps[-1].before_boot_ns < since_boot_ns:
            offset_ns = self._offset_ns
            earlier_ns, later_ns = (first_ns, last_ns) if first_ns <= last_ns else (last_ns, first_ns)
            # Never before the start of the kernel: a block that waited over a step may seem so.
            return Times(
                self.boot_id, max(earlier_ns - offset_ns, 0), max(later_ns - offset_ns, 0), offset_ns, 0
            )
        first = self._possible(first_ns, since_boot_ns)[0]
        first_boot_ns = max(first_ns - first, 0)
        last = self._possible(last_ns, max(since_boot_ns, first_boot_ns))[-1]
        return Times(
            self.boot_id,
            first_boot_ns,
            max(last_ns - last, first_boot_ns),
            first,
            last - first,
        )

    def _possible(self, wall_ns: int, since_boot_ns: int) -> list[int]:
        """The differences, oldest first, by which a packet can have got this wall time; never empty."""
        found = []
        begin_ns = 0
        for step in self._steps:
            boot_ns = wall_ns - step.old_offset_ns
            if max(begin_ns, since_boot_ns) - _SLACK_NS <= boot_ns <= step.before_boot_ns + _SLACK_NS:
                found.append(step.old_offset_ns)
            begin_ns = step.after_boot_ns
        boot_ns = wall_ns - self._offset_ns
        if not found or (max(begin_ns, since_boot_ns) - _SLACK_NS <= boot_ns <= self._looked_ns + _SLACK_NS):
            found.append(self._offset_ns)
        return found


class StepWatch:
    """A file for poll that becomes readable when the wall clock is set (timerfd_create(2))."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = libc.timerfd_create(time.CLOCK_REALTIME, _TFD_FLAGS)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
        when = struct.pack("4q", 0, 0, _FAR_FUTURE_S, 0)
        if libc.timerfd_settime(self._descriptor, flags, when, None) < 0:
            number = ctypes.get_errno()
            os.close(self._descriptor)
            raise OSError(number, "timerfd_settime")

    def fileno(self) -> int:
        """For poll."""
        return self._descriptor

    def clear(self) -> None:
        """Takes note: readable again only when the clock is set again."""
        try:
            os.read(self._descriptor, 8)
        except OSError as error:
            if error.errno not in (errno.ECANCELED, errno.EAGAIN):
                raise

    def close(self) -> None:
        """Gives the file back."""
        os.close(self._descriptor)
