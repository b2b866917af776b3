"""Which capture is cut next, which one beside another, and when there is no more point in trying. No I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from allegro.trigger.job import Job

MOST_TRIES: Final = 3

SHORT_BYTES: Final = 1 << 30
SHORT_SHARE: Final = 8

PATIENCE_S: Final = 1.0
"""A capture that is done sooner is worth waiting for: presses in one second are numbered in their order."""


@dataclass(frozen=True)
class Running:
    """A capture that is being cut: bytes of its file at most (None: not known), and since when (seconds)."""

    size: int | None
    since: float


def by_urgency(jobs: Iterable[Job]) -> list[Job]:
    """First the one whose beginning the ring overwrites first; of those, the one pressed first."""
    return sorted(jobs, key=lambda job: (job.start_ns, job.id))


def wait_beside(running: Sequence[Running], now: float) -> float | None:
    """Seconds until one more may be begun beside these; None: not as long as there are none."""
    if not running:
        return None
    long = any(one.size is None or one.size > SHORT_BYTES for one in running)
    return 0.0 if long else max(0.0, min(one.since for one in running) + PATIENCE_S - now)


def soon_done(running: Sequence[Running]) -> bool:
    """Whether captures are being cut, and all of them are short."""
    return bool(running) and all(one.size is not None and one.size <= SHORT_BYTES for one in running)


def is_short(size: int | None, running: Sequence[Running]) -> bool:
    """Whether a capture of at most `size` bytes (None: not known) may be cut beside those.

    That is one that takes seconds, or little time against what it would have to wait for.
    """
    if size is None:
        return False
    most = max((one.size for one in running if one.size is not None), default=0)
    return size <= SHORT_BYTES or size <= most // SHORT_SHARE


def exhausted(job: Job) -> str:
    """Why the job is not tried again, in plain words; empty if it may be."""
    if job.tries < MOST_TRIES:
        return ""
    reason = job.message or "each time the device, or its supervisor, ended unforeseen during the work"
    return f"The capture could not be made, and was tried {job.tries} times: {reason}"
