"""Which ring has the packets of a capture, where there are two: by what the recorder has noted in them."""

from pathlib import Path

from allegro.capture.ring import segments
from allegro.trigger.job import Job


def may_lie_in(job: Job, ring: Path) -> bool:
    """Whether the newest packets of a job may be in the ring of this directory. One of which nothing is known
    but dates may lie anywhere."""
    if not job.boot_id or job.end_boot_ns is None:
        return True
    runs = [run for run in segments.read_runs(ring) if run.boot_id == job.boot_id]
    return any(not run.left or run.alive_boot_ns >= job.end_boot_ns for run in runs)
