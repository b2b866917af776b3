"""Files that are kept from one start to the next, read so that "none" is never mistaken for "not readable".

Beside a kept file lies its last good copy (`.<name>.good`), which is written first, so that at any moment one
of the two is whole. What a program finds is one of four things, and each needs another answer:

- `Absent`: nothing was ever kept. Defaults may hold.
- `Unreadable`: the disk or its rights do not give it. It stays where it is; no default may let anybody in.
- `Damaged`: neither the file nor its copy makes sense.
- `Value`: what was kept; `instead_of` says what was found in place of the file if this is its copy.
"""

import contextlib
import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from allegro.atomic import sync_directory, write_atomically

COPY_SUFFIX = ".good"
ASIDE_SUFFIX = ".damaged"

T = TypeVar("T")


@dataclass(frozen=True)
class Absent:
    """There is no such file, in a folder that can be looked at."""


@dataclass(frozen=True)
class Unreadable:
    """The file is there, or may be, but cannot be read; `reason` in the words of the system (strerror(3))."""

    reason: str
    number: int = errno.EIO


@dataclass(frozen=True)
class Damaged:
    """The content makes no sense; `reason` in plain words."""

    reason: str


@dataclass(frozen=True)
class Value(Generic[T]):
    """What was kept. With `instead_of` it is the last good copy, and that is what became of the file."""

    value: T
    instead_of: Absent | Unreadable | Damaged | None = None


Found: TypeAlias = Absent | Unreadable | Damaged | Value[T]


def copy_of(path: Path) -> Path:
    """Where the last good copy of a kept file lies."""
    return path.with_name(f".{path.name}{COPY_SUFFIX}")


class KeptFile(Generic[T]):
    """One file and its last good copy. Holds nothing itself; one program at a time may write.

    `parse` makes the value of the content, and may raise anything for content that makes no sense.
    `passing`: a note that comes and goes. Where its file is missing there is none, whatever its copy says,
    and a new one may take the place of one that cannot be read; a lasting file is never written over unread.
    """

    def __init__(
        self, path: Path, parse: Callable[[bytes], T], *, mode: int = 0o600, passing: bool = False
    ) -> None:
        self.path = path
        self.copy = copy_of(path)
        self._parse = parse
        self._mode = mode
        self._passing = passing

    def read(self) -> Found[T]:
        """What is kept, from the file or else from its copy. Changes nothing, raises nothing."""
        own = self._look(self.path)
        if isinstance(own, Value) or (isinstance(own, Absent) and self._passing):
            return own
        copy = self._look(self.copy)
        if isinstance(copy, Value):
            return Value(copy.value, own)
        if isinstance(own, Absent):  # what the copy would have said counts: there was a file
            return copy
        return own

    def mend(self) -> None:
        """Makes two of one: the copy of a good file, or the file of a good copy. For the program that writes.

        The copy is old where an older version wrote the file, or the power went between the two. What cannot
        be written now is written with the next change.
        """
        own = self._look(self.path)
        with contextlib.suppress(OSError):
            if isinstance(own, Value):
                content = self.path.read_bytes()
                if not self.copy.exists() or self.copy.read_bytes() != content:
                    write_atomically(self.copy, content, mode=self._mode)
            elif not isinstance(own, Unreadable) and isinstance(self.read(), Value):
                self._replace(own, self.copy.read_bytes())

    def write(self, content: bytes) -> None:
        """Replaces file and copy; both survive a power cut from then on. Raises OSError: the old one holds.

        A damaged file is put aside as `<name>.damaged`, in place of an earlier one.
        """
        own = self._look(self.path)
        if isinstance(own, Unreadable) and not self._passing:
            raise OSError(own.number, f"the present file cannot be read ({own.reason})", str(self.path))
        before = None
        with contextlib.suppress(OSError):
            before = self.copy.read_bytes()
        write_atomically(self.copy, content, mode=self._mode)
        try:
            self._replace(own, content)
        except OSError:
            with contextlib.suppress(OSError):
                if before is None:
                    self.copy.unlink(missing_ok=True)
                else:
                    write_atomically(self.copy, before, mode=self._mode)
            raise

    def remove(self) -> None:
        """There is none any more. Raises OSError."""
        # In this order: a copy without its file would be taken for what is left of it.
        self.copy.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            sync_directory(self.path.parent)

    def _replace(self, own: Found[T], content: bytes) -> None:
        if isinstance(own, Damaged):
            with contextlib.suppress(OSError):  # it is not worth a change that fails
                aside = self.path.with_name(self.path.name + ASIDE_SUFFIX)
                aside.unlink(missing_ok=True)
                aside.hardlink_to(self.path)
        write_atomically(self.path, content, mode=self._mode)

    def _look(self, path: Path) -> Found[T]:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            if path.is_symlink():
                return Unreadable("it is a link to what is missing", errno.ENOENT)
            return Absent() if path.parent.exists() else Unreadable("its folder is missing", errno.ENOENT)
        except OSError as error:
            return Unreadable(error.strerror or str(error), error.errno or errno.EIO)
        try:
            return Value(self._parse(content))
        except Exception as error:  # random bytes can fail anywhere
            return Damaged(str(error) or type(error).__name__)


def trouble(found: Found[T]) -> str:
    """What is wrong with a kept file, to follow its name ("cannot be read (…)"); empty if nothing is."""
    wrong = found.instead_of if isinstance(found, Value) else found
    backed = ", so its last good copy counts" if isinstance(found, Value) else ""
    match wrong:
        case Unreadable(reason):
            return f"cannot be read ({reason}){backed}"
        case Damaged(reason):
            return f"makes no sense ({reason.rstrip('.')}){backed}"
        case Absent() if backed:
            return f"is missing{backed}"
        case _:
            return ""
