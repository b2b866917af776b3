"""Runs the uploads, a few at a time, in a thread of its own; says how far it is.

What talks to a server is loaded by the first who does: paramiko would be a quarter of the supervisor's start.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from allegro.errors import AllegroError, Conflict, Unavailable
from allegro.export import schedule
from allegro.export.chosen_way import checked_target, chosen_way
from allegro.export.export_status import ExportStatus, Run, Running, TestResult
from allegro.export.failures import FileTrouble, ServerTrouble, UploadStopped
from allegro.export.host_keys import HostKey
from allegro.export.pace import Pace, rate_at
from allegro.export.queue import UploadQueue, Waiting
from allegro.export.server_trial import ServerTrial
from allegro.export.way import Lane, Memory, Step, Way
from allegro.settings.model import Export
from allegro.storage.uploaded import remove

_UNFORESEEN = "The upload failed in an unforeseen way; the log has the details."

log = logging.getLogger(__name__)

TEST_WAITS_S = 30.0
"""How long a test upload waits for another or a running upload: longer than for a server that is out of reach
(`session.CONNECT_TIMEOUT_S`), while a whole queue can take hours."""
LOOK_EVERY_S = 5.0
"""How often the upload directory is looked at, also for files that nobody announced."""


class ExportService:
    """Sends what lies in the upload directory: daily, after each capture if set so, and on request."""

    def __init__(
        self,
        queue: UploadQueue,
        settings: Callable[[], Export],
        key_directory: Path,
        host_name: str,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        clock_is_believable: Callable[[], bool] = lambda: True,
        dispose: Callable[[Path], None] = remove,
        on_sent: Callable[[str], None] = lambda name: None,
    ) -> None:
        """`settings` returns the settings in force; `host_name` names the device on the server.

        The daily run waits until `clock_is_believable`; what is sent at once, or on request, does not.
        `dispose` takes a file out of the queue that the server has whole; `on_sent` is told its name there.
        """
        self._queue = queue
        self._settings = settings
        self._key_directory = key_directory
        self._host_name = host_name
        self._clock_ns = clock_ns
        self._clock_is_believable = clock_is_believable
        self._dispose = dispose
        self._on_sent = on_sent
        self._wake = threading.Event()
        self._stop = threading.Event()
        # Held while the server is talked to: one upload or test at a time, with the settings of then.
        self._busy = threading.Lock()
        self._withdrawing = threading.Lock()
        self._notes_sent = False
        self._asked = 0  # how often somebody wanted everything to be sent at once
        self._trial = ServerTrial(self._way, host_name, clock_ns)
        self._running: Running | None = None
        self._sending: set[str] = set()
        self._last_run: Run | None = None
        self._counting = threading.Lock()
        self._problem = ""
        self._thread = threading.Thread(target=self._work, name="export", daemon=True)

    def start(self) -> None:
        """Starts the thread; a daily run that was missed while the power was off begins now."""
        self._thread.start()

    def stop(self) -> None:
        """Ends a running upload at the next piece (it is resumed later) and the thread; waits up to 10 s."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def notify(self) -> None:
        """There is a new file, or the settings have changed."""
        self._wake.set()

    def upload_now(self) -> int:
        """Releases every file of the queue, also those that pause after a failure; returns how many.

        Raises Conflict if no server is set up or its host key is not accepted yet.
        """
        export = self._settings()
        target = checked_target(export)
        if target and not export.host_key:
            raise Conflict(
                "The server's host key has not been accepted yet.",
                place="export.host_key",
                remedy="Run the test upload and accept the key it shows.",
            )
        if not export.enabled:
            self._withdraw_once()
        self._asked += 1  # before the release: a try that fails just now must see it
        names = [waiting.file.name for waiting in self._queue.waiting()]
        self._queue.release(names, self._clock_ns(), at_once=True)
        self._wake.set()
        return len(names)

    def test(self) -> TestResult:
        """Connects, and writes the test file if the host key is pinned.

        If no key is pinned, or another one, nothing secret is sent: the result then holds the fingerprint to
        be accepted. Raises AllegroError in plain words; Conflict during an upload or another test.
        """
        if not self._busy.acquire(timeout=TEST_WAITS_S):
            raise Conflict(
                "The server is in use by an upload or another test.",
                remedy="Wait for its end. To stop an upload, switch the export off, or forget the host key.",
            )
        try:
            return self._trial.run(self._settings())
        finally:
            self._busy.release()

    def type_of(self, fingerprint: str) -> str:
        """The type of this host key, if the last test upload showed it; else empty."""
        return self._trial.type_of(fingerprint)

    def shown_host_key(self) -> HostKey:
        """The key that the last test upload showed.

        Raises Conflict if there was none since the start of the device, or with another server.
        """
        return self._trial.shown_host_key(self._settings())

    def is_sending(self, name: str) -> bool:
        """Whether this file of the queue is on its way."""
        return name in self._sending

    def were_sent(self, names: Sequence[str]) -> tuple[list[str], int | None]:
        """See `UploadQueue.were_sent`."""
        return self._queue.were_sent(names)

    def delete(self, name: str) -> None:
        """Deletes a file of the queue; if it is being sent, nothing of it stays on the server.

        Raises InvalidInput for a bad name, NotFound, or Conflict.
        """
        self._queue.files.delete(name)
        self._queue.forget(name)

    def public_key(self) -> str:
        """The line for authorized_keys on the server. Raises Unavailable."""
        from allegro.export.device_key import device_key

        return device_key(self._key_directory, self._host_name, self._settings().key_type).public_line

    def status(self) -> ExportStatus:
        """How things are now. Raises Unavailable if the record of the uploads cannot be read."""
        export = self._settings()
        running = self._running
        return ExportStatus(
            state="uploading" if running else "idle" if export.enabled else "off",
            queue=tuple(self._queue.waiting()),
            running=running,
            last_run=self._last_run,
            next_run_ns=schedule.next_run(self._clock_ns(), export.time) if export.enabled else 0,
            problem=self._problem,
        )

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._step()
                self._problem = ""
            except AllegroError as error:
                self._note(str(error))
            except Exception:
                # The thread has to live on for the next months, whatever a server answers.
                log.exception("Upload failed in an unforeseen way")
                self._problem = _UNFORESEEN
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()

    def _note(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("%s", problem)
        self._problem = problem

    def _step(self) -> None:
        """Releases what is to be sent by now, and sends what is due."""
        with self._busy:
            self._send_due(self._settings())

    def _send_due(self, export: Export) -> None:
        now = self._clock_ns()
        if not self._notes_sent:
            self._queue.note_sent_since(now)
            self._notes_sent = True
        if export.enabled:
            self._release(export, self._queue.waiting(), now)
        else:
            self._withdraw_once()
        due = [one for one in self._queue.waiting() if one.is_due(now)]
        # After switching off, only what was asked for by hand is sent: failures are not tried again.
        if not export.enabled:
            due = [one for one in due if one.tries.attempts == 0 or one.tries.next_try_ns == 0]
        if due:
            self._run(export, due)

    def _release(self, export: Export, waiting: list[Waiting], now: int) -> None:
        last = self._queue.last_run_ns()
        if not self._clock_is_believable():
            pass  # a run by it would be at the wrong time, and the next one be missing
        elif last == 0:
            self._queue.set_last_run(now)
        elif schedule.run_is_owed(now, last, export.time):
            # First the files, then the mark: a power cut in between repeats this, and loses nothing.
            self._queue.release([one.file.name for one in waiting], now)
            self._queue.set_last_run(now)
            return
        if export.immediately:
            self._queue.release([one.file.name for one in waiting if not one.released], now)

    def _withdraw_once(self) -> None:
        """After switching off, what was released before is not to be sent any more."""
        with self._withdrawing:
            if self._queue.last_run_ns():
                self._queue.withdraw()
                self._queue.set_last_run(0)

    def _run(self, export: Export, due: list[Waiting]) -> None:
        from allegro.export.directories import date_of, expanded
        from allegro.export.lanes import in_lanes

        self._last_run = Run(self._clock_ns())
        asked = self._asked
        pending = [one.file.name for one in due]
        made: set[str] = set()
        refused: set[str] = set()
        making = threading.Lock()
        pace = Pace(partial(self._rate, export))

        def directory_of(one: Waiting) -> str:
            day = date_of(one.file.name, one.file.modified_ns)
            return expanded(export.directory, self._host_name, day)

        def deliver(lane: Lane, one: Waiting) -> None:
            directory = directory_of(one)
            with making:
                if directory not in made | refused:
                    try:
                        lane.make_directory(directory)
                        made.add(directory)
                    except FileTrouble as error:  # those of another day may have theirs
                        refused.add(directory)
                        theirs = [each.file.name for each in due if directory_of(each) == directory]
                        self._failed(theirs, error, export, asked)
                        self._count(failed=len(theirs), error=error)
            if directory in refused:
                pending.remove(one.file.name)
                return
            self._sending.add(one.file.name)
            try:
                self._send(lane, export, one.file.name, directory, pace)
            finally:
                self._sending.discard(one.file.name)
            pending.remove(one.file.name)

        def all_failed(error: AllegroError) -> None:
            # Without a connection all of them have to wait, for the same reason.
            left = [
                one.file.name for one in due if one.file.name in pending and directory_of(one) not in refused
            ]
            self._failed(left, error, export, asked)
            self._count(failed=len(left), error=error)

        try:
            target = checked_target(export)
            server = target or f"{export.protocol} {export.url}"  # each protocol notes what it needs
            self._queue.sending_to(f"{export.username}@{server} {export.directory}")
            self._running = Running(pending[0], "connecting", 0, due[0].file.size)
            with self._way(export).lanes(len(due)) as lanes:
                self._throw_away(lanes[0])
                in_lanes(lanes, due, deliver)
        except UploadStopped:
            log.info("Upload interrupted")
        except AllegroError as error:
            all_failed(error)
        except Exception:
            all_failed(Unavailable(_UNFORESEEN))  # else it would be tried again without a pause
            raise
        finally:
            self._running = None
            self._last_run = replace(self._last_run, ended_ns=self._clock_ns())

    def _throw_away(self, lane: Lane) -> None:
        """What uploads that were given up have left on the server."""
        for note in self._queue.given_up():
            lane.throw_away(note)
            self._queue.thrown_away(note)

    def _send(self, lane: Lane, export: Export, name: str, directory: str, pace: Pace) -> None:
        def progress(step: Step, done: int, size: int) -> None:
            self._running = Running(name, step, done, size)
            # With other settings it goes on at once, or not at all: the server may not be trusted any more.
            if self._stop.is_set() or self._settings() != export:
                raise UploadStopped

        asked = self._asked
        try:
            path = self._queue.files.path(name)
        except AllegroError:  # deleted by the user in the meantime
            return
        try:
            memory = Memory(self._queue.renamed(name), partial(self._queue.note_renamed, name))
            sent = lane.send(path, directory, progress, memory, pace, self._dispose)
        except ServerTrouble:
            raise
        except AllegroError as error:
            self._failed([name], error, export, asked)
            self._count(failed=1, error=error)
            return
        if sent is None:
            self._queue.forget(name)
        else:
            self._queue.sent(name)
            log.info("Uploaded %s as %s, %d bytes", name, sent.name, sent.size)
            self._count(sent=1)
            self._on_sent(sent.name)

    def _count(self, *, sent: int = 0, failed: int = 0, error: AllegroError | None = None) -> None:
        with self._counting:
            run = self._last_run or Run(self._clock_ns())
            run = replace(run, sent=run.sent + sent, failed=run.failed + failed)
            self._last_run = replace(run, error=error.message, remedy=error.remedy) if error else run

    def _rate(self, export: Export) -> int | None:
        return rate_at(self._clock_ns(), export.limit_kbit_s, export.limit_begins, export.limit_ends)

    def _failed(self, names: list[str], error: AllegroError, export: Export, asked: int) -> None:
        """A try of these failed; `export` and `asked` as they were when the try began."""
        log.warning("Upload of %s: %s", ", ".join(names[:3]) + (" …" if len(names) > 3 else ""), error)
        if self._settings() != export:  # what was wrong may be corrected: nothing pauses for that
            return
        self._queue.failed(names, self._clock_ns(), error)
        if asked != self._asked:  # they are to be tried at once, again
            self._queue.release(names, self._clock_ns(), at_once=True)

    def _way(self, export: Export) -> Way:
        return chosen_way(export, self._key_directory, self._host_name)
