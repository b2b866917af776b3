"""The disks that have a task, or had one: remembered by the id of their file system, also while unplugged.

What lies in the file is of use to people only: which disk has which task stands in the settings.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from allegro.errors import AllegroError, Conflict, NotFound
from allegro.keeping import KeptFile, Unreadable, Value
from allegro.storage.volumes import Volume

Task = Literal["captures", "ring"]

MOST: Final = 32

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownDisk:
    """`label`, `model`, `serial` and `kind` may be empty: not known. `size` in bytes.

    `gone_ns` is since when it is missing (ns since 1970, UTC), None while it is plugged in: since it was
    pulled, or since the first look after a start without it.
    """

    uuid: str
    label: str = ""
    model: str = ""
    serial: str = ""
    kind: str = ""
    size: int = 0
    gone_ns: int | None = None


def described(volume: Volume) -> KnownDisk:
    """A disk that is plugged in."""
    disk = volume.disk
    return KnownDisk(volume.uuid, volume.label, disk.model, disk.serial, volume.kind, volume.size)


class KnownDisks:
    """May be called from any thread. A disk that does not take the file keeps nothing back.

    `tasks` says which file systems have a task now, `present` whether one is plugged in.
    """

    def __init__(
        self,
        path: Path,
        tasks: Callable[[], Mapping[Task, str]],
        present: Callable[[str], object],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._kept = kept(path)
        self._tasks = tasks
        self._present = present
        self._now_ns = now_ns
        self._lock = threading.Lock()
        found = self._kept.read()
        self._unread = isinstance(found, Unreadable)
        self._disks: dict[str, KnownDisk] = found.value if isinstance(found, Value) else {}

    def all(self) -> list[tuple[KnownDisk, tuple[Task, ...]]]:
        """Each with its tasks, by id."""
        with self._lock:
            known = dict(self._disks)
        tasks = {task: uuid for task, uuid in self._tasks().items() if uuid}
        for uuid in tasks.values():
            known.setdefault(uuid, KnownDisk(uuid))
        return [
            (disk, tuple(task for task, uuid in tasks.items() if uuid == disk.uuid))
            for _, disk in sorted(known.items())
        ]

    def look(self, volumes: Callable[[], Sequence[Volume]]) -> None:
        """Notes what has come or gone. To be called every few seconds: `volumes`, which costs time, is asked
        only if a disk has come."""
        came: dict[str, KnownDisk] = {}
        with self._lock:
            disks = dict(self._disks)
            for uuid in {*disks, *filter(None, self._tasks().values())}:
                disk = disks.get(uuid)
                if self._present(uuid):
                    if disk is None or disk.gone_ns is not None:
                        came[uuid] = replace(disk or KnownDisk(uuid), gone_ns=None)
                elif disk is None or disk.gone_ns is None:
                    disks[uuid] = replace(disk or KnownDisk(uuid), gone_ns=self._now_ns())
            self._keep(disks)
        if came:
            try:
                self._note(volumes(), came)
            except AllegroError as error:  # the next look asks again
                log.warning("%s", error)

    def note(self, volumes: Sequence[Volume]) -> None:
        """Remembers what these are like, of those that have a task or had one."""
        self._note(volumes, {})

    def _note(self, volumes: Sequence[Volume], came: Mapping[str, KnownDisk]) -> None:
        with self._lock:
            wanted = {*self._disks, *filter(None, self._tasks().values())}
            there = [each for each in volumes if each.uuid in wanted and self._present(each.uuid)]
            seen = {each.uuid: described(each) for each in there}
            self._keep({**self._disks, **came, **seen})

    def forget(self, uuid: str) -> KnownDisk:
        """Raises NotFound, and Conflict for one that has a task."""
        with self._lock:
            if uuid in self._tasks().values():
                raise Conflict("It has a task: give that to another disk first.", place="uuid")
            if uuid not in self._disks:
                raise NotFound(f"No disk with the id {uuid} is remembered.", place="uuid")
            disks = dict(self._disks)
            found = disks.pop(uuid)
            self._keep(disks)
            return found

    def _keep(self, disks: dict[str, KnownDisk]) -> None:
        tasks = self._tasks().values()
        idle = sorted((each.gone_ns or 0, uuid) for uuid, each in disks.items() if uuid not in tasks)
        for _, uuid in idle[: max(len(disks) - MOST, 0)]:
            del disks[uuid]
        if disks == self._disks:
            return
        self._disks = disks
        if self._unread:  # it may be read after a restart
            return
        try:
            self._kept.write(_content(disks))
        except OSError as error:
            log.warning("The list of known disks cannot be kept: %s", error.strerror)


def kept(path: Path) -> KeptFile[dict[str, KnownDisk]]:
    """The file of the list."""
    return KeptFile(path, _parsed)


def _parsed(content: bytes) -> dict[str, KnownDisk]:
    """Raises for what is none; an entry of a kind that another version writes is left out."""
    raw = json.loads(content)
    if not isinstance(raw, list):
        raise ValueError("not a list")
    found = [_disk(each) for each in raw if isinstance(each, dict) and each.get("uuid")]
    return {each.uuid: each for each in found}


def _disk(raw: Mapping[str, Any]) -> KnownDisk:
    gone = raw.get("gone_ns")
    texts = {name: str(raw.get(name, "")) for name in ("uuid", "label", "model", "serial", "kind")}
    return KnownDisk(**texts, size=int(raw.get("size", 0)), gone_ns=None if gone is None else int(gone))


def _content(disks: Mapping[str, KnownDisk]) -> bytes:
    lines = (json.dumps(asdict(each)) for _, each in sorted(disks.items()))
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode()
