"""Which files of several directories are meant, and in what order, part by part. No I/O."""

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from allegro.errors import InvalidInput
from allegro.storage.capture_files import FileInfo

Directory = Literal["storage", "upload", "sent", "disk"]
"""storage: it stays here; upload: it is still to be sent; sent: a server has it; disk: on the chosen disk."""

Order = Literal["name", "newest", "oldest", "largest", "smallest"]


@dataclass(frozen=True)
class Listed:
    """A file with the directory that it lies in."""

    file: FileInfo
    directory: Directory

    @property
    def cursor(self) -> str:
        """Names the place in every order right behind this file, also when it is gone by then."""
        key = (self.file.name, self.directory, self.file.size, self.file.modified_ns)
        return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


_KEYS: Final[dict[Order, Callable[[Listed], tuple[Any, ...]]]] = {
    "name": lambda one: (one.file.name, one.directory),
    "newest": lambda one: (-one.file.modified_ns, one.file.name, one.directory),
    "oldest": lambda one: (one.file.modified_ns, one.file.name, one.directory),
    "largest": lambda one: (-one.file.size, one.file.name, one.directory),
    "smallest": lambda one: (one.file.size, one.file.name, one.directory),
}


@dataclass(frozen=True)
class Search:
    """What a file has to be like. `words` all occur in its name, in any case of letters; it was completed at
    `since_ns` or later and before `until_ns` (ns since 1970).
    """

    words: tuple[str, ...] = ()
    since_ns: int | None = None
    until_ns: int | None = None

    def fits(self, file: FileInfo) -> bool:
        """Whether this is one of them."""
        name = file.name.casefold()
        return (
            all(word in name for word in self.words)
            and (self.since_ns is None or file.modified_ns >= self.since_ns)
            and (self.until_ns is None or file.modified_ns < self.until_ns)
        )


def search_words(text: str) -> tuple[str, ...]:
    """What `Search` looks for, of a text that somebody typed."""
    return tuple(text.casefold().split())


def part(
    found: Iterable[Listed],
    search: Search,
    order: Order,
    *,
    after: str = "",
    offset: int = 0,
    limit: int | None = None,
) -> list[Listed]:
    """Those that fit, in order: `limit` of them (None: all) behind the cursor `after` and `offset` more.

    Raises InvalidInput for a text that is no cursor.
    """
    key = _KEYS[order]
    behind = key(_read(after)) if after else None
    fitting = [one for one in found if search.fits(one.file) and (behind is None or key(one) > behind)]
    fitting.sort(key=key)
    return fitting[offset : None if limit is None else offset + limit]


def _read(cursor: str) -> Listed:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        match json.loads(base64.b64decode(padded, b"-_", validate=True)):
            case [
                str(name),
                ("storage" | "upload" | "sent" | "disk") as directory,
                int(size),
                int(modified_ns),
            ]:
                return Listed(FileInfo(name, size, modified_ns), directory)
    except (ValueError, RecursionError):
        pass
    raise InvalidInput(
        "This names no place in a list of files.",
        place="after",
        remedy="Take it from `cursor` of a file in an answer.",
    )
