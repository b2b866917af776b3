"""What happened to the firmware, in plain words: kept on the data partition, newest last."""

import fcntl
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from allegro.atomic import write_atomically

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

    def all(self) -> list[Event]:
        """All events that are kept, oldest first; a damaged list counts as empty."""
        try:
            raw = json.loads(self._path.read_bytes())
            return [Event(int(each["time_ns"]), each["kind"], str(each["text"])) for each in raw]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def add(self, kind: Kind, text: str) -> None:
        """Writes an event to the log and to the list. A list that cannot be written is told in the log."""
        level = logging.WARNING if kind in ("fell-back", "failed", "refused") else logging.INFO
        log.log(level, "Firmware: %s", text)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                events = [*self.all(), Event(time.time_ns(), kind, text)][-KEPT:]
                content = json.dumps([asdict(event) for event in events], indent=1, ensure_ascii=False)
                write_atomically(self._path, content.encode() + b"\n")
        except OSError as error:
            log.error("The firmware event could not be kept: %s", error.strerror)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._path.with_name(f".{self._path.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
