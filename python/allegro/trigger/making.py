"""Turns one accepted job into a file. `publish` describes what happens when the power is cut."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from allegro.capture.extraction.contract import Result
from allegro.errors import AllegroError
from allegro.trigger.asking import request_for
from allegro.trigger.beep import Signal
from allegro.trigger.extraction import (
    CANCELLED,
    STOPPING,
    ExtractionFailed,
    Extractions,
    ExtractionStopped,
)
from allegro.trigger.job import Job
from allegro.trigger.jobs import JobStore
from allegro.trigger.naming import unused_name
from allegro.trigger.publish import (
    discard,
    give_name,
    hidden_path,
    is_no_space,
    words_left,
    write_beside,
)
from allegro.trigger.rows import ONE_FILE, Row
from allegro.trigger.surroundings import Surroundings
from allegro.trigger.table_making import FULL, TableMaker, not_counted
from allegro.trigger.under_way import progress_notes, reason_to_stop

KEEP_ENDED_JOBS: Final = 1000

_NO_SPACE: Final = "no space"

log = logging.getLogger(__name__)


class Maker:
    """Makes files of jobs, several at a time in threads of their callers.

    `interrupted` says whether a job is to end, and why: CANCELLED, STOPPING or nothing. `naming` is held
    while a file gets its name, after which it is not asked any more.
    """

    def __init__(
        self,
        store: JobStore,
        around: Surroundings,
        interrupted: Callable[[Job], str],
        naming: threading.Lock,
    ) -> None:
        self._store = store
        self._around = around
        self._interrupted = interrupted
        self._naming = naming
        self._extractions = Extractions(around.command)
        self._table = TableMaker(store, around, interrupted, naming, self._extractions)

    def prepare(self) -> None:
        """Lets the next capture begin sooner. To be called by threads that last, when they have time."""
        self._extractions.prepare()

    def close(self) -> None:
        """Ends what `prepare` began."""
        self._extractions.close()

    def cut(self, job: Job, notes: Sequence[str], size: int | None) -> None:
        """Works on a job in state cutting until it has ended; `size` is what `size` said, if it could.

        With STOPPING it does not end, but is as if it had not been begun. What is unforeseen is raised.
        """
        try:
            self._make(job, notes, size)
        except ExtractionStopped as stopped:
            if stopped.reason == STOPPING:
                discard(self._around.directory(job.directory), job.id)
                self._store.change(job.id, tries=job.tries - 1)
            elif stopped.reason == CANCELLED:
                self.end(job, state="cancelled", message="Cancelled.")
            else:
                self.fail(job, self._around.space_problem() or FULL)
        except ExtractionFailed as error:
            self.fail(job, f"{error.message} {error.remedy}".strip())
        except OSError as error:
            self.fail(job, FULL if is_no_space(error) else f"The file cannot be stored ({error.strerror}).")

    def take_up(self, job: Job) -> bool:
        """Goes on with what is complete already of a job or its rows. False if there is more to do."""
        directory = self._around.directory(job.directory)
        if hidden_path(directory, job.id).exists():
            self._publish(job, None)
            return True
        if job.file:
            if (directory / job.file).exists():
                write_beside(directory / job.file, words_left(job.message, job.shape))
            self._complete(job)
            return True
        self._table.take_up(job)
        return self._table.settle(job) is not None

    def size(self, job: Job) -> int:
        """Bytes that the job's file has at most. A ring that cannot be read is for the file to tell."""
        try:
            whole = self._around.estimate(job.start_ns, job.end_ns)
        except AllegroError:
            return 0
        return min(whole, job.shape.size_limit or whole)

    def _make(self, job: Job, notes: Sequence[str], size: int | None) -> None:
        if self.take_up(job):
            return
        if self._store.rows.of(job.id):
            self._table.make(job, notes)
            self._store.prune(KEEP_ENDED_JOBS)
            return
        directory = self._around.directory(job.directory)
        if job.directory == "upload":
            directory.mkdir(mode=0o750, exist_ok=True)
        discard(directory, job.id)
        # It may be far smaller than its window; a disk that gets full is noticed below.
        smaller = job.filter or job.packet_length
        needed = self.size(job) if size is None else size
        if problem := self._around.space_problem(0 if smaller else needed):
            self.fail(job, problem)
            return
        log.info("Capture %d: cutting", job.id)
        on_progress = progress_notes(self._store, job, self._around.monotonic)
        should_stop = reason_to_stop(self._around, directory, lambda: self._interrupted(job), _NO_SPACE)
        hidden = hidden_path(directory, job.id)
        ring = self._around.ring_now()
        request = request_for(self._around, ring, job, hidden, job.filter, job.shape, notes)
        self._publish(job, self._extractions.run(request, on_progress, should_stop))

    def _publish(self, job: Job, result: Result | None) -> None:
        """Gives the hidden file its name. `result` is None when the extraction ended before a restart.

        Raises ExtractionStopped if the job was cancelled before it had a name.
        """
        hidden = hidden_path(self._around.directory(job.directory), job.id)
        known: dict[str, Any] = {"size": hidden.stat().st_size, "progress": 1.0, "content_held": True}
        if result is not None:
            known |= {"packets": result.packets, "bytes": result.bytes, "drops": result.drops}
            known |= {"read": result.read, "reached": result.reached}
            known |= {"message": " ".join(result.notes), "limited": result.limited}
        elif not job.file:
            # The counts in the row are those of the last progress, not of the file.
            known |= {"packets": None, "bytes": None, "drops": None}
            known["message"] = not_counted(job.shape)

        def note(name: str) -> Job | None:
            with self._naming:  # from here on `cancel` refuses
                if self._interrupted(job) == CANCELLED:
                    raise ExtractionStopped(CANCELLED)
                return self._store.change(job.id, file=name, **known)

        if (named := give_name(hidden, job.file, self._names(job), note)) is not None:
            text = words_left(named.message, named.shape) if result is None else result.text
            write_beside(hidden.with_name(named.file), text)
            self._complete(named)

    def _names(self, job: Job) -> Callable[[], str]:
        return lambda: unused_name(self._store, self._around, job)

    def _complete(self, job: Job) -> None:
        done = self._store.change(job.id, state="complete", progress=1.0, finished_ns=self._around.now_ns())
        if done is None:
            return
        self._table.end_all(job, "failed", ONE_FILE)
        log.info("Capture %d: %s is complete", job.id, job.file)
        self._store.prune(KEEP_ENDED_JOBS)
        self._around.play(Signal.COMPLETE)
        self._around.on_complete(done)

    def fail(self, job: Job, message: str) -> None:
        """Ends a job without a file, or without further ones, and lets it be heard."""
        log.warning("Capture %d failed: %s", job.id, message)
        ended = self.end(job, state="failed", message=message)
        if ended is not None and ended.state == "failed":
            self._around.on_failed(ended)
            self._around.play(Signal.REFUSED)

    def cancel_row(self, job: Job, row: Row) -> None:
        """Ends a row of a job without a file."""
        self._table.cancel(job, row)

    def settle(self, job: Job) -> Job | None:
        """Ends a job all of whose rows have ended; None if it is one file, or a row has not."""
        return self._table.settle(job)

    def end(self, job: Job, *, state: Literal["failed", "cancelled"], message: str) -> Job | None:
        """Ends a job without a file, complete if rows have theirs; None if it had ended before."""
        if job.directory:
            discard(self._around.directory(job.directory), job.id)
        self._table.end_all(job, state, message)
        if any(row.state == "complete" for row in self._store.rows.of(job.id)):
            return self._table.settle(job)
        return self._store.change(
            job.id, state=state, message=message, file="", size=None, finished_ns=self._around.now_ns()
        )
