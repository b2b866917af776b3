"""Moves a finished file to another disk: it is removed here when it is whole there and safe, not before."""

import contextlib
import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from allegro.atomic import rename_without_replacing
from allegro.capture.space import files_left
from allegro.storage.capture_files import RESERVE, numbered, portable
from allegro.storage.used_disk import MOVING, new_file

_CHUNK: Final = 4 << 20
_FULL: Final = "it is full"
_NO_INODE: Final = "it takes no further file, although it has space"
_WORDS: Final = {
    os.strerror(errno.ENOSPC): _FULL,
    os.strerror(errno.EIO): "it reports an error (Input/output error)",
    os.strerror(errno.EROFS): "it takes no writes, as it is write-protected or its file system has an error",
}

_FLUSH_EVERY: Final = 64 << 20
"""Bytes after which what was written goes to the disk, so that a slow one does not fill the memory."""


def moved(
    file: Path, folder: Path, go_on: Callable[[], bool], taken: Callable[[str], bool] = lambda _name: False
) -> str | None:
    """Moves `file` into `folder`; returns its name there: a portable one, with a number if it was taken.

    `taken` says of another name than that of the file whether another capture has it.

    None: `go_on` said no, or the file was deleted or renamed meanwhile; nothing has changed then. Raises
    OSError if one of the disks does not do it, ENOSPC if there is no room for it; the file stays here then.
    """
    partial, name = folder / MOVING, portable(file.name)
    try:
        with file.open("rb", buffering=0) as source:
            was_there = _is_there(source.fileno(), folder / name, go_on)  # a power cut came in between
            if was_there is None:
                return None
            if not was_there:
                _look_for_room(os.fstat(source.fileno()).st_size, folder)
                if not _copy(source.fileno(), partial, go_on) or not _is_still(file, source.fileno()):
                    return None
                name = _named(partial, name, lambda wanted: wanted != file.name and taken(wanted))
            if not _is_still(file, source.fileno()):
                if not was_there:
                    (folder / name).unlink(missing_ok=True)
                return None
            file.unlink(missing_ok=True)
            return name
    except FileNotFoundError:
        if file.exists():  # then it is the other disk that is gone
            raise
        return None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """Why a file was not moved, in words that go on after "cannot be moved to the other disk:"."""
    text = error.strerror or str(error)
    return _WORDS.get(text, text)


def _is_there(source: int, there: Path, go_on: Callable[[], bool]) -> bool | None:
    """Whether this content lies there already; None: `go_on` said no."""
    size = os.fstat(source).st_size
    if there.is_symlink() or not there.is_file() or there.stat().st_size != size:
        return False
    with there.open("rb", buffering=0) as other:
        for offset in range(0, size, _CHUNK):
            if not go_on():
                return None
            if _read(source, offset) != os.pread(other.fileno(), _CHUNK, offset):
                return False
    return True


def _read(source: int, offset: int) -> bytes:
    """Of the file that is to be moved. Raises OSError that says which disk it is."""
    try:
        return os.pread(source, _CHUNK, offset)
    except OSError as error:
        raise OSError(
            error.errno, f"it cannot be read from the device's own disk ({error.strerror})"
        ) from error


def _is_still(file: Path, source: int) -> bool:
    """Whether the file that is open as `source` has this name."""
    try:
        return os.path.samestat(file.lstat(), os.fstat(source))
    except FileNotFoundError:
        return False


def is_full(folder: Path) -> bool:
    """Whether there is no room for any file. Raises OSError."""
    try:
        _look_for_room(0, folder)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return True
    return False


def _look_for_room(size: int, folder: Path) -> None:
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize - size < RESERVE:
        raise OSError(errno.ENOSPC, _FULL)
    if files_left(folder) == 0:
        raise OSError(errno.ENOSPC, _NO_INODE)


def _copy(source: int, partial: Path, go_on: Callable[[], bool]) -> bool:
    status = os.fstat(source)
    with os.fdopen(new_file(partial), "wb", buffering=0) as target:
        since_flush = done = 0
        while chunk := _read(source, done):
            if not go_on():
                return False
            view = memoryview(chunk)
            while view:
                view = view[target.write(view) :]
            done += len(chunk)
            since_flush += len(chunk)
            if since_flush >= _FLUSH_EVERY:
                os.fdatasync(target.fileno())
                os.posix_fadvise(target.fileno(), 0, done, os.POSIX_FADV_DONTNEED)
                os.posix_fadvise(source, 0, done, os.POSIX_FADV_DONTNEED)
                since_flush = 0
        os.utime(target.fileno(), ns=(status.st_mtime_ns, status.st_mtime_ns))
        os.fsync(target.fileno())
        return True


def _named(partial: Path, name: str, taken: Callable[[str], bool]) -> str:
    for number in itertools.count(1):
        wanted = numbered(name, number)
        if taken(wanted):
            continue
        with contextlib.suppress(FileExistsError):
            rename_without_replacing(partial, partial.with_name(wanted))
            return wanted
    raise AssertionError("itertools.count ended")
