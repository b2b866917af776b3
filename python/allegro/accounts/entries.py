"""A kept file that holds one list, read entry by entry.

An entry that this version does not understand counts for nothing, and stays; so does whatever else is unknown
in the file. A file of which neither the content nor the last good copy can be known is not written over.
"""

import errno
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from allegro.errors import Unavailable
from allegro.keeping import Absent, KeptFile, Unreadable, Value, trouble

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


class EntryFile(Generic[T]):
    """The list `noun` of a file. Holds no lock: callers with several threads do.

    `mark`: a file that is there, or cannot be looked at, if the list was kept once: then it is not absent.
    `parse` makes a value of an entry, None if it does not understand it; `key` says which one it is. With
    `never_empty` a list in which nothing is understood makes no sense. `read_only`: another program's file.
    """

    entries: tuple[T, ...]
    not_understood: tuple[Any, ...]
    trouble: str
    """What is wrong with the file (`allegro.keeping.trouble`); empty if nothing is."""
    absent: bool
    lost: bool
    """Neither the file nor its copy can be known."""

    def __init__(
        self,
        path: Path,
        noun: str,
        parse: Callable[[Any], T | None],
        key: Callable[[T], str],
        *,
        never_empty: bool = False,
        read_only: bool = False,
        mark: Path | None = None,
    ) -> None:
        self._mark = None if mark is None else KeptFile(mark, bytes)
        self._file = KeptFile(path, self._content)
        self._noun = noun
        self._parse = parse
        self._key = key
        self._never_empty = never_empty
        self.read()
        if not read_only:
            self._file.mend()

    def read(self) -> None:
        """Reads it again. Raises nothing."""
        found = self._file.read()
        if isinstance(found, Absent) and self._mark and not isinstance(self._mark.read(), Absent):
            found = Unreadable("it is missing", errno.ENOENT)
        self.trouble = trouble(found)
        self.absent = isinstance(found, Absent)
        self.lost = not isinstance(found, Value | Absent)
        self._raw: dict[str, Any] = found.value if isinstance(found, Value) else {self._noun: []}
        pairs = [(raw, self._parse(raw)) for raw in self._raw[self._noun]]
        self._sources = {self._key(entry): raw for raw, entry in pairs if entry is not None}
        self.entries = tuple(entry for _, entry in pairs if entry is not None)
        self.not_understood = tuple(raw for raw, entry in pairs if entry is None)

    def save(self, entries: Iterable[T]) -> None:
        """These instead of `entries`. Raises Unavailable if that cannot be kept; then nothing has changed."""
        if self.lost:
            raise Unavailable(
                f"The {self._noun} cannot be changed: their file {self.trouble}.",
                remedy="Restart the device.",
            )
        wanted = tuple(entries)
        sources = {
            self._key(entry): {**self._sources.get(self._key(entry), {}), **asdict(entry)} for entry in wanted
        }
        listed = [*sources.values(), *self.not_understood]
        content = {"schema_version": 1, **self._raw, self._noun: listed}
        try:
            self._file.write(json.dumps(content, indent=2).encode() + b"\n")
        except OSError as error:
            raise Unavailable(
                f"The {self._noun} could not be saved: {error.strerror}.",
                remedy="Look at the free space of the storage device.",
            ) from error
        self.entries = wanted
        self._sources = sources
        self._raw = content
        self.trouble = ""
        self.absent = False

    def _content(self, content: bytes) -> dict[str, Any]:
        raw = json.loads(content)
        if not isinstance(raw, dict) or not isinstance(raw.get(self._noun), list):
            raise ValueError(f"no list of {self._noun}")
        if self._never_empty and all(self._parse(each) is None for each in raw[self._noun]):
            raise ValueError(f"none of the {self._noun} in it is understood")
        return raw
