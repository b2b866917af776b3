"""Files that are replaced as a whole: a reader, a crash or a power cut meets the old or the new content."""

import os
from pathlib import Path

SUFFIX = ".partial"
"""A file is written as `.<name>.partial` first; a crash may leave that behind."""


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600, sync: bool = True) -> None:
    """Replaces `path`, which then has exactly the access rights `mode`, whatever the umask. Raises OSError.

    With `sync` the content survives a power cut from the moment this returns; without it (for a tmpfs, or for
    what is written anew soon) only readers are protected.
    """
    partial = path.with_name(f".{path.name}{SUFFIX}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            if sync:
                os.fsync(descriptor)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes renames and removals in a directory safe on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
