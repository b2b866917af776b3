"""Brings captures to the disk that was chosen for them, in a thread of its own.

They are made on the device's own storage, as always, so that no press depends on a disk that may be pulled,
and move when they are complete. What cannot be moved stays, and is tried again.
"""

import contextlib
import errno
import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from allegro.capture.extraction.yielding import lower_priority
from allegro.errors import AllegroError, Conflict, Unavailable
from allegro.storage.answering import Answering, AnsweringStore
from allegro.storage.capture_files import FileStore
from allegro.storage.captures import Names
from allegro.storage.disks import read_lsblk
from allegro.storage.known_disks import KnownDisks
from allegro.storage.used_disk import UsedDisk
from allegro.storage.volumes import Volume, parse_volumes

_LOOK_EVERY_S: Final = 2.0
_LOOKS_AFTER_TROUBLE: Final = 15
_ANSWERS_WITHIN_S: Final = 20.0
_SAYS_WITHIN_S: Final = 2.0
"""Who asks what lies on the disk waits so long; then it is taken to hold nothing."""

_SILENT_AFTER_S: Final = 60.0
"""So long a slow stick may take for what is written to it between two looks (file_moving)."""

_ENDS_WITHIN_S: Final = 5.0

_DO_NOT_GET_THERE: Final = "Captures do not get to the disk that was chosen for them:"

_BY_UUID: Final = Path("/dev/disk/by-uuid")
_BY_NUMBER: Final = Path("/sys/dev/block")
_BLOCK: Final = Path("/sys/class/block")

log = logging.getLogger(__name__)


def read_volumes(running: Callable[[], str]) -> list[Volume]:
    """What is on all disks but the one whose name `running` answers. Raises Unavailable."""
    try:
        return parse_volumes(read_lsblk(), running())
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise Unavailable(f"The disks cannot be listed ({error}).") from error


def is_present(uuid: str) -> str:
    """Where udev knows a file system with this id: another text each time it is plugged in, by the number
    that the kernel gives to each appearance of a disk (diskseq); empty if there is none."""
    try:
        device = (_BLOCK / (_BY_UUID / uuid).readlink().name).resolve()
    except OSError:
        return ""
    for place in (device, device.parent):  # of a partition its disk has it
        with contextlib.suppress(OSError):
            return f"{device.name} {(place / 'diskseq').read_text().strip()}"
    return device.name


def devices() -> object:
    """Answers the same as long as no disk, partition or file system comes or goes."""
    try:
        return [each.name for each in _BLOCK.iterdir()], _BY_UUID.stat().st_mtime_ns
    except OSError:
        return object()


def is_still_there(device: int) -> bool:
    """Whether the kernel has this device (st_dev); one that was pulled is gone at once."""
    return (_BY_NUMBER / f"{os.major(device)}:{os.minor(device)}").exists()


class DiskCare:
    """`storage` is where captures are made, `names` the list of captures; `breathe` waits while the recorder
    needs the disk, `known` are the disks that are remembered. May be called from any thread.
    """

    def __init__(
        self,
        disk: UsedDisk,
        storage: FileStore,
        names: Names,
        breathe: Callable[[], None],
        known: KnownDisks,
    ) -> None:
        self.known = known
        self._disk = disk
        self._answering = Answering(_SAYS_WITHIN_S)
        self._storage = storage
        self._names = names
        self._breathe = breathe
        self.files = AnsweringStore(disk.folder, self._answering)
        """The captures on the disk."""
        self._trouble = ""
        self._wait_looks = 0
        self._moves_since_s: float | None = None
        """Since when the disk has been asked for the present part of a move."""
        self._moving = threading.Lock()
        self._hold = threading.Event()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="disk", daemon=True)

    def start(self) -> None:
        """Starts to look for the disk."""
        self._thread.start()

    def stop(self) -> None:
        """Ends; what was being moved stays where it was."""
        self._stop.set()
        self._wake.set()
        self._thread.join(_ENDS_WITHIN_S)
        try:
            self._disk.stop()
        except AllegroError as error:
            log.warning("%s", error)

    def notify(self) -> None:
        """There is a new file, or another disk is wanted."""
        self._wake.set()

    def volumes(self) -> Sequence[Volume]:
        """What there is on other disks than the one that the system runs from. Raises Unavailable."""
        return self._disk.volumes()

    @property
    def disk(self) -> UsedDisk:
        """The disk itself."""
        return self._disk

    def choose(self, uuid: str, keep: Callable[[], None]) -> None:
        """As `UsedDisk.choose`, between two files."""
        with self._held():
            self._disk.choose(uuid, keep)
        self._trouble = ""
        self._wait_looks = 0
        self.notify()

    def remove(self) -> None:
        """As `UsedDisk.remove`, between two files."""
        with self._held():
            self._disk.remove()

    @contextmanager
    def apart(self, uuid: str) -> Iterator[Volume]:
        """As `UsedDisk.apart`, between two files."""
        with self._held(), self._disk.apart(uuid) as volume:
            yield volume

    def problem(self) -> str:
        """Why captures stay on the device's own storage although a disk is wanted, in plain words."""
        if not self._disk.wanted():
            return ""
        if self._disk.reason:
            return f"{_DO_NOT_GET_THERE} {self._disk.reason}"
        if self._is_silent():
            return f"{_DO_NOT_GET_THERE} It does not answer."
        return self._trouble

    def step(self) -> None:
        """Looks for the disk, and moves what is complete."""
        with self._moving:
            self._disk.look()
            self.known.look(self.volumes)
            if not self._disk.is_usable():
                return
            if self._wait_looks:
                self._wait_looks -= 1
                return
            self._trouble = ""
            try:
                self._move_all()
            except OSError as error:  # of the disk as a whole, which the next look tells if it is gone
                log.warning("Captures cannot be moved to the disk: %s", error)
            except AllegroError as error:  # the list of captures
                log.warning("%s", error)
            finally:
                self._moves_since_s = None

    def _move_all(self) -> None:
        """Moves one file after the other, the oldest first; one that is refused keeps no other from it."""
        from allegro.storage.file_moving import is_full, moved  # with the first disk: a start needs none

        for file in sorted(self._storage.all(), key=lambda file: (file.modified_ns, file.name)):
            if not self._goes_on():
                break
            try:
                path = self._storage.root / file.name
                new = moved(path, self._disk.folder, self._goes_on, self._is_taken)
            except OSError as error:
                if not self._disk.is_usable():  # the next look tells
                    break
                self._note_trouble(file.name, error)
                if error.errno == errno.ENOSPC and is_full(self._disk.folder):
                    break
                continue
            if new is not None:
                self._names.file_moved(file.name, new, "disk")
                log.info("Moved %s to the disk", file.name)

    def _is_taken(self, name: str) -> bool:
        return os.path.lexists(self._storage.root / name) or self._names.uses_name(name)

    def _note_trouble(self, name: str, error: OSError) -> None:
        """Of several files the first is told."""
        from allegro.storage.file_moving import reason

        self._wait_looks = _LOOKS_AFTER_TROUBLE
        if not self._trouble:
            self._trouble = (
                f"{name} cannot be moved to the disk that was chosen for captures: {reason(error)}."
            )
            log.warning("%s", self._trouble)

    def _goes_on(self) -> bool:
        self._moves_since_s = None
        self._breathe()
        self._moves_since_s = time.monotonic()
        return not (self._stop.is_set() or self._hold.is_set()) and self._disk.is_usable()

    def _is_silent(self) -> bool:
        """Whether the disk, which is there, answers nothing."""
        since_s = self._moves_since_s
        stuck = since_s is not None and time.monotonic() - since_s > _SILENT_AFTER_S
        return stuck or self._answering.is_silent()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """While this lasts, nothing is moved."""
        self._hold.set()
        try:
            if not self._moving.acquire(timeout=_ANSWERS_WITHIN_S):
                raise Conflict("The disk does not answer.", remedy="Pull it, or try again later.")
            try:
                yield
            finally:
                self._moving.release()
        finally:
            self._hold.clear()

    def _work(self) -> None:
        lower_priority()  # in Linux that of this thread alone
        while not self._stop.is_set():
            try:
                self.step()
            except Exception:  # the next look may succeed
                log.exception("Captures could not be moved to the disk")
            self._wake.wait(_LOOK_EVERY_S)
            self._wake.clear()
