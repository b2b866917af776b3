"""The captures of the device, in whatever directory they lie: found by name, renamed, moved between them.

A name is that of one file: it is free only if no directory has it and no capture of the list ever had it.
"""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from allegro.atomic import rename_without_replacing
from allegro.errors import Conflict, InvalidInput, NotFound, Unavailable
from allegro.storage.capture_files import DIRECTORIES, FileInfo, FileStore, checked_name
from allegro.storage.file_search import Directory, Listed


class Names(Protocol):
    """Who else goes by the names of files."""

    def uses_name(self, file: str) -> bool:
        """Whether a capture of the list has that name, also when its file is gone."""

    def file_moved(self, old: str, new: str, directory: str) -> None:
        """A file has got another name or directory."""


class Captures:
    """The files of `stores`, by directory; a name is looked for in their order.

    `names` is the list of captures, `is_sending` says whether a file is on its way to a server. May be called
    from any thread.
    """

    def __init__(
        self, stores: Mapping[Directory, FileStore], names: Names, is_sending: Callable[[str], bool]
    ) -> None:
        self._stores = stores
        self._names = names
        self._is_sending = is_sending
        self._naming = threading.Lock()

    def all(self) -> list[Listed]:
        """All files."""
        return [Listed(file, name) for name, store in self._stores.items() for file in _of(store.all, name)]

    def named(self, names: Iterable[str]) -> list[Listed]:
        """Those of these files that are there. Raises InvalidInput for a bad name."""
        wanted = list(names)
        return [
            Listed(file, name)
            for name, store in self._stores.items()
            for file in _of(partial(store.named, wanted), name)
        ]

    def path(self, name: str) -> Path:
        """Where a file lies. Raises InvalidInput for a bad name, NotFound, Unavailable if nobody can say."""
        return self._holder(name)[1]

    def delete(self, name: str) -> None:
        """Removes a file. Raises InvalidInput, NotFound, Conflict if it cannot be removed, Unavailable."""
        directory, _ = self._holder(name)
        try:
            self._stores[directory].delete(name)
        except OSError as error:
            raise _no_answer(name, error) from error

    def move(self, name: str, new_name: str | None = None, directory: Directory | None = None) -> Listed:
        """Gives a file another name, another directory, or both, in one step; never over another file.

        Raises InvalidInput for a bad name, NotFound, Conflict if the name is taken, the file is being sent or
        lies on another disk, Unavailable if the disk or the list of captures refuses.
        """
        with self._naming:
            there, path = self._holder(name)
            directory = directory or there
            target = self._stores[directory]
            new_name = checked_name(name if new_name is None else new_name)
            if (new_name, directory) != (name, there):
                if new_name.casefold() in DIRECTORIES and (directory == "storage" or new_name != name):
                    raise InvalidInput(
                        f"{new_name} is the name of a directory of captures.",
                        place="name",
                        remedy="Choose another name.",
                    )
                if there == "upload" and self._is_sending(name):
                    raise Conflict(f"{name} is just being sent.", place="name", remedy="Wait for its end.")
                if directory != there and "disk" in (directory, there):
                    raise Conflict(
                        f"{name} lies on another disk.",
                        place="directory",
                        remedy="Download it; what is captured from now on goes where the settings say.",
                    )
                if new_name != name and (self._is_taken(new_name) or self._names.uses_name(new_name)):
                    raise _taken(new_name)
                self._rename(path, target.root / new_name)
                self._names.file_moved(name, new_name, directory)
            moved = _of(partial(target.named, [new_name]), directory)
        if not moved:
            raise NotFound(f"{new_name} is gone again.", place="name")
        return Listed(moved[0], directory)

    def _rename(self, old: Path, new: Path) -> None:
        try:
            new.parent.mkdir(mode=0o750, exist_ok=True)
            rename_without_replacing(old, new)
        except FileExistsError:
            raise _taken(new.name) from None
        except FileNotFoundError:
            raise NotFound(f"There is no file {old.name}.", place="name") from None
        except OSError as error:
            raise Unavailable(
                f"The storage device does not let {old.name} be renamed ({error.strerror})."
            ) from error

    def _is_taken(self, name: str) -> bool:
        return any(os.path.lexists(store.root / name) for store in self._stores.values())

    def _holder(self, name: str) -> tuple[Directory, Path]:
        """Where a file lies. Raises InvalidInput, NotFound, and Unavailable if it may lie on a disk that does
        not answer."""
        silent: OSError | None = None
        for directory, store in self._stores.items():
            try:
                return directory, store.path(name)
            except NotFound:
                continue
            except OSError as error:
                if directory != "disk":
                    raise
                silent = error
        if silent is not None:
            raise _no_answer(name, silent)
        raise NotFound(f"There is no file {name}.", place="name")


def _of(files: Callable[[], list[FileInfo]], directory: Directory) -> list[FileInfo]:
    """Those files; of a disk that is just being pulled there are none."""
    try:
        return files()
    except OSError:
        if directory != "disk":
            raise
        return []


def _no_answer(name: str, error: OSError) -> Unavailable:
    return Unavailable(
        f"Where {name} may lie, on the disk that was chosen for captures, cannot be read ({error.strerror}).",
        place="name",
        remedy="Try again in a moment; if that does not help, pull the disk and plug it in again.",
    )


def _taken(name: str) -> Conflict:
    return Conflict(
        f"There is, or was, another capture with the name {name}.",
        place="name",
        remedy="Choose another name.",
    )
