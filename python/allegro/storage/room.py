"""Room for captures: the limit that they have together, and what is deleted for a new one."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from allegro.errors import AllegroError
from allegro.storage.capture_files import MIB, RESERVE, FileInfo, FileStore
from allegro.words import as_set, size

log = logging.getLogger(__name__)


class Rules(Protocol):
    """The part of the settings that decides about room."""

    @property
    def limit_mib(self) -> int:
        """What all captures may take together; 0: no limit."""

    @property
    def uploaded(self) -> str:
        """`make-room`: the oldest uploaded ones are deleted where space is needed."""


def expendable(uploaded: Sequence[FileInfo], lacking: int) -> list[FileInfo]:
    """The oldest of these files that together give back `lacking` bytes; none of them if all would not."""
    chosen: list[FileInfo] = []
    for file in sorted(uploaded, key=lambda file: (file.modified_ns, file.name)):
        if lacking <= 0:
            break
        chosen.append(file)
        lacking -= file.size
    return chosen if lacking <= 0 else []


class Room:
    """Of one storage device. `uploaded` are the files that a server has, `others` all others.

    May be called from any thread.
    """

    def __init__(self, others: Sequence[FileStore], uploaded: FileStore, rules: Callable[[], Rules]) -> None:
        self._device = others[0]
        self._others = others
        self._uploaded = uploaded
        self._rules = rules
        self._making = threading.Lock()

    def problem(self, needed: int = 0) -> str:
        """Why a capture of `needed` bytes cannot be stored now, in plain words; empty if it can.

        Uploaded files are deleted for it, the oldest first, if the settings say so and if that is enough.
        Others never are.
        """
        with self._making:
            if self._makes_room:
                try:
                    self._make(needed)
                except (AllegroError, OSError) as error:
                    log.warning("No room could be made: %s", error)
            return self._device.problem(needed) or self.limit_problem(needed)

    def refusal(self) -> str:
        """Why the device takes no capture at all, in plain words; empty if it does. Deletes nothing."""
        return self._device.problem()

    def limit_problem(self, needed: int = 0) -> str:
        """Why a capture of `needed` bytes goes beyond the limit, in plain words; empty if it does not.

        Also why nobody knows: a press that is refused is told, one that fails would be lost.
        """
        try:
            if self._beyond_limit(needed) <= 0:
                return ""
            taken = size(self._taken())
        except OSError as error:
            return (
                f"What the captures take cannot be told: the storage device does not say ({error.strerror})."
            )
        wanted = f", and about {size(needed)} more are needed" if needed else ""
        return (
            f"The limit for captures is reached: they take {taken} of"
            f" {as_set(self._rules().limit_mib * MIB)}{wanted}."
            " Delete files that are no longer needed, or raise the limit."
        )

    def free(self) -> int:
        """Bytes that are free, or become so when they are needed. Raises OSError without a storage device."""
        expendable_bytes = sum(file.size for file in self._uploaded.all()) if self._makes_room else 0
        return self._device.free() + expendable_bytes

    def total(self) -> int:
        """Size of the file system in bytes. Raises OSError without a storage device."""
        return self._device.total()

    @property
    def _makes_room(self) -> bool:
        return self._rules().uploaded == "make-room"

    def _make(self, needed: int) -> None:
        lacking = max(needed + RESERVE - self._device.free(), self._beyond_limit(needed))
        for file in expendable(self._uploaded.all(), lacking) if lacking > 0 else ():
            self._uploaded.delete(file.name)
            log.info("Deleted %s, which was uploaded, to make room", file.name)

    def _beyond_limit(self, needed: int) -> int:
        """Bytes to be deleted for a file that has at least one byte; not above 0 if there is room."""
        limit = self._rules().limit_mib * MIB
        return self._taken() + max(needed, 1) - limit if limit else 0

    def _taken(self) -> int:
        return sum(file.size for store in (*self._others, self._uploaded) for file in store.all())
