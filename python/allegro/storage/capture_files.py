"""Files of the storage device: finished captures, and in their own directory those that wait for upload."""

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from allegro.capture.space import files_left
from allegro.errors import Conflict, InvalidInput, NotFound
from allegro.words import size

MIB = 1 << 20
NAME_MAX = 255  # bytes; ext4, and every other file system in question

# Not in names on Windows: learn.microsoft.com/windows/win32/fileio/naming-a-file
_NOT_THERE = re.compile(r'[<>:"|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)

DIRECTORIES = ("upload", "sent")
"""Directories within that of the captures, and so no names of captures there."""

# Always left free. On the default device the jobs, the settings and the logs live on the same partition.
RESERVE = 32 * MIB

RESERVED_FILES = 100
"""So many more the file system must be able to have: settings and lists are new files each time."""


@dataclass(frozen=True)
class FileInfo:
    """A finished file: size in bytes, time of the last change in nanoseconds since 1970 (UTC)."""

    name: str
    size: int
    modified_ns: int


def checked_name(name: str) -> str:
    """`name`, if it names a visible file of the directory itself. Raises InvalidInput, also for any path."""
    if name and not _is_plain(name):
        raise InvalidInput(
            f"{name!r} is not a file name here.",
            place="name",
            remedy="It may not begin with a dot, contain slashes or control characters, or end with blanks.",
        )
    if not name or len(os.fsencode(name)) > NAME_MAX:
        raise InvalidInput(f"A file name has 1 to {NAME_MAX} bytes.", place="name")
    return name


def _is_plain(name: str) -> bool:
    """Not printable are control characters, and what the disk has that is no UTF-8."""
    if name.startswith(".") or "/" in name or "\\" in name:
        return False
    return name.isprintable() and name == name.strip()


class FileStore:
    """The visible regular files of one directory. Names that `checked_name` refuses do not exist for it.

    A file gets its visible name when it is finished, and does not change afterwards. So each is asked for its
    size and time once, and listing ten thousand of them again costs one look at the directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[tuple[str, int, int], FileInfo] = {}  # by name, inode and disk

    def all(self) -> list[FileInfo]:
        """All files, by name. What is missing, or is no directory, holds none."""
        known, found = self._known, {}
        disk = 0
        with contextlib.suppress(FileNotFoundError):
            disk = self.root.stat().st_dev
        for entry in self._entries():
            key = (entry.name, entry.inode(), disk)
            info = known.get(key) or _info(entry)
            if info is not None:
                found[key] = info
        self._known = found  # as a whole: several threads may list at a time
        return sorted(found.values(), key=lambda info: info.name)

    def count(self) -> int:
        """How many files there are, without asking any of them."""
        return sum(1 for _ in self._entries())

    def _entries(self) -> "Iterator[os.DirEntry[str]]":
        try:
            entries = list(os.scandir(self.root))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if _is_plain(entry.name) and entry.is_file(follow_symlinks=False):
                yield entry

    def named(self, names: Iterable[str]) -> list[FileInfo]:
        """Those of these files that are there. Raises InvalidInput for a bad name."""
        found = []
        for name in dict.fromkeys(names):
            with contextlib.suppress(NotFound, FileNotFoundError, NotADirectoryError):
                status = self.path(name).lstat()
                found.append(FileInfo(name, status.st_size, status.st_mtime_ns))
        return found

    def path(self, name: str) -> Path:
        """Where the file lies. Raises InvalidInput for a bad name, NotFound without such a regular file."""
        path = self.root / checked_name(name)
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise _missing(name) from None
        if not stat.S_ISREG(mode):
            raise _missing(name)
        return path

    def delete(self, name: str) -> None:
        """Removes a file. Raises InvalidInput, NotFound, or Conflict if it cannot be removed."""
        try:
            self.path(name).unlink()
        except FileNotFoundError:
            raise _missing(name) from None
        except OSError as error:
            raise Conflict(f"The file cannot be deleted ({error.strerror}).", place=name) from error

    def free(self) -> int:
        """Free bytes for new files. Raises OSError if there is no storage device."""
        return shutil.disk_usage(self.root).free

    def total(self) -> int:
        """Size of the file system in bytes. Raises OSError if there is no storage device."""
        return shutil.disk_usage(self.root).total

    def problem(self, needed: int = 0) -> str:
        """Why a file of `needed` bytes cannot be stored now, in plain words; empty if it can."""
        try:
            free = self.free()
        except OSError as error:
            return f"There is no storage device ({error.strerror})."
        if not os.access(self.root, os.W_OK):
            return "The storage device cannot be written."
        if free - needed < RESERVE:
            wanted = f"about {size(needed)} for the capture and " if needed else ""
            return (
                f"There is not enough free space: {wanted}{size(RESERVE)} in reserve are needed,"
                f" {size(free)} are free. Delete files that are no longer needed."
            )
        if _has_too_many_files(self.root):
            return (
                "The storage device takes no further file, although it has space: it has about as many as its"
                " file system can have. Delete files that are no longer needed."
            )
        return ""


def portable(name: str) -> str:
    """This name, or one like it that Windows and exFAT have, too."""
    plain = _NOT_THERE.sub("_", name).rstrip(". ") or "_"
    return f"_{plain}" if _DEVICES.fullmatch(plain) else plain


def numbered(name: str, number: int) -> str:
    """`a.pcapng` → `a_2.pcapng` for a name that is taken; the first one stays as it is."""
    if number < 2:
        return name
    stem, dot, suffix = name.rpartition(".")
    stem, ending = (stem, f"_{number}.{suffix}") if dot and stem else (name, f"_{number}")
    return shortened(stem, NAME_MAX - len(os.fsencode(ending))) + ending


def shortened(text: str, most: int) -> str:
    """The beginning of a name, at most so many bytes of UTF-8, in whole characters."""
    return (
        text if len(os.fsencode(text)) <= most else os.fsencode(text)[: max(most, 0)].decode(errors="ignore")
    )


def _has_too_many_files(root: Path) -> bool:
    try:
        left = files_left(root)
    except OSError:  # as its space could be told a moment ago, it is just going away
        return False
    return left is not None and left < RESERVED_FILES


def _info(entry: "os.DirEntry[str]") -> FileInfo | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # deleted or uploaded a moment ago
        return None
    return FileInfo(entry.name, status.st_size, status.st_mtime_ns)


def _missing(name: str) -> NotFound:
    return NotFound(f"There is no file {name}.", place="name")
