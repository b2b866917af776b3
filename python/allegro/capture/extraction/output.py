"""The file that an extraction writes, as long as it is not complete.

Full buffers are written by a thread, past the page cache (O_DIRECT), while another one is filled: neither
memory nor processor is spent on copies, and the recorder's disk has never more than one of them to do.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from allegro.atomic import rename_without_replacing
from allegro.capture.extraction.buffers import buffer
from allegro.errors import Conflict, Unavailable

MIB = 1 << 20

OUT_SIZE = 4 * MIB
"""Bytes of a buffer. Short pieces: the recorder's writes have to wait behind what the disk was given."""

_ALL_ROOM = 48 * MIB
"""What the buffers of all files of an extraction may take together."""

_SPARES = 2
"""Further buffers, for all files together."""

_ALIGNMENT = 4096
"""What O_DIRECT needs on every usual disk, for place and length in the file and in memory."""


class Writer:
    """The thread that writes the files of an extraction, with buffers to go on in meanwhile.

    Of each buffer `room` bytes are used, if nothing larger has to be.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self._thread = ThreadPoolExecutor(1, "output")
        self._spares: SimpleQueue[mmap.mmap] = SimpleQueue()
        for _ in range(_SPARES):
            self._spares.put(self.buffer())

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()

    def buffer(self) -> mmap.mmap:
        """A new one, of OUT_SIZE, which takes memory as it is filled."""
        return buffer(OUT_SIZE, filled=2 * self.room > OUT_SIZE)

    def spare(self) -> mmap.mmap:
        """A buffer in place of one that is given to `write`, which may have to be waited for."""
        return self._spares.get()

    def write(self, action: Callable[[mmap.mmap], None], full: mmap.mmap) -> Future[None]:
        """Lets the thread do this with the buffer, which is then a spare one."""
        return self._thread.submit(self._run, action, full)

    def _run(self, action: Callable[[mmap.mmap], None], full: mmap.mmap) -> None:
        try:
            action(full)
        finally:
            self._spares.put(full)


class Output:
    """A file that appears under its name only when it is complete.

    Until then it is `.<name>.partial` beside it, locked by this process; leaving without `publish` removes
    it. Raises Conflict if the name is taken, Unavailable if the place cannot be written or is full (which may
    come to light only with a later call).

    `room` may be filled from `used` on by others, who then call `filled`. `writer` writes what was collected
    up to its room.
    """

    def __init__(self, path: Path, writer: Writer) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._buffer = writer.buffer()
        self._size = writer.room
        self.used = 0
        self._written = 0
        self._writing: Future[None] | None = None
        self._writer = writer
        self._closed = False
        if path.exists():
            raise _name_taken(path)
        with _storage_errors(path):
            self._file = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(self._file, 0)
                _set_direct(self._file, True)
            except BlockingIOError:
                os.close(self._file)
                raise Conflict("This file is already being written.", place=str(path)) from None

    def close(self) -> None:
        """Ends it; without `publish` before, nothing is left of it."""
        if self._closed:
            return
        self._closed = True
        if self._writing is not None:
            wait((self._writing,))
        self._partial.unlink(missing_ok=True)
        os.close(self._file)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._written + self.used

    def write(self, data: bytes) -> None:
        """Appends a small piece."""
        if len(data) > self._size - self.used:
            self._hand_over()
        self._buffer[self.used : self.used + len(data)] = data
        self.used += len(data)

    @property
    def is_gone(self) -> bool:
        """Whether somebody has removed what is being written: nobody wants it any more."""
        return os.fstat(self._file).st_nlink == 0

    def room(self, left: int | None = None) -> memoryview:
        """What may be filled from `used` on, by no more than `left` bytes (None: as many as fit). To be
        released before anything else is done."""
        most = self._size if left is None else min(self._size, self.used + left)
        return memoryview(self._buffer)[:most]

    @property
    def largest_room(self) -> int:
        """Length of a room that nothing limits."""
        return self._size

    def filled(self, used: int, *, full: bool) -> None:
        """The room has been filled up to `used` from outside; `full`: the next piece did not fit."""
        self.used = used
        if full and used < _ALIGNMENT:
            self._enlarge()
        elif full:
            self._hand_over()

    def publish(self, header: bytes) -> None:
        """Replaces the beginning of the file by `header` (a multiple of 4096 bytes or none, not longer
        than what is there), makes the file safe on disk and gives it its name."""
        size = self.size
        self._hand_over()
        with _storage_errors(self._path):
            self._wait()
            self._buffer[self.used : _ALIGNMENT] = bytes(_ALIGNMENT - self.used)
            self._write(self._buffer, _ALIGNMENT, self._written)
            self._buffer[: len(header)] = header
            self._write(self._buffer, len(header), 0)
            os.ftruncate(self._file, size)
            os.fsync(self._file)
            try:
                # No hard link: FAT and exFAT have none.
                rename_without_replacing(self._partial, self._path)
            except FileExistsError:
                raise _name_taken(self._path) from None

    def _hand_over(self) -> None:
        """Lets what fills whole pages be written, and goes on in another buffer with the rest."""
        with _storage_errors(self._path):
            self._wait()
        whole = self.used & -_ALIGNMENT
        full, self._buffer = self._buffer, self._writer.spare()
        self._buffer[: self.used - whole] = full[whole : self.used]
        self.used -= whole
        self._writing = self._writer.write(partial(self._write, length=whole, offset=self._written), full)
        self._written += whole

    def _enlarge(self) -> None:
        """A piece is larger than the room as long as it is kept small."""
        if self._size == OUT_SIZE:
            raise Unavailable("A packet is larger than any that can be.", place=str(self._path))
        self._size = OUT_SIZE

    def _wait(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _write(self, full: mmap.mmap, length: int, offset: int) -> None:
        """A disk that has its last sectors left writes less than asked: the rest tells what is wrong."""
        with memoryview(full) as view:
            start = 0
            while start < length:
                try:
                    start += os.pwrite(self._file, view[start:length], offset + start)
                except OSError as error:
                    if error.errno != errno.EINVAL or not _set_direct(self._file, False):
                        raise


def room_for(files: int) -> int:
    """Bytes of a buffer, of which each file has one, where so many files are written at once."""
    return min(max(_ALL_ROOM // (files + _SPARES), MIB // 4) & -_ALIGNMENT, OUT_SIZE)


def _set_direct(descriptor: int, wanted: bool) -> bool:
    """Goes over to writing past the page cache, or back; False if that was so, or cannot be."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if bool(flags & os.O_DIRECT) == wanted:
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags ^ os.O_DIRECT)
    except OSError:
        return False
    return True


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
