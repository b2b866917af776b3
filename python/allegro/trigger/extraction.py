"""Runs the extraction (`allegro.capture.extraction`) as a process of its own and follows what it says."""

import contextlib
import logging
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Final

from allegro.capture.extraction.contract import (
    Failure,
    Progress,
    Request,
    Result,
    parse_message,
    requests_json,
    row_of,
)
from allegro.errors import AllegroError

# setpriv (util-linux): the kernel kills the extraction when the supervisor dies, so that none is left over
# that would write beside the one that is started after the restart. It parses what strangers have sent, so it
# has none of root's capabilities: it writes as the owner of the storage device, and reads the ring by its
# group (SupplementaryGroups of the supervisor).
CONFINED: Final = (
    "setpriv",
    "--pdeathsig=KILL",
    "--bounding-set=-all",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    "--no-new-privs",
    "--",
)
# -B: -I would else ignore a PYTHONDONTWRITEBYTECODE.
EXTRACT_COMMAND: Final = (*CONFINED, sys.executable, "-I", "-B", "-m", "allegro.capture.extraction")

_TICK_S: Final = 0.25
# It says something several times a second; only a disk that hangs makes it silent for so long.
_SILENCE_S: Final = 900.0
_TERMINATE_S: Final = 5.0

log = logging.getLogger(__name__)


class ExtractionFailed(AllegroError):
    """The extraction ended without a file."""

    status = 500


CANCELLED, STOPPING = "cancelled", "stopping"
"""Why an extraction is ended before its time: nobody wants it any more, or this program ends."""


class ExtractionStopped(Exception):
    """The extraction was ended because `should_stop` said so; its argument is what that returned."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Extractions:
    """Runs extractions. One process is kept waiting with its imports done, so that a press does not wait for
    them: it ends with its first request, as any other.

    The kernel ends a process with the thread that started it (CONFINED), so `prepare` and `run` are called by
    threads that last.
    """

    def __init__(self, command: Sequence[str], *, silence_s: float = _SILENCE_S) -> None:
        self._command = command
        self._silence_s = silence_s
        self._lock = threading.Lock()
        self._waiting: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Starts the process that waits, if there is none. One that cannot be started is told by `run`."""
        with self._lock:
            if self._waiting is None or self._waiting.poll() is not None:
                with contextlib.suppress(OSError):
                    self._waiting = self._started()

    def run(
        self, request: Request, on_progress: Callable[[Progress], None], should_stop: Callable[[], str]
    ) -> Result:
        """Runs one to its end, in the calling thread.

        `should_stop` is asked several times a second; a reason that is not empty ends the extraction and
        raises ExtractionStopped with it. Raises ExtractionFailed with the words of the extraction, or with
        what can be said from here.
        """
        answers: list[Result | ExtractionFailed] = []
        self.run_all([request], on_progress, lambda _, answer: answers.append(answer), should_stop)
        (answer,) = answers
        if isinstance(answer, ExtractionFailed):
            raise answer
        return answer

    def run_all(
        self,
        requests: Sequence[Request],
        on_progress: Callable[[Progress], None],
        on_answer: Callable[[int, Result | ExtractionFailed], None],
        should_stop: Callable[[], str],
    ) -> None:
        """Runs several that are one pass; `on_answer` is told of each once, with its number.

        Raises as `run`, and then there are no further answers.
        """
        try:
            process = self._take() or self._started()
        except OSError as error:
            raise ExtractionFailed(f"The extraction cannot be started ({error.strerror}).") from error
        try:
            _follow(process, requests, on_progress, on_answer, should_stop, self._silence_s)
        finally:
            _end(process)

    def close(self) -> None:
        """Ends the process that waits."""
        if (process := self._take()) is not None:
            process.kill()
            process.communicate()

    def _take(self) -> "subprocess.Popen[bytes] | None":
        with self._lock:
            process, self._waiting = self._waiting, None
        if process is not None and process.poll() is not None:
            process.communicate()
            return None
        return process

    def _started(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _follow(
    process: "subprocess.Popen[bytes]",
    requests: Sequence[Request],
    on_progress: Callable[[Progress], None],
    on_answer: Callable[[int, Result | ExtractionFailed], None],
    should_stop: Callable[[], str],
    silence_s: float,
) -> None:
    assert process.stdin is not None  # noqa: S101 (both are pipes)
    assert process.stdout is not None  # noqa: S101
    unsent = requests_json(requests)
    os.set_blocking(process.stdin.fileno(), False)  # one that hangs reads nothing
    result: Result | None = None
    failure: ExtractionFailed | None = None
    waiting = set(range(len(requests)))
    pending = b""
    heard = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdin, selectors.EVENT_WRITE)
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if reason := should_stop():
                raise ExtractionStopped(reason)
            ready = [key.fileobj for key, _ in selector.select(_TICK_S)]
            if not ready:
                if time.monotonic() - heard > silence_s:
                    raise ExtractionFailed(
                        f"The extraction gave no sign of life for {silence_s:.0f} s and was ended."
                    )
                continue
            heard = time.monotonic()
            if process.stdin in ready:
                unsent = _send(process.stdin, unsent)
                if not unsent:
                    selector.unregister(process.stdin)
                    process.stdin.close()
            if process.stdout not in ready:
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                match parse_message(line):
                    case Progress() as progress:
                        on_progress(progress)
                    case Result() | Failure() as told:
                        answer = _answer(told)
                        row = row_of(line)
                        if row in waiting:
                            waiting.remove(row)
                            on_answer(row, answer)
                        elif isinstance(answer, ExtractionFailed):
                            failure = answer
                        else:
                            result = answer
    code = _exit_code(process, should_stop, silence_s)
    if failure is not None:
        raise failure
    if result is not None and code == 0:  # of one that says nothing of rows
        on_answer(0, result)
    elif waiting or code != 0:
        # The kernel ends it with the thread that started it, which an orderly stop may have ended first.
        if reason := should_stop():
            raise ExtractionStopped(reason)
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        raise ExtractionFailed(
            f"The extraction ended unexpectedly {how}.", remedy="The system log says more."
        )


def _answer(told: Result | Failure) -> Result | ExtractionFailed:
    return told if isinstance(told, Result) else ExtractionFailed(told.message, remedy=told.remedy)


def _send(pipe: IO[bytes], unsent: bytes) -> bytes:
    """Sends what the pipe takes now; returns the rest."""
    try:
        return unsent[os.write(pipe.fileno(), unsent) :]
    except BlockingIOError:
        return unsent
    except BrokenPipeError:  # the exit code will say why it ended
        return b""


def _exit_code(process: "subprocess.Popen[bytes]", should_stop: Callable[[], str], silence_s: float) -> int:
    """Waits until a process that has said all is gone, too: its disk may let it hang on the way out."""
    ends = time.monotonic() + silence_s
    while time.monotonic() < ends:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_TICK_S)
        if reason := should_stop():
            raise ExtractionStopped(reason)
    raise ExtractionFailed("The extraction does not end: its disk hangs.")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the process, and waits for that, but not for ever: one that hangs in a system call of its disk is
    not even killed before the disk answers. It would keep its thread, and all captures to come, waiting."""
    for end in (process.terminate, process.kill):
        if process.poll() is None:
            end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_TERMINATE_S)
    if process.poll() is None:
        log.error("The extraction with process id %d does not end: its disk hangs", process.pid)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
