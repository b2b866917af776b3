"""What is noted of an extraction that goes on, and what ends it before its time."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from allegro.capture.extraction.contract import Progress
from allegro.storage.capture_files import RESERVE, FileStore
from allegro.trigger.job import Job
from allegro.trigger.jobs import JobStore
from allegro.trigger.surroundings import Surroundings

_PROGRESS_S: Final = 1.0
"""Each update of the row is a write to the disk."""


def progress_notes(store: JobStore, job: Job, monotonic: Callable[[], float]) -> Callable[[Progress], None]:
    """Notes in the job's row, now and then, how far its extraction is."""
    shown = monotonic()

    def on_progress(progress: Progress) -> None:
        nonlocal shown
        now = monotonic()
        if now - shown >= _PROGRESS_S:
            shown = now
            store.change(job.id, progress=progress.fraction, packets=progress.packets, bytes=progress.bytes)

    return on_progress


def reason_to_stop(
    around: Surroundings, directory: Path, interrupted: Callable[[], str], full: str
) -> Callable[[], str]:
    """Asks whether the work on files in `directory` is to end: what `interrupted` says, or `full` when the
    storage device gets full; empty if it may go on."""
    files = FileStore(directory)

    def should_stop() -> str:
        is_full = files.free() < RESERVE // 2 and around.space_problem()
        return interrupted() or (full if is_full else "")

    return should_stop
