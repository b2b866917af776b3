"""Turns a press with rows of the filter table into a file for each of them, in one pass over the ring.

Each row ends for itself: what goes wrong with one, or who cancels it, leaves the others alone. When the disk
gets full, the largest file is given up, and the others get its space. The job ends with its last row. A power
cut costs no row that has its file: `publish` holds for each.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from allegro.capture.extraction.contract import Result
from allegro.capture.extraction.shape import Shape
from allegro.trigger.asking import request_for
from allegro.trigger.beep import Signal
from allegro.trigger.extraction import CANCELLED, ExtractionFailed, Extractions, ExtractionStopped
from allegro.trigger.job import Job, State
from allegro.trigger.jobs import JobStore
from allegro.trigger.naming import unused_name
from allegro.trigger.publish import (
    discard,
    give_name,
    hidden_path,
    is_no_space,
    words_left,
    write_beside,
    written,
)
from allegro.trigger.rows import Row
from allegro.trigger.surroundings import Surroundings
from allegro.trigger.under_way import progress_notes, reason_to_stop

FULL: Final = "The storage device is full. Delete files that are no longer needed."

NOT_COUNTED: Final = (
    "The device restarted, or the work was ended, just after the file was written; its packets were not"
    " counted."
)

_LIMIT_NOT_KNOWN: Final = "Whether it ends at its size limit is not known."

log = logging.getLogger(__name__)


class TableMaker:
    """Makes the files of jobs with rows, as `making.Maker`, which calls it, those of others."""

    def __init__(
        self,
        store: JobStore,
        around: Surroundings,
        interrupted: Callable[[Job], str],
        naming: threading.Lock,
        extractions: Extractions,
    ) -> None:
        self._store = store
        self._around = around
        self._interrupted = interrupted
        self._naming = naming
        self._extractions = extractions

    def make(self, job: Job, notes: Sequence[str]) -> None:
        """Works on the rows of a job in state cutting that have not ended after `take_up`, and ends it.

        Raises ExtractionStopped, and what is unforeseen; rows that have their file by then keep it.
        """
        directory = self._around.directory(job.directory)
        if job.directory == "upload":
            directory.mkdir(mode=0o750, exist_ok=True)
        rows = [row for row in self._store.rows.of(job.id) if not row.ended]
        for row in rows:
            discard(directory, job.id, row.number)
        if rows and (problem := self._around.space_problem()):
            self._fail(job, problem)
        elif rows:
            try:
                self._cut(job, rows, directory, notes)
            except ExtractionFailed as error:
                self._fail(job, f"{error.message} {error.remedy}".strip())
            except OSError as error:
                self._fail(job, _not_stored(error))
            except ExtractionStopped as stopped:
                if stopped.reason == FULL:
                    self._fail(job, self._around.space_problem() or FULL)
                elif stopped.reason == CANCELLED or not self._left_whole(job, rows, directory):
                    raise
        self.settle(job)

    def take_up(self, job: Job) -> None:
        """Goes on with the rows whose files are complete already."""
        directory = self._around.directory(job.directory)
        for row in self._store.rows.of(job.id):
            if row.ended:
                continue
            if hidden_path(directory, job.id, row.number).exists():
                self._publish(job, row, None)
            elif row.file:
                if (directory / row.file).exists():
                    write_beside(directory / row.file, words_left(row.message, row.shape))
                self._complete(row)

    def settle(self, job: Job) -> Job | None:
        """Ends a job all of whose rows have ended, and lets it be heard; None if there is a row that has not,
        or no row at all."""
        rows = self._store.rows.of(job.id)
        if not rows or not all(row.ended for row in rows):
            return None
        done = [row for row in rows if row.state == "complete"]
        state: State = "complete" if done else "failed"
        if all(row.state == "cancelled" for row in rows):
            state = "cancelled"
        ended = self._store.change(
            job.id,
            state=state,
            progress=1.0 if done else job.progress,
            size=sum(row.size or 0 for row in done) if done else None,
            packets=_sum([row.packets for row in done]),
            bytes=_sum([row.bytes for row in done]),
            drops=max((row.drops for row in done if row.drops is not None), default=None),
            message=_in_words(rows),
            finished_ns=self._around.now_ns(),
            content_held=True,
            limited=any(row.limited for row in done),
        )
        if ended is not None:
            log.info("Capture %d: %d of %d rows have a file", job.id, len(done), len(rows))
            if state != "cancelled":
                self._around.play(Signal.COMPLETE if done else Signal.REFUSED)
            if done:
                self._around.on_complete(ended)
            elif state == "failed":
                self._around.on_failed(ended)
        return ended

    def end_all(self, job: Job, state: str, message: str) -> None:
        """Ends what has not ended of the rows of a job, without a file."""
        for row in self._store.rows.of(job.id):
            if not row.ended:
                self._end(job, row, state, message)

    def cancel(self, job: Job, row: Row) -> None:
        """Ends a row without a file: the extraction gives up what is removed."""
        self._end(job, row, "cancelled", "Cancelled.")

    def _cut(self, job: Job, rows: Sequence[Row], directory: Path, notes: Sequence[str]) -> None:
        log.info("Capture %d: cutting %d rows", job.id, len(rows))
        on_progress = progress_notes(self._store, job, self._around.monotonic)
        reason = reason_to_stop(self._around, directory, lambda: self._interrupted(job), FULL)
        given_up: set[int] = set()
        """Rows whose files the extraction has not let go of yet: so long their space is not free."""

        def should_stop() -> str:
            if (why := reason()) != FULL or given_up:
                return "" if why == FULL else why
            if (row := _largest(job, rows, directory)) is None:
                return FULL
            given_up.add(row.number)
            self._end(job, row, "failed", FULL)
            return ""

        def on_answer(number: int, answer: Result | ExtractionFailed) -> None:
            row = rows[number]
            given_up.discard(row.number)
            if isinstance(answer, Result):
                self._publish(job, row, answer)
            else:
                self._end(job, row, "failed", f"{answer.message} {answer.remedy}".strip())

        ring = self._around.ring_now()  # which may be another one before the last row is asked for
        requests = [
            request_for(
                self._around,
                ring,
                job,
                hidden_path(directory, job.id, row.number),
                row.filter,
                row.shape,
                notes,
                row.name,
            )
            for row in rows
        ]
        self._extractions.run_all(requests, on_progress, on_answer, should_stop)

    def _left_whole(self, job: Job, rows: Sequence[Row], directory: Path) -> bool:
        """Leaves of `rows`, on which no more is worked, what is complete; whether that is all of them."""
        self.take_up(job)
        for row in rows:
            discard(directory, job.id, row.number)
        return all(row.ended for row in self._store.rows.of(job.id))

    def _publish(self, job: Job, row: Row, result: Result | None) -> None:
        """Gives the hidden file of a row its name; what goes wrong with it ends this row only."""
        try:
            self._name(job, row, result)
        except OSError as error:
            with self._naming:  # who is cancelling it, and has removed its file, has ended it by now
                self._end(job, row, "failed", _not_stored(error))

    def _name(self, job: Job, row: Row, result: Result | None) -> None:
        """As `making.Maker` does it. `result` is None if what the extraction said is not known."""
        hidden = hidden_path(self._around.directory(job.directory), job.id, row.number)
        known: dict[str, Any] = {"size": hidden.stat().st_size, "directory": job.directory}
        if result is not None:
            known |= {"packets": result.packets, "bytes": result.bytes, "drops": result.drops}
            known |= {"message": " ".join(result.notes), "limited": result.limited}
        elif not row.file:
            known["message"] = not_counted(row.shape)

        def note(name: str) -> Row | None:
            with self._naming:  # from here on it cannot be cancelled
                return self._store.rows.change(row, file=name, **known)

        unused = lambda: unused_name(self._store, self._around, job, row)  # noqa: E731 (a value)
        if (named := give_name(hidden, row.file, unused, note)) is not None:
            text = words_left(named.message, named.shape) if result is None else result.text
            write_beside(hidden.with_name(named.file), text)
            self._complete(named)

    def _complete(self, row: Row) -> None:
        self._store.rows.change(row, state="complete", finished_ns=self._around.now_ns())

    def _fail(self, job: Job, message: str) -> None:
        self.take_up(job)
        log.warning("Capture %d: what is left of its rows failed: %s", job.id, message)
        self.end_all(job, "failed", message)

    def _end(self, job: Job, row: Row, state: str, message: str) -> None:
        if job.directory:
            discard(self._around.directory(job.directory), job.id, row.number)
        self._store.rows.change(
            row, state=state, message=message, file="", size=None, finished_ns=self._around.now_ns()
        )


def _largest(job: Job, rows: Sequence[Row], directory: Path) -> Row | None:
    """The row for which most has been written so far; None if nothing that would give space back has."""
    taken = {row.number: written(directory, job.id, row.number) for row in rows}
    largest = max(rows, key=lambda row: taken[row.number])
    return largest if taken[largest.number] else None


def _not_stored(error: OSError) -> str:
    return FULL if is_no_space(error) else f"The file cannot be stored ({error.strerror})."


def not_counted(shape: Shape) -> str:
    """What is to be said of a file of which the extraction could not tell any more."""
    return f"{NOT_COUNTED} {_LIMIT_NOT_KNOWN}" if shape.size_limit else NOT_COUNTED


def _sum(counts: Sequence[int | None]) -> int | None:
    """None if one of them is not known, or there is none."""
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _in_words(rows: Sequence[Row]) -> str:
    """What a user has to know of the rows together; empty if each has its file, and that is whole."""
    done = sum(row.state == "complete" for row in rows)
    limited = sum(row.limited for row in rows)
    told = [] if done == len(rows) else [f"{done} of {len(rows)} rows of the filter table have a file."]
    if limited:
        told.append(
            "1 file ends at its size limit." if limited == 1 else f"{limited} files end at their size limits."
        )
    return " ".join(told)
