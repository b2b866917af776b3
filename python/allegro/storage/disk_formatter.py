"""Formats a disk, and gives file systems other names. What lies on the disk is lost.

Never the disk that the system runs from, and nothing that is in use.
"""

import contextlib
import fcntl
import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from allegro.errors import AllegroError, Conflict, InvalidInput, NotFound, Unavailable
from allegro.storage.disk_care import DiskCare
from allegro.storage.disks import Disk, is_claimed, objections, read_disks, sequence_by_name, sequence_of
from allegro.storage.formatting import (
    SMALLEST,
    START,
    TITLES,
    Wish,
    check_command,
    checked_label,
    label_command,
    make_command,
    markers,
    table_script,
)
from allegro.storage.used_disk import UsedDisk
from allegro.system.actions import Actions, Running

ACTION: Final = "format"

_TABLE_TIMEOUT_S: Final = 120
_MAKE_TIMEOUT_S: Final = 1800
_UDEV_TIMEOUT_S: Final = 10
_PARTITION_WITHIN_S: Final = 30
_LONGEST_WORDS: Final = 300
_BLOCK_SIZE: Final = 4096
"""Bytes; a multiple of all sectors."""

_BLKFLSBUF: Final = 0x1261  # linux/fs.h

_BLOCK: Final = Path("/sys/class/block")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A disk, and why it cannot be formatted (empty: it can).

    `sequence` is a number that no other disk has had since the start, nor the same one before it was pulled;
    0: not known.
    """

    disk: Disk
    sequence: int
    objections: tuple[str, ...]


def wait_for_partition(disk: Disk) -> str:
    """The first partition of a disk that has just got its table. Raises Unavailable."""
    until = time.monotonic() + _PARTITION_WITHIN_S
    while True:
        for file in (_BLOCK / disk.name).glob("*/start"):
            device = Path("/dev") / file.parent.name
            with contextlib.suppress(OSError, ValueError):  # it is just coming or going
                if int(file.read_text()) * 512 == START and device.exists():
                    return str(device)
        if time.monotonic() > until:
            raise Unavailable("The new partition does not appear.", remedy="Plug the disk in again.")
        time.sleep(0.1)


def tell_udev(path: str) -> None:
    """Has udev look at a device anew, and waits for that, so that lists show what is there now."""
    command = ["udevadm", "trigger", "--settle", "--action=change", f"--name-match={path}"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(command, capture_output=True, timeout=_UDEV_TIMEOUT_S, check=False)


class Formatter:
    """One disk at a time, in a thread; how far it is stands in the actions. May be called from any thread.

    `other_users` mount disks, too. `running` names the disk that the system runs from, `partition` waits for
    the first one of a disk, `renew` has the system look at a device anew.
    """

    def __init__(
        self,
        actions: Actions,
        care: DiskCare,
        running: Callable[[], str],
        *,
        other_users: Sequence[UsedDisk] = (),
        disks: Callable[[], Sequence[Disk]] = read_disks,
        partition: Callable[[Disk], str] = wait_for_partition,
        renew: Callable[[str], None] = tell_udev,
    ) -> None:
        self._actions = actions
        self._care = care
        self._running = running
        self._users = (care.disk, *other_users)
        self._disks = disks
        self._partition = partition
        self._renew = renew
        self._formatted = ""

    def listed(self) -> tuple[Candidate | None, list[Candidate]]:
        """The disk that the system runs from (None: not known), and all others.

        Raises Unavailable if they cannot be listed.
        """
        name, own, others = self._running(), None, []
        for disk in self._disks():
            number = sequence_by_name(disk.name)
            if disk.name == name or disk.runs_system:
                own = Candidate(disk, number, ("this system runs from it",))
            elif disk.kind == "disk":
                others.append(Candidate(disk, number, self._objections(disk)))
        return own, others

    def candidates(self) -> list[Candidate]:
        """All disks but the one that the system runs from. Raises Unavailable if they cannot be listed."""
        return self.listed()[1]

    def start(
        self, name: str, confirm: str, wish: Wish, seen: int = 0, ended: Callable[[str], None] | None = None
    ) -> Disk:
        """Begins to format the disk `name`; `confirm` must be the same name, as the user's own word.

        `seen` is the number of the disk that he was asked about (0: whichever has the name now); `ended` is
        told what became of it. Raises NotFound, Conflict with the reason, InvalidInput (label, confirmation),
        Unavailable.
        """
        wish = Wish(wish.kind, checked_label(wish.label, wish.kind))
        name = name.removeprefix("/dev/")
        self._leave_alone(name)
        try:
            chosen = self._judged(name, confirm, seen)
            running = self._actions.start(ACTION, f"Preparing {chosen.disk.path}.")
            self._formatted = chosen.disk.name
        except BaseException:
            self._leave_alone("")
            raise
        work = (chosen, wish, running, ended or (lambda _text: None))
        threading.Thread(target=self._run, args=work, name="format", daemon=True).start()
        return chosen.disk

    def rename(self, uuid: str, label: str) -> str:
        """Gives the file system with this id another name; returns what it is called now.

        Raises NotFound, Conflict with what speaks against it, InvalidInput, Unavailable.
        """
        with self._care.apart(uuid) as volume:
            kind = next(kind for kind in TITLES if kind == volume.kind)
            label = checked_label(label, kind)
            _answer_of(label_command(kind, label, volume.path), _TABLE_TIMEOUT_S)
            self._renew(volume.path)
        return label

    def _leave_alone(self, name: str) -> None:
        for each in self._users:
            each.leave_alone(name)

    def _judged(self, name: str, confirm: str, seen: int) -> Candidate:
        if name == self._running():
            raise Conflict(f"This device runs from {name}.", place="disk", remedy="Name another disk.")
        found = next((each for each in self.candidates() if each.disk.name == name), None)
        if found is None:
            raise NotFound(f"There is no disk {name}.", place="disk", remedy="`allegro disks` shows them.")
        if found.objections:
            raise Conflict(
                f"{found.disk.title} cannot be formatted: {'; '.join(found.objections)}.", place="disk"
            )
        if seen and seen != found.sequence:
            raise Conflict(
                f"Another disk is called {name} now: {found.disk.title}.",
                place="disk",
                remedy="Look at the list again.",
            )
        if confirm.removeprefix("/dev/") != name:
            raise InvalidInput(
                f"Everything on {found.disk.title} will be lost: this is not confirmed.",
                place="confirm",
                remedy=f"Repeat the name of the disk: {name}.",
            )
        if busy := [action.text for action in self._actions.all() if action.state == "running"]:
            raise Conflict(f"Something else is being done: {busy[0]}", remedy="Wait for its end.")
        return found

    def _objections(self, disk: Disk) -> tuple[str, ...]:
        if disk.name == self._formatted:  # who asks the kernel whose it is keeps it from mkfs for that moment
            return ("it is being formatted already",)
        found = objections(disk, SMALLEST, claimed=False)
        try:
            if not found and is_claimed((disk.path, *disk.partitions)):
                found = objections(disk, SMALLEST, claimed=True)
        except OSError as error:
            found.append(f"it does not answer ({error.strerror})")
        return tuple(found)

    def _run(self, chosen: Candidate, wish: Wish, running: Running, ended: Callable[[str], None]) -> None:
        disk, end = chosen.disk, self._actions.failed
        try:
            self._format(chosen, wish, running.tell)
            text, end = f"{disk.title} is formatted with {wish.words}.", self._actions.done
        except AllegroError as error:
            text = f"{disk.title} could not be formatted: {error}"
        except OSError as error:
            text = f"{disk.title} could not be formatted: {error.strerror or error}. Use another disk."
        except Exception:
            log.exception("A disk could not be formatted")
            text = f"{disk.title} could not be formatted for an unforeseen reason; see the log."
        self._formatted = ""
        self._leave_alone("")
        end(ACTION, text)
        ended(text)

    def _format(self, chosen: Candidate, wish: Wish, tell: Callable[[str, float | None], None]) -> None:
        disk = chosen.disk
        # udev leaves a disk alone while it is locked (systemd: "Locking Block Device Access").
        with Path(disk.path).open("r+b", buffering=0) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if sequence_of(held.fileno()) != chosen.sequence:
                raise Unavailable("It was pulled.")
            tell("Removing what is on it.", 0.1)
            _wipe(held.fileno(), disk.size)
            tell("Looking whether it is as large as it says.", 0.2)
            _check_size(held.fileno(), disk.size)
            tell("Making the partition table.", 0.3)
            table = table_script(disk.size, wish.kind, disk.sector_size)
            wipe = ("--wipe=always", "--wipe-partitions=always")
            _answer_of(["sfdisk", "--quiet", *wipe, disk.path], _TABLE_TIMEOUT_S, table)
            partition = self._partition(disk)
            tell("Making the file system.", 0.4)
            _answer_of(make_command(wish, partition), _MAKE_TIMEOUT_S)
            tell("Checking the file system.", 0.8)
            _write_back(partition)
            _answer_of(check_command(wish.kind, partition), _MAKE_TIMEOUT_S)
        tell("Waiting for the system to see it.", 0.9)
        for path in (disk.path, partition):
            self._renew(path)


def _wipe(descriptor: int, size: int) -> None:
    """Removes what could start the disk, and all traces of partition tables."""
    for place in (0, size - START):
        _write(descriptor, place, bytes(START))
    os.fsync(descriptor)


def _check_size(descriptor: int, size: int) -> None:
    """Raises Unavailable if the disk does not keep what is written to it."""
    salt = os.urandom(16)
    blocks = {place: (salt + place.to_bytes(8)) * (_BLOCK_SIZE // 24 + 1) for place in markers(size)}
    for place, block in blocks.items():
        _write(descriptor, place, block[:_BLOCK_SIZE])
    os.fsync(descriptor)
    fcntl.ioctl(descriptor, _BLKFLSBUF)
    if any(
        os.pread(descriptor, _BLOCK_SIZE, place) != block[:_BLOCK_SIZE] for place, block in blocks.items()
    ):
        raise Unavailable(
            "It does not keep what is written to it: it is defective, or smaller than it says.",
            remedy="Use another disk.",
        )


def _write(descriptor: int, place: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, place)
        place, view = place + done, view[done:]


def _write_back(path: str) -> None:
    """So that what is read next comes from the disk."""
    with Path(path).open("rb", buffering=0) as device:
        os.fsync(device.fileno())
        fcntl.ioctl(device, _BLKFLSBUF)


def _answer_of(command: Sequence[str], timeout_s: float, text: str = "") -> None:
    """Runs a program. Raises Unavailable with its last words if it fails."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{command[0]} could not be run ({error}).") from error
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split())[-_LONGEST_WORDS:]
        raise Unavailable(f"{command[0]} failed: {words or f'exit code {done.returncode}'}.")
