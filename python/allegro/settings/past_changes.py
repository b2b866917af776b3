"""The last changes of the settings: who, when, and what was in force before, to go back to it.

The file holds earlier secrets, too, so it is as closed as the settings file, and a configuration reset
removes it. Release 0.1.0 leaves it alone.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from allegro.errors import NotFound
from allegro.keeping import KeptFile, Unreadable, Value
from allegro.settings.differences import Difference, differences
from allegro.settings.model import Settings
from allegro.settings.patches import JsonObject, differing, merged

MOST: Final = 20
LARGEST: Final = 4 * 1024 * 1024
"""Bytes of the file; a change of large tables takes the place of the oldest ones."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PastChange:
    """`who`: a user, `token:` and its name, `root`; empty: the device itself. `before`: the values that were
    changed, as they were, nested, secrets among them. Time in ns since 1970 (UTC)."""

    id: int
    time_ns: int
    who: str
    before: JsonObject


@dataclass(frozen=True)
class ToldChange:
    """A change as it may be shown."""

    id: int
    time_ns: int
    who: str
    differences: tuple[Difference, ...]


class PastChanges:
    """Keeps them. May be called from several threads; a disk that does not take them keeps no change back."""

    def __init__(self, path: Path, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._kept = kept(path)
        self._now_ns = now_ns
        self._lock = threading.Lock()
        found = self._kept.read()
        self._unread = isinstance(found, Unreadable)
        self._changes: Sequence[PastChange] = found.value if isinstance(found, Value) else ()

    def note(self, old: Settings, new: Settings, who: str) -> None:
        """Settings were changed just now."""
        before = differing(old.model_dump(mode="json"), new.model_dump(mode="json"))
        if not before:
            return
        with self._lock:
            last = self._changes[-1].id if self._changes else 0
            changes = [*self._changes, PastChange(last + 1, self._now_ns(), who, before)][-MOST:]
            while len(content := _content(changes)) > LARGEST and len(changes) > 1:
                changes = changes[1:]
            self._changes = changes
            if self._unread:  # it may be read after a restart
                return
            try:
                self._kept.write(content)
            except OSError as error:
                log.warning("The change of the settings cannot be kept to go back to: %s", error.strerror)

    def all(self, present: Settings) -> list[ToldChange]:
        """Newest first, with what each has changed; `present`: the settings in force."""
        after: JsonObject = present.model_dump(mode="json")
        told = []
        for each in reversed(self._changes):
            before = merged(after, each.before)
            told.append(ToldChange(each.id, each.time_ns, each.who, tuple(differences(before, after))))
            after = before
        return told

    def way_back(self, number: int, present: Settings) -> JsonObject:
        """The patch that makes the settings what they were before a change. Raises NotFound."""
        back: JsonObject = {}
        for each in reversed(self._changes):
            back = merged(back, each.before)
            if each.id == number:
                return differing(back, present.model_dump(mode="json"))
        raise NotFound(
            f"The change {number} of the settings is not kept.",
            place="number",
            remedy=f"The last {MOST} changes are.",
        )


def kept(path: Path) -> KeptFile[list[PastChange]]:
    """The file of the changes."""
    return KeptFile(path, _parsed)


def _parsed(content: bytes) -> list[PastChange]:
    """Oldest first; raises for what is none."""
    return [_change(raw) for raw in json.loads(content)]


def _change(raw: Mapping[str, Any]) -> PastChange:
    before = raw["before"]
    if not isinstance(before, dict):
        raise ValueError("not an object")
    return PastChange(int(raw["id"]), int(raw["time_ns"]), str(raw["who"]), before)


def _content(changes: Sequence[PastChange]) -> bytes:
    lines = (json.dumps(asdict(each)) for each in changes)
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode()
