"""The worker that turns accepted jobs into files, one after the other, oldest first."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from allegro.atomic import rename_without_replacing
from allegro.capture.extraction.contract import Progress, Request, Result
from allegro.errors import AllegroError, Conflict
from allegro.storage.capture_files import RESERVE, FileStore
from allegro.trigger.beep import Signal
from allegro.trigger.extraction import (
    EXTRACT_COMMAND,
    ExtractionFailed,
    ExtractionStopped,
    run_extraction,
)
from allegro.trigger.jobs import Job, JobStore
from allegro.trigger.names import free_name
from allegro.trigger.publish import (
    discard,
    hidden_path,
    is_no_space,
    remove_leftovers,
)
from allegro.trigger.waiting import Waiting
from allegro.words import SECOND_NS

KEEP_ENDED_JOBS: Final = 1000

_POLL_S: Final = 0.1  # while the recorder has not yet written the window
_PROGRESS_S: Final = 1.0  # each update of the row is a write to the disk
_RETRY_S: Final = 5.0  # after something went wrong that is not the job's fault

_FULL: Final = "The storage device is full. Delete files that are no longer needed."

_BEHIND: Final = (
    "The recorder was behind and did not say in time that all of this is on disk: the newest packets of this"
    " capture may be missing."
)

_CANCELLED, _STOPPING, _NO_SPACE = "cancelled", "stopping", "no space"

log = logging.getLogger(__name__)

Directory = Literal["storage", "upload"]


class Recorder(Protocol):
    """What the trigger needs to know of the recorder (`allegro.capture.status.RecorderStatus` has it)."""

    @property
    def state(self) -> str:
        """recording, starting or no-ring."""

    @property
    def message(self) -> str:
        """Plain words about a problem; may be empty."""

    @property
    def complete_through_ns(self) -> int:
        """Every packet received before this time is in the ring and readable."""


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What the trigger is given by the one who puts the device together.

    `recorder` reads the recorder's status (None: there is none), for which the extraction reads the file
    `recorder_status` itself, `estimate` the size in bytes that a file of
    a window (start_ns, end_ns) has at most, `facts` what each file says about the device (device, system_id,
    firmware), `ports` the names of the measuring ports, `play` sounds a signal and returns at once,
    `on_complete` is told of every new file.
    """

    ring: Path
    recorder_status: Path
    storage: Path
    upload: Path
    to_upload: Callable[[], bool]
    recorder: Callable[[], Recorder | None]
    estimate: Callable[[int, int], int]
    facts: Callable[[], Mapping[str, str]]
    ports: Callable[[], Sequence[str]]
    play: Callable[[Signal], None]
    on_complete: Callable[[Job], None]
    now_ns: Callable[[], int] = time.time_ns
    monotonic: Callable[[], float] = time.monotonic
    command: Sequence[str] = EXTRACT_COMMAND

    def directory(self, name: str) -> Path:
        """The directory that a job's `directory` names."""
        return self.upload if name == "upload" else self.storage


class Cutter:
    """Works in a thread of its own. `publish` describes what happens when the power is cut."""

    def __init__(self, store: JobStore, around: Surroundings) -> None:
        self._store = store
        self._around = around
        self._waiting = Waiting()
        self._lock = threading.Lock()
        self._running: int | None = None
        self._cancelled: set[int] = set()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="cutter", daemon=True)

    def start(self) -> None:
        """Takes up what a restart has interrupted, and starts the thread."""
        self._recover()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; a job that is being cut is taken up again at the next start."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """There is a new job."""
        self._wake.set()

    def cancel(self, job_id: int) -> Job:
        """Ends a job without a file. Raises NotFound, and Conflict if it has ended or its file is complete.

        A job that is being cut ends a moment later.
        """
        with self._lock:
            job = self._store.get(job_id)
            if job.ended:
                raise Conflict(f"Capture {job_id} has ended already ({job.state}).", place="id")
            if self._running == job_id:
                if job.file:
                    raise Conflict(
                        f"Capture {job_id} is complete: its file is just getting its name.",
                        place="id",
                        remedy="Delete the file.",
                    )
                self._cancelled.add(job_id)
                return job
            self._waiting.forget(job_id)
            return self._end(job, state="cancelled", message="Cancelled.") or self._store.get(job_id)

    def _recover(self) -> None:
        """Finishes what was only waiting for its name, and removes what is of no use any more."""
        unfinished = self._store.unfinished()
        directories = (self._around.storage, self._around.upload)
        for name in remove_leftovers(directories, (job.id for job in unfinished)):
            log.info("Removed the incomplete file %s", name)
        for job in unfinished:
            if job.state == "cutting":
                try:
                    self._take_up(job)
                except (OSError, AllegroError) as error:
                    log.warning("Capture %d is taken up later: %s", job.id, error)

    def _take_up(self, job: Job) -> bool:
        """Goes on with a job whose file was complete already. False if there is no such file."""
        directory = self._around.directory(job.directory)
        if hidden_path(directory, job.id).exists():
            self._publish(job, None)
            return True
        if job.file:
            self._complete(job)
            return True
        return False

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                delay = self._step()
            except Exception as error:  # whatever it is, the next press must find the worker alive
                known = isinstance(error, AllegroError)
                log.error("Captures cannot be worked on: %s", error, exc_info=not known)
                delay = _RETRY_S
            if delay != 0:
                self._wake.wait(delay)

    def _step(self) -> float | None:
        """Cuts the first job that can be cut. Returns seconds until the next try; None: until woken."""
        delay: float | None = None
        for job in self._store.unfinished():
            monotonic = self._around.monotonic()
            left = self._waiting.remaining(job, now_ns=self._around.now_ns(), monotonic=monotonic)
            if left <= 0:
                recorder = self._around.recorder()
                through = None if recorder is None else recorder.complete_through_ns
                if self._waiting.on_disk(job, through, monotonic=monotonic):
                    behind = through is not None and through < job.end_ns
                    self._cut(job.id, notes=[_BEHIND] if behind else [])
                    return 0
                left = _POLL_S
            if job.state == "accepted":
                self._store.change(job.id, state="waiting")
            delay = left if delay is None else min(delay, left)
        return delay

    def _cut(self, job_id: int, *, notes: Sequence[str]) -> None:
        self._waiting.forget(job_id)
        with self._lock:
            job = self._store.get(job_id)
            where = job.directory or ("upload" if self._around.to_upload() else "storage")
            begun = self._store.change(job_id, state="cutting", directory=where, progress=0.0)
            if begun is None:
                return
            self._running = job_id
        try:
            self._make(begun, notes)
        except ExtractionStopped as stopped:
            if stopped.reason == _STOPPING:
                discard(self._around.directory(where), job_id)
            elif stopped.reason == _CANCELLED:
                self._end(begun, state="cancelled", message="Cancelled.")
            else:
                self._fail(begun, FileStore(self._around.storage).problem() or _FULL)
        except ExtractionFailed as error:
            self._fail(begun, f"{error.message} {error.remedy}".strip())
        except OSError as error:
            self._fail(
                begun, _FULL if is_no_space(error) else f"The file cannot be stored ({error.strerror})."
            )
        finally:
            with self._lock:
                self._running = None
                self._cancelled.discard(job_id)

    def _make(self, job: Job, notes: Sequence[str]) -> None:
        if self._take_up(job):
            return
        directory = self._around.directory(job.directory)
        if job.directory == "upload":
            directory.mkdir(mode=0o750, exist_ok=True)
        discard(directory, job.id)
        files = FileStore(directory)
        if problem := files.problem(self._estimate(job)):
            self._fail(job, problem)
            return
        log.info("Capture %d: cutting", job.id)
        shown = float("-inf")

        def on_progress(progress: Progress) -> None:
            nonlocal shown
            now = self._around.monotonic()
            if now - shown >= _PROGRESS_S:
                shown = now
                self._store.change(
                    job.id, progress=progress.fraction, packets=progress.packets, bytes=progress.bytes
                )

        def should_stop() -> str:
            if self._stopping:
                return _STOPPING
            if job.id in self._cancelled:
                return _CANCELLED
            return _NO_SPACE if files.free() < RESERVE // 2 else ""

        request = self._request(job, directory, notes)
        self._publish(job, run_extraction(self._around.command, request, on_progress, should_stop))

    def _estimate(self, job: Job) -> int:
        try:
            return self._around.estimate(job.start_ns, job.end_ns)
        except AllegroError:  # no ring, or a damaged one: the extraction will say so, in the file
            return 0

    def _request(self, job: Job, directory: Path, notes: Sequence[str]) -> Request:
        device = f" ({job.device})" if job.device else ""
        return Request(
            ring_directory=self._around.ring,
            start_ns=max(0, job.start_ns),
            end_ns=job.end_ns,
            output=hidden_path(directory, job.id),
            comment={
                **self._around.facts(),
                "trigger": f"{job.source} {job.key}{device}",
                "press_ns": str(job.press_ns),
                "before_s": f"{job.before_ns / SECOND_NS:g}",
                "after_s": f"{job.after_ns / SECOND_NS:g}",
            },
            ports=tuple(self._around.ports()),
            notes=tuple(notes),
            status_file=self._around.recorder_status,
        )

    def _publish(self, job: Job, result: Result | None) -> None:
        """Gives the hidden file its name. `result` is None when the extraction ended before a restart.

        Raises ExtractionStopped if the job was cancelled before it had a name.
        """
        hidden = hidden_path(self._around.directory(job.directory), job.id)
        known: dict[str, Any] = {"size": hidden.stat().st_size, "progress": 1.0}
        if result is not None:
            known |= {"packets": result.packets, "bytes": result.bytes, "drops": result.drops}
            known["message"] = " ".join(result.notes)
        elif not job.file:
            # The counts in the row are those of the last progress, not of the file.
            known |= {"packets": None, "bytes": None, "drops": None}
            known["message"] = (
                "The device restarted just after the file was written; its packets were not counted."
            )
        name = job.file or self._free_name(job)
        while True:
            with self._lock:  # from here on `cancel` refuses
                if job.id in self._cancelled:
                    raise ExtractionStopped(_CANCELLED)
                named = self._store.change(job.id, file=name, **known)
            if named is None:
                discard(hidden.parent, job.id)
                return
            try:
                rename_without_replacing(hidden, hidden.with_name(name))
                break
            except FileExistsError:
                name = self._free_name(job)
        self._complete(named)

    def _free_name(self, job: Job) -> str:
        directories = (self._around.storage, self._around.upload)

        def taken(name: str) -> bool:
            return self._store.uses_name(name) or any(
                (directory / name).exists() for directory in directories
            )

        return free_name(job.press_ns, job.source, job.key, taken)

    def _complete(self, job: Job) -> None:
        done = self._store.change(job.id, state="complete", progress=1.0, finished_ns=self._around.now_ns())
        if done is None:
            return
        log.info("Capture %d: %s is complete", job.id, job.file)
        self._store.prune(KEEP_ENDED_JOBS)
        self._around.play(Signal.COMPLETE)
        self._around.on_complete(done)

    def _fail(self, job: Job, message: str) -> None:
        log.warning("Capture %d failed: %s", job.id, message)
        if self._end(job, state="failed", message=message) is not None:
            self._around.play(Signal.REFUSED)

    def _end(self, job: Job, *, state: Literal["failed", "cancelled"], message: str) -> Job | None:
        """Ends a job without a file; None if it had ended before."""
        if job.directory:
            discard(self._around.directory(job.directory), job.id)
        return self._store.change(
            job.id, state=state, message=message, file="", size=None, finished_ns=self._around.now_ns()
        )
