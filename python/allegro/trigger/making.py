"""Turns one accepted job into a file. `publish` describes what happens when the power is cut."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from allegro.atomic import rename_without_replacing
from allegro.capture.extraction.contract import Progress, Request, Result
from allegro.errors import AllegroError
from allegro.filters.device import GroupTexts
from allegro.storage.capture_files import RESERVE, FileStore
from allegro.system import boottime
from allegro.trigger.beep import Signal
from allegro.trigger.content import groups_of
from allegro.trigger.extraction import (
    EXTRACT_COMMAND,
    ExtractionFailed,
    Extractions,
    ExtractionStopped,
)
from allegro.trigger.jobs import Job, JobStore
from allegro.trigger.names import free_name
from allegro.trigger.publish import discard, hidden_path, is_no_space
from allegro.words import SECOND_NS

KEEP_ENDED_JOBS: Final = 1000

_PROGRESS_S: Final = 1.0  # each update of the row is a write to the disk

_FULL: Final = "The storage device is full. Delete files that are no longer needed."

CANCELLED, STOPPING, _NO_SPACE = "cancelled", "stopping", "no space"

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

    @property
    def boot_id(self) -> str:
        """The start of the kernel that the next one is of; empty if it does not say."""

    @property
    def complete_through_boot_ns(self) -> int:
        """The same by the clock that nobody sets."""


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What the trigger is given by the one who puts the device together.

    `recorder` reads the recorder's status (None: there is none), for which the extraction reads the file
    `recorder_status` itself, `estimate` the size in bytes that a file of a window (start_ns, end_ns) has at
    most, `facts` what each file says about the device (device, system_id, firmware), `ports` the names of the
    measuring ports, `groups` the link groups, `play` sounds a signal and returns at once, `on_complete` is
    told of every new file, `on_failed` of every job that ended without one. `sent` holds files that a server
    has. `room` makes room for a file of so many bytes, and says why there is none. `boot_id` is the id of
    this start of the kernel.
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
    groups: Callable[[], GroupTexts] = tuple
    sent: Path | None = None
    room: Callable[[int], str] | None = None
    boot_id: str = ""
    on_failed: Callable[[Job], None] = lambda job: None
    now_ns: Callable[[], int] = time.time_ns
    boot_ns: Callable[[], int] = boottime.now_ns
    monotonic: Callable[[], float] = time.monotonic
    command: Sequence[str] = EXTRACT_COMMAND

    def directory(self, name: str) -> Path:
        """The directory that a job's `directory` names."""
        return self.upload if name == "upload" else self.storage

    def space_problem(self, needed: int = 0) -> str:
        """Why a file of `needed` bytes cannot be stored now, in plain words; empty if it can."""
        return self.room(needed) if self.room else FileStore(self.storage).problem(needed)


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

    def prepare(self) -> None:
        """Lets the next capture begin sooner. To be called by threads that last, when they have time."""
        self._extractions.prepare()

    def close(self) -> None:
        """Ends what `prepare` began."""
        self._extractions.close()

    def cut(self, job: Job, notes: Sequence[str]) -> None:
        """Works on a job in state cutting until it has ended.

        With STOPPING it does not end, but is as if it had not been begun. What is unforeseen is raised.
        """
        try:
            self._make(job, notes)
        except ExtractionStopped as stopped:
            if stopped.reason == STOPPING:
                discard(self._around.directory(job.directory), job.id)
                self._store.change(job.id, tries=job.tries - 1)
            elif stopped.reason == CANCELLED:
                self.end(job, state="cancelled", message="Cancelled.")
            else:
                self.fail(job, self._around.space_problem() or _FULL)
        except ExtractionFailed as error:
            self.fail(job, f"{error.message} {error.remedy}".strip())
        except OSError as error:
            self.fail(job, _FULL if is_no_space(error) else f"The file cannot be stored ({error.strerror}).")

    def take_up(self, job: Job) -> bool:
        """Goes on with a job whose file was complete already. False if there is no such file."""
        directory = self._around.directory(job.directory)
        if hidden_path(directory, job.id).exists():
            self._publish(job, None)
            return True
        if job.file:
            self._complete(job)
            return True
        return False

    def size(self, job: Job) -> int:
        """Bytes that the job's file has at most. A ring that cannot be read is for the file to tell."""
        try:
            return self._around.estimate(job.start_ns, job.end_ns)
        except AllegroError:
            return 0

    def _make(self, job: Job, notes: Sequence[str]) -> None:
        if self.take_up(job):
            return
        directory = self._around.directory(job.directory)
        if job.directory == "upload":
            directory.mkdir(mode=0o750, exist_ok=True)
        discard(directory, job.id)
        files = FileStore(directory)
        # With a filter the file may be far smaller than its window; a disk that gets full is noticed below.
        if problem := self._around.space_problem(0 if job.filter else self.size(job)):
            self.fail(job, problem)
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
            full = files.free() < RESERVE // 2 and self._around.space_problem()
            return self._interrupted(job) or (_NO_SPACE if full else "")

        request = self._request(job, directory, notes)
        self._publish(job, self._extractions.run(request, on_progress, should_stop))

    def _request(self, job: Job, directory: Path, notes: Sequence[str]) -> Request:
        device = f" ({job.device})" if job.device else ""
        text, program, unfiltered = _filter(job)
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
                **{f"link group {name}": text for name, text in groups_of(job.groups)},
            },
            ports=tuple(self._around.ports()),
            notes=(*notes, *unfiltered),
            status_file=self._around.recorder_status,
            boot_id=job.boot_id,
            boot_offset_ns=0 if job.press_boot_ns is None else job.press_ns - job.press_boot_ns,
            filter=text,
            program=program,
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
            with self._naming:  # from here on `cancel` refuses
                if self._interrupted(job) == CANCELLED:
                    raise ExtractionStopped(CANCELLED)
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
        directories = (self._around.storage, self._around.upload, self._around.sent)

        def taken(name: str) -> bool:
            return self._store.uses_name(name) or any(
                directory is not None and (directory / name).exists() for directory in directories
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

    def fail(self, job: Job, message: str) -> None:
        """Ends a job without a file, and lets it be heard."""
        log.warning("Capture %d failed: %s", job.id, message)
        ended = self.end(job, state="failed", message=message)
        if ended is not None:
            self._around.play(Signal.REFUSED)
            self._around.on_failed(ended)

    def end(self, job: Job, *, state: Literal["failed", "cancelled"], message: str) -> Job | None:
        """Ends a job without a file; None if it had ended before."""
        if job.directory:
            discard(self._around.directory(job.directory), job.id)
        return self._store.change(
            job.id, state=state, message=message, file="", size=None, finished_ns=self._around.now_ns()
        )


def _filter(job: Job) -> tuple[str, bytes, list[str]]:
    """Canonical text and program of the job's filter, and what is to be told if it cannot be used.

    It was checked when it was accepted; another release may see it differently, and then rather too much is
    saved than nothing.
    """
    if not job.filter:
        return "", b"", []
    from allegro.filters.translate import translated  # with the first filter: a start does not need it

    try:
        return *translated(job.filter, None, groups_of(job.groups)), []
    except AllegroError as error:
        log.error("Capture %d: its filter cannot be used: %s", job.id, error)
        return (
            "",
            b"",
            [f"The filter {job.filter} could not be used ({error}): all packets are in this file."],
        )
