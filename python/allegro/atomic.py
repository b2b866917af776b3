"""Files that are replaced as a whole: a reader, a crash or a power cut meets the old or the new content."""

import ctypes
import functools
import os
from pathlib import Path

SUFFIX = ".partial"
"""A file is written as `.<name>.partial` first; a crash may leave that behind."""

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
"""renameat2(2); vfat, exfat and ntfs3 have it as well."""


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600, sync: bool = True) -> None:
    """Replaces `path`, which then has exactly the access rights `mode`, whatever the umask. Raises OSError.

    With `sync` the content survives a power cut from the moment this returns; without it (for a tmpfs, or for
    what is written anew soon) only readers are protected.
    """
    partial = path.with_name(f".{path.name}{SUFFIX}")
    # No link is followed: the folder may belong to a program with fewer rights.
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        try:
            os.fchmod(descriptor, mode)
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def rename_without_replacing(source: Path, target: Path) -> None:
    """Renames atomically and durably. Raises FileExistsError if `target` exists, and OSError."""
    libc = _libc()
    old, new = os.fsencode(source), os.fsencode(target)
    if libc.renameat2(_AT_FDCWD, old, _AT_FDCWD, new, ctypes.c_uint(_RENAME_NOREPLACE)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(source), None, str(target))
    for directory in {source.parent, target.parent}:
        sync_directory(directory)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def sync_directory(directory: Path) -> None:
    """Makes renames and removals in a directory safe on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
