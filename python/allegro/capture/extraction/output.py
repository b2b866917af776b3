"""The file that an extraction writes, as long as it is not complete."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from allegro.atomic import rename_without_replacing
from allegro.capture.extraction.yielding import flush_range
from allegro.errors import Conflict, Unavailable

MIB = 1 << 20

OUT_SIZE = 4 * MIB
FLUSH_SIZE = 4 * MIB
"""Short pieces: the recorder's writes have to wait behind what the disk has already been given."""


class Output:
    """A file that appears under its name only when it is complete.

    Until then it is `.<name>.partial` beside it, locked by this process; leaving without `publish` removes
    it. Raises Conflict if the name is taken, Unavailable if the place cannot be written or is full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self.buffer = bytearray(OUT_SIZE)
        self.used = 0
        self._written = 0
        self._flushed = 0
        if path.exists():
            raise _name_taken(path)
        with _storage_errors(path):
            self._file = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(self._file, 0)
            except BlockingIOError:
                os.close(self._file)
                raise Conflict("This file is already being written.", place=str(path)) from None

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._partial.unlink(missing_ok=True)
        os.close(self._file)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._written + self.used

    def write(self, data: bytes) -> None:
        """Appends a small piece."""
        if len(data) > len(self.buffer) - self.used:
            self._drain()
        self.buffer[self.used : self.used + len(data)] = data
        self.used += len(data)

    def filled(self, used: int, *, full: bool) -> None:
        """The buffer has been filled up to `used` from outside; `full`: nothing more fits."""
        self.used = used
        if full:
            self._drain()

    def write_header(self, header: bytes) -> None:
        """Replaces the beginning of the file."""
        self._drain()
        self._write_at(memoryview(header), 0)

    def publish(self) -> None:
        """Makes the file safe on disk and gives it its name."""
        self._drain()
        with _storage_errors(self._path):
            os.fsync(self._file)
            try:
                # No hard link: FAT and exFAT have none.
                rename_without_replacing(self._partial, self._path)
            except FileExistsError:
                raise _name_taken(self._path) from None

    def _drain(self) -> None:
        with memoryview(self.buffer) as view:
            self._write_at(view[: self.used], self._written)
        self._written += self.used
        self.used = 0
        if self._written - self._flushed >= FLUSH_SIZE:
            flush_range(self._file, self._flushed, self._written - self._flushed)
            self._flushed = self._written

    def _write_at(self, data: memoryview, offset: int) -> None:
        with _storage_errors(self._path):
            while data:
                count = os.pwrite(self._file, data, offset)
                data, offset = data[count:], offset + count


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Puts the system's errors of writing into words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable(
                "There is no space left for the capture.",
                place=str(path.parent),
                remedy="Delete files that are no longer needed.",
            ) from error
        raise Unavailable(
            f"The capture cannot be written: {error.strerror}.",
            place=str(path.parent),
            remedy="Check the storage device.",
        ) from error


def _name_taken(path: Path) -> Conflict:
    return Conflict("A file of this name exists already; it was not replaced.", place=str(path))
