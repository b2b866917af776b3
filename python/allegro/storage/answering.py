"""Questions to a disk that may stand still: one gets an answer in time, or learns that there is none."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

from allegro.storage.capture_files import FileInfo, FileStore

T = TypeVar("T")


class Answering:
    """One question at a time, each in a thread of its own, so that one without an answer costs no other.

    An answer may take `within_s` seconds. May be called from any thread.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._asked = threading.Lock()
        self._since_s: float | None = None

    def is_silent(self) -> bool:
        """Whether it has owed an answer for longer than that may take."""
        since_s = self._since_s
        return since_s is not None and time.monotonic() - since_s > self._within_s

    def ask(self, question: Callable[[], T]) -> T:
        """Answers, and raises, as `question` does. Raises OSError (ETIMEDOUT) if that takes too long, and at
        once as long as the disk owes an answer to an earlier one."""
        if self.is_silent() or not self._asked.acquire(timeout=self._within_s):
            raise _silent()
        self._since_s = time.monotonic()
        answer: Future[T] = Future()

        def work() -> None:
            try:
                answer.set_result(question())
            except BaseException as error:
                answer.set_exception(error)
            finally:
                self._since_s = None
                self._asked.release()

        threading.Thread(target=work, name="disk asked", daemon=True).start()
        try:
            return answer.result(self._within_s)
        except TimeoutError:
            raise _silent() from None


class AnsweringStore(FileStore):
    """The files of a disk that may stand still: all methods raise OSError (ETIMEDOUT) then."""

    def __init__(self, root: Path, disk: Answering) -> None:
        super().__init__(root)
        self._files = FileStore(root)
        self._disk = disk

    def all(self) -> list[FileInfo]:  # noqa: D102
        return self._disk.ask(self._files.all)

    def count(self) -> int:  # noqa: D102
        return self._disk.ask(self._files.count)

    def named(self, names: Iterable[str]) -> list[FileInfo]:  # noqa: D102
        return self._disk.ask(partial(self._files.named, names))

    def path(self, name: str) -> Path:  # noqa: D102
        return self._disk.ask(partial(self._files.path, name))

    def delete(self, name: str) -> None:  # noqa: D102
        self._disk.ask(partial(self._files.delete, name))

    def free(self) -> int:  # noqa: D102
        return self._disk.ask(self._files.free)

    def total(self) -> int:  # noqa: D102
        return self._disk.ask(self._files.total)


def _silent() -> OSError:
    return OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
