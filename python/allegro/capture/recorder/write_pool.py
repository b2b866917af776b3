"""A few threads that write batches of records, so that one slow write does not hold up the others.

A batch that the disk refuses is tried once more, record by record: one bad sector costs the record on it.

os.pwritev releases the interpreter lock, and so does `summarize`, which looks into what was written as long
as nobody waits for the memory: so the threads cost nothing but what these do.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

from allegro.capture import _packets
from allegro.capture.ring import record as blocks
from allegro.capture.ring import record_summaries

MOST_BYTES = 4 << 20
"""A batch is at most this long, so that several threads share the work of a burst."""

MOST_RECORDS = 64
"""Far below IOV_MAX (1024)."""

_MOST_REFUSED = 3
"""A bad sector spoils one record, some in a row two; a disk that refuses three refuses them all, and may take
half a minute each time."""


@dataclass(eq=False)
class WriteJob:
    """Records that lie one behind the other in one file, made at the time `since` (time.monotonic). `done` is
    set last, when `errors` are final (None: the record is written), `seconds` says how long writing took, and
    `summaries` what each record's packets hold (empty: not known).
    """

    descriptor: int
    offset: int
    since: float = field(default_factory=time.monotonic)
    views: list[memoryview] = field(default_factory=list)
    length: int = 0
    spare: list[Callable[[], bool] | None] = field(default_factory=list)
    summaries: deque[bytes] = field(default_factory=deque)
    errors: deque[OSError | None] = field(default_factory=deque)
    seconds: float = 0.0
    done: bool = False

    def takes(self, descriptor: int, offset: int, length: int) -> bool:
        """Whether a record at this place can be the next of the batch."""
        return (
            descriptor == self.descriptor
            and offset == self.offset + self.length
            and self.length + length <= MOST_BYTES
            and len(self.views) < MOST_RECORDS
        )

    def add(self, view: memoryview, spare: Callable[[], bool] | None = None) -> None:
        """Adds a record: the part of the kernel's block that goes to disk. If `spare` says, when it is
        written, that there is memory to spare, its packets are looked at before the block is given back."""
        self.views.append(view)
        self.spare.append(spare)
        self.length += len(view)

    def run(self) -> None:
        """Writes the batch and hands its blocks back to the kernel, whether that worked or not."""
        began = time.monotonic()
        errors = self._write_all()
        self.seconds = time.monotonic() - began
        for view, spare, error in zip(self.views, self.spare, errors, strict=True):
            wanted = error is None and spare is not None and spare()
            self.summaries.append(_summary(view) if wanted else b"")
            blocks.release(view)
            view.release()
        self.errors.extend(errors)
        self.views.clear()
        self.done = True

    def _write_all(self) -> list[OSError | None]:
        """Writes the batch; why each record could not be written."""
        error = self._refusal(self.views, self.offset)
        if error is None or len(self.views) == 1:
            return [error] * len(self.views)
        errors: list[OSError | None] = []
        position, refused = self.offset, 0
        for view in self.views:
            if refused < _MOST_REFUSED:
                error = self._refusal([view], position)
                refused += error is not None
            errors.append(error)
            position += len(view)
        return errors

    def _refusal(self, views: list[memoryview], offset: int) -> OSError | None:
        """Writes these, or says why not."""
        try:
            self._write(views, offset)
        except OSError as error:
            return error
        except Exception as error:  # whatever it is, what was not written must not count as written
            return OSError(errno.EIO, str(error) or type(error).__name__)
        return None

    def _write(self, views: list[memoryview], offset: int) -> None:
        try:
            written = os.pwritev(self.descriptor, views, offset)
        except OSError as error:
            if error.errno != errno.EINVAL or not _leave_direct(self.descriptor):
                raise
            written = os.pwritev(self.descriptor, views, offset)
        if written == sum(map(len, views)):
            return
        # A short write: the rest record by record, so that the error of the disk comes to light.
        position = 0
        for view in views:
            start = max(written - position, 0)
            while start < len(view):
                count = os.pwrite(self.descriptor, view[start:], offset + position + start)
                if not count:
                    raise OSError(errno.EIO, "nothing was written")
                start += count
            position += len(view)


class WritePool:
    """Runs WriteJobs on `count` threads."""

    def __init__(self, count: int) -> None:
        self._jobs: SimpleQueue[WriteJob | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"writer {number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: WriteJob) -> None:
        """Lets the next free thread run the job."""
        self._jobs.put(job)

    def close(self) -> None:
        """Ends the threads when all jobs are done."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()


def _summary(view: memoryview) -> bytes:
    try:
        return _packets.summarize(view, record_summaries.room(len(view)))
    except Exception:  # a record without one is read by all; the block has to go back to the kernel
        return b""


def _leave_direct(descriptor: int) -> bool:
    """Goes over to buffered writes, for a file system that does not take direct ones; False if it was so."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if not flags & os.O_DIRECT:
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
    return True
