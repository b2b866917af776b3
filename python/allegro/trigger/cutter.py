"""Turns accepted jobs into files: two at a time, the second only short ones; `order` says in which order."""

import contextlib
import logging
import threading
from typing import Final

from allegro.errors import AllegroError, Conflict
from allegro.trigger.extraction import CANCELLED, STOPPING
from allegro.trigger.job import Job
from allegro.trigger.jobs import JobStore
from allegro.trigger.kept_in import may_lie_in
from allegro.trigger.making import Maker
from allegro.trigger.order import Running, by_urgency, exhausted, is_short, soon_done, wait_beside
from allegro.trigger.publish import remove_leftovers
from allegro.trigger.surroundings import Surroundings
from allegro.trigger.waiting import Waiting

_POLL_S: Final = 0.1  # while the recorder has not yet written the window
_RING_POLL_S: Final = 1.0  # while the ring is not yet where the packets lie
_RETRY_S: Final = 5.0  # after something went wrong that was not foreseen
_SOON_S: Final = 1.0  # so long to wait is not worth a write to the disk

_BEHIND: Final = (
    "The recorder was behind and did not say in time that all of this is on disk: the newest packets of this"
    " capture may be missing."
)

log = logging.getLogger(__name__)


class Cutter:
    """Works in two threads of its own, so that a short capture does not wait for a long one."""

    def __init__(self, store: JobStore, around: Surroundings) -> None:
        self._store = store
        self._around = around
        self._lock = threading.Lock()
        self._maker = Maker(store, around, self._interrupted, self._lock)
        self._waiting = Waiting()
        self._choosing = threading.Lock()
        self._running: dict[int, Running] = {}
        self._not_before: dict[int, float] = {}
        self._cancelled: set[int] = set()
        self._stopping = False
        self._wakes = (threading.Event(), threading.Event())
        self._threads = [
            threading.Thread(target=self._run, args=(wake, only_short), name=name, daemon=True)
            for wake, only_short, name in zip(
                self._wakes, (False, True), ("cutter", "cutter of short ones"), strict=True
            )
        ]

    def start(self) -> None:
        """Takes up what a restart has interrupted, and starts the threads."""
        try:
            self._recover()
        except Exception as error:  # of what is left over nothing is lost; new presses need the threads
            log.error("What a restart has interrupted is not looked at: %s", error, exc_info=True)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the threads; jobs that are being cut are taken up again at the next start."""
        self._stopping = True
        self.wake()
        for thread in self._threads:
            thread.join()
        self._maker.close()

    def wake(self) -> None:
        """There is a new job."""
        for wake in self._wakes:
            wake.set()

    def cancel(self, job_id: int) -> Job:
        """Ends a job without a file. Raises NotFound, and Conflict if it has ended or its file is complete.

        A job that is being cut ends a moment later. Rows that have their files keep them.
        """
        with self._lock:
            job = self._store.get(job_id)
            if job.ended:
                raise Conflict(f"Capture {job_id} has ended already ({job.state}).", place="id")
            if job_id in self._running:
                if job.file:
                    raise Conflict(
                        f"Capture {job_id} is complete: its file is just getting its name.",
                        place="id",
                        remedy="Delete the file.",
                    )
                self._cancelled.add(job_id)
                return job
            self._waiting.forget(job_id)
            return self._maker.end(job, state="cancelled", message="Cancelled.") or self._store.get(job_id)

    def cancel_row(self, job_id: int, number: int) -> Job:
        """Ends a row of a job without a file, and the job if it was the last. Raises as `cancel`."""
        with self._lock:
            job, row = self._store.get(job_id), self._store.rows.get(job_id, number)
            if job.ended or row.ended or row.file:
                raise Conflict(
                    f"Row {number} of capture {job_id} has ended already.",
                    place="row",
                    remedy="Delete the file.",
                )
            self._maker.cancel_row(job, row)
            ended = None if job_id in self._running else self._maker.settle(job)
            if ended is not None:
                self._waiting.forget(job_id)
            return ended or self._store.get(job_id)

    def _interrupted(self, job: Job) -> str:
        if self._stopping:
            return STOPPING
        return CANCELLED if job.id in self._cancelled else ""

    def _recover(self) -> None:
        """Finishes what was only waiting for its name, and removes what is of no use any more."""
        if self._store.refuses:
            return  # which of the hidden files are of unfinished jobs is not known
        unfinished = self._store.unfinished()
        directories = (self._around.storage, self._around.upload)
        for name in remove_leftovers(directories, (job.id for job in unfinished)):
            log.info("Removed the incomplete file %s", name)
        for job in unfinished:
            if job.state == "cutting":
                try:
                    self._maker.take_up(job)
                except (OSError, AllegroError) as error:
                    log.warning("Capture %d is taken up later: %s", job.id, error)

    def _run(self, wake: threading.Event, only_short: bool) -> None:
        while not self._stopping:
            wake.clear()
            try:
                delay = self._step(only_short=only_short)
            except Exception as error:  # whatever it is, the next press must find the worker alive
                known = isinstance(error, AllegroError)
                log.error("Captures cannot be worked on: %s", error, exc_info=not known)
                delay = _RETRY_S
            if delay != 0:
                self._prepare()
                wake.wait(delay)

    def _prepare(self) -> None:
        """Lets the next capture begin sooner. Not beside one that is soon done: that has the lowest priority,
        and would wait for what is started."""
        if not soon_done(list(self._running.values())):
            with contextlib.suppress(Exception):  # told by the next job, which then starts a process itself
                self._maker.prepare()

    def _step(self, *, only_short: bool = False) -> float | None:
        """Cuts the most urgent job that can be cut. Returns seconds until the next try; None: until woken."""
        with self._choosing:
            chosen, delay = self._choose(only_short)
            if chosen is None:
                return delay
            job, notes = chosen
            begun = self._begin(job)
        if begun is not None:
            self._cut(begun, notes)
        return 0

    def _choose(self, only_short: bool) -> tuple[tuple[Job, list[str]] | None, float | None]:
        """The next job with the notes for its file, or none and the seconds until the next try."""
        running = list(self._running.values())
        if only_short and (wait := wait_beside(running, self._around.monotonic())) != 0:
            return None, wait
        delay: float | None = None
        for job in by_urgency(self._store.unfinished()):
            if job.id in self._running:
                continue
            monotonic = self._around.monotonic()
            left = self._waiting.remaining(job, left_ns=self._left_ns(job), monotonic=monotonic)
            left = max(left, self._not_before.get(job.id, 0.0) - monotonic)
            worth_telling = abs(left) > _SOON_S
            if left <= 0:
                ahead_ns = self._ahead_ns(job)
                on_disk = self._waiting.on_disk(job, ahead_ns, monotonic=monotonic)
                awaited = on_disk and self._ring_is_awaited(job)
                if on_disk and not awaited:
                    if only_short and not is_short(self._size(job), running):
                        continue
                    behind = ahead_ns is not None and ahead_ns < 0
                    return (job, [_BEHIND] if behind else []), None
                left = _RING_POLL_S if awaited else _POLL_S
            if job.state == "accepted" and worth_telling:
                self._store.change(job.id, state="waiting")
            delay = left if delay is None else min(delay, left)
        return None, delay

    def _left_ns(self, job: Job) -> int:
        """How long the window of the job still goes on."""
        if job.end_boot_ns is not None and job.boot_id == self._around.boot_id:
            return job.end_boot_ns - self._around.boot_ns()
        return min(job.end_ns - self._around.now_ns(), job.end_ns - job.created_ns)

    def _ahead_ns(self, job: Job) -> int | None:
        """How much more than the window the recorder has on disk; None if it does not say."""
        if job.boot_id and job.boot_id != self._around.boot_id and not job.after_ns:
            return 0  # of an earlier start nothing is under way
        recorder = self._around.recorder()
        if recorder is None:
            return None
        if job.end_boot_ns is not None and job.boot_id == recorder.boot_id:
            return recorder.complete_through_boot_ns - job.end_boot_ns
        return recorder.complete_through_ns - job.end_ns

    def _ring_is_awaited(self, job: Job) -> bool:
        """Whether the packets of a job of an earlier start may lie on a disk that is still to come."""
        earlier = job.boot_id != self._around.boot_id
        return earlier and self._around.ring_is_awaited() and not may_lie_in(job, self._around.ring_now())

    def _size(self, job: Job) -> int | None:
        """Bytes of the file at most; None if that cannot be said, which is then told where it is cut."""
        try:
            return self._maker.size(job)
        except Exception as error:
            log.warning("Capture %d: its size cannot be estimated: %s", job.id, error or type(error).__name__)
            return None

    def _begin(self, job: Job) -> Job | None:
        """The job as one that is being cut; None if it has ended meanwhile, or now.

        The try is counted before the work begins: what ends this program ends it once more at most twice.
        """
        self._waiting.forget(job.id)
        size = self._size(job)
        with self._lock:
            job = self._store.get(job.id)
            if job.ended:
                return None
            reason = exhausted(job)
            if not reason:
                where = job.directory or ("upload" if self._around.to_upload() else "storage")
                begun = self._store.change(
                    job.id, state="cutting", directory=where, progress=0.0, tries=job.tries + 1
                )
                if begun is not None:
                    self._running[job.id] = Running(size, self._around.monotonic())
                    self.wake()
                return begun
        self._give_up(job, reason)
        return None

    def _cut(self, job: Job, notes: list[str]) -> None:
        try:
            self._maker.cut(job, notes, self._running[job.id].size)
            self._not_before.pop(job.id, None)
        except AllegroError:  # the list of captures, or its disk: not this job's fault
            self._not_before[job.id] = self._around.monotonic() + _RETRY_S
            self._store.change(job.id, tries=job.tries - 1)
            raise
        except Exception as error:
            self._again(job, error)
        finally:
            with self._lock:
                self._running.pop(job.id, None)
                self._cancelled.discard(job.id)
            self.wake()

    def _again(self, job: Job, error: Exception) -> None:
        """What was not foreseen may go away; the others are cut meanwhile."""
        log.exception("Capture %d: try %d failed", job.id, job.tries)
        if job.id in self._cancelled:
            self._maker.end(job, state="cancelled", message="Cancelled.")
            return
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        failed = self._store.change(job.id, message=f"something unforeseen happened ({reason}).")
        if failed is not None and (told := exhausted(failed)):
            self._give_up(failed, told)
        else:
            self._not_before[job.id] = self._around.monotonic() + _RETRY_S

    def _give_up(self, job: Job, reason: str) -> None:
        """Ends a job that is not tried again; what is complete keeps its file. The lock is not held."""
        try:
            if self._maker.take_up(job):
                return
        except AllegroError:  # the list of captures, or its disk: later
            raise
        except Exception as error:
            log.error("Capture %d: what is complete is lost: %s", job.id, error, exc_info=True)
        self._maker.fail(job, reason)
