"""When a job can be cut: its window is over, and the recorder has it on disk. No I/O.

Waiting goes by clocks that nobody sets, so that setting the device's clock neither hurries a job nor holds it
for years.
"""

from dataclasses import dataclass
from typing import Final

from allegro.trigger.job import Job
from allegro.words import SECOND_NS

# The recorder says four times a second how far it is. If it is silent for so long, what there is gets cut.
SILENT_S: Final = 10.0
# The same when it speaks, but does not move: a busy disk can take that long to write a small, full ring.
STALLED_S: Final = 30.0
# Bound for a recorder that moves, but is far behind the window.
LATE_S: Final = 60.0


@dataclass
class _Wait:
    due: float
    ahead_ns: int | None
    moved: float


class Waiting:
    """Remembers for each job since when it waits for what. Times named `monotonic` are in seconds."""

    def __init__(self) -> None:
        self._waits: dict[int, _Wait] = {}

    def remaining(self, job: Job, *, left_ns: int, monotonic: float) -> float:
        """Seconds until the window is over, 0 or less when it is: `left_ns` counts when first asked for."""
        wait = self._waits.get(job.id)
        if wait is None:
            wait = self._waits[job.id] = _Wait(monotonic + max(0, left_ns) / SECOND_NS, None, monotonic)
        return wait.due - monotonic

    def on_disk(self, job: Job, ahead_ns: int | None, *, monotonic: float) -> bool:
        """Whether the window is on disk, or there is no more point in waiting for that.

        `ahead_ns` says how far behind the window's end lies the time up to which everything received is
        readable (negative: before it); None when the recorder does not say.
        """
        if ahead_ns is not None and ahead_ns >= 0:
            return True
        wait = self._waits.get(job.id)
        if wait is None:  # cancelled since `remaining`
            return False
        if ahead_ns is not None and ahead_ns != wait.ahead_ns:
            wait.ahead_ns = ahead_ns
            wait.moved = monotonic
        patience = STALLED_S if ahead_ns is not None else SILENT_S
        return monotonic - max(wait.moved, wait.due) >= patience or monotonic - wait.due >= LATE_S

    def forget(self, job_id: int) -> None:
        """The job has ended."""
        self._waits.pop(job_id, None)
