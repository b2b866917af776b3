"""What happened to the firmware, in plain words: kept on the data partition, newest last."""

import fcntl
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from allegro.keeping import KeptFile, Value

Kind = Literal["installed", "refused", "activated", "confirmed", "fell-back", "started", "failed", "deleted"]

KEPT = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """One event; the time is in nanoseconds since 1970 (UTC)."""

    time_ns: int
    kind: Kind
    text: str


class Events:
    """The list in a file. Written by several programs (supervisor and confirmation), one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.kept = KeptFile(path, _parsed)

    def all(self) -> list[Event]:
        """All events that are kept and known to this version, oldest first; none if they cannot be read."""
        return [
            Event(int(each["time_ns"]), each["kind"], str(each["text"]))
            for each in self._raw()
            if each["kind"] in get_args(Kind)
        ]

    def add(self, kind: Kind, text: str) -> None:
        """Writes an event to the log and to the list. A list that cannot be written is told in the log."""
        level = logging.WARNING if kind in ("fell-back", "failed", "refused") else logging.INFO
        log.log(level, "Firmware: %s", text)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                events = [*self._raw(), asdict(Event(time.time_ns(), kind, text))][-KEPT:]
                content = json.dumps(events, indent=1, ensure_ascii=False)
                self.kept.write(content.encode("utf-8", "surrogatepass") + b"\n")
        except OSError as error:
            log.error("The firmware event could not be kept: %s", error.strerror)

    def _raw(self) -> list[dict[str, Any]]:
        found = self.kept.read()
        return found.value if isinstance(found, Value) else []

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._path.with_name(f".{self._path.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _parsed(content: bytes) -> list[dict[str, Any]]:
    """The events as they stand in the file: another version may know more of them."""
    raw = json.loads(content)
    for each in raw:
        Event(int(each["time_ns"]), each["kind"], str(each["text"]))
    return list(raw)
