"""Installs the running device, started from a stick, on an internal disk.

What starts a disk is written last: an installation that was cut off leaves a disk without a partition table
and without boot code, which no firmware starts from. The last write of all is the first sector alone.
"""

import fcntl
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from allegro.errors import AllegroError, Conflict, InvalidInput, NotFound, Unavailable
from allegro.firmware import boot_state
from allegro.firmware.disk_table import (
    ALIGNMENT,
    BOOT_CODE,
    BOOT_STATE,
    DATA,
    SECTOR,
    SYSTEMS,
    TABLE_SECTORS,
    Partition,
    needed_size,
    parse_table,
    plan,
    system_size,
    table_script,
)
from allegro.firmware.raw_disk import UNIT, RawDisk
from allegro.storage.disks import Disk, is_claimed, objections, read_disks, sequence_by_name, sequence_of
from allegro.system.actions import Actions, Running

ACTION = "install"
_TABLE_TIMEOUT_S = 60
_FORMAT_TIMEOUT_S = 1800  # a large, slow disk


@dataclass(frozen=True)
class Candidate:
    """A disk, and why the device cannot be installed on it (empty: it can).

    `sequence` is its number as `disks.sequence` has it.
    """

    disk: Disk
    objections: tuple[str, ...]
    sequence: int = 0


@dataclass(frozen=True)
class Overview:
    """The disk that the device runs from (None: not known), the others, and whether installing is offered.

    It is offered when the device runs from a stick and there is a disk that can take it.
    """

    running: Disk | None
    candidates: tuple[Candidate, ...]

    @property
    def offered(self) -> bool:
        """Whether the user should be told of this possibility."""
        from_stick = self.running is not None and self.running.removable
        return from_stick and any(not each.objections and not each.disk.removable for each in self.candidates)


def running_disk(root: Path = Path("/"), sysfs: Path = Path("/sys")) -> str:
    """Name of the disk that holds the root file system; empty if that is not on a partition of a disk."""
    device = root.stat().st_dev
    place = (sysfs / "dev/block" / f"{os.major(device)}:{os.minor(device)}").resolve()
    return place.parent.name if (place / "partition").exists() else ""


class Installer:
    """One installation at a time, in a thread; how far it is stands in the actions."""

    def __init__(
        self,
        actions: Actions,
        *,
        disks: Callable[[], Sequence[Disk]] = read_disks,
        running: Callable[[], str] = running_disk,
    ) -> None:
        self._actions = actions
        self._disks = disks
        self._running = running

    def overview(self) -> Overview:
        """What there is now. Raises Unavailable if the disks cannot be listed."""
        disks = self._disks()
        name = self._running()
        running = next((disk for disk in disks if disk.name == name), None)
        needed = needed_size(read_table(running)) if running else 0
        others = [disk for disk in disks if disk.name != name and disk.kind == "disk"]
        numbers = {disk.name: sequence_by_name(disk.name) for disk in others}
        found = (Candidate(disk, _objections(disk, needed), numbers[disk.name]) for disk in others)
        return Overview(running, tuple(found))

    def start(self, name: str, confirm: str, seen: int = 0) -> Disk:
        """Begins to install on the disk `name`; `confirm` must be the same name, as the user's own word.

        `seen` is the number of the disk that he was asked about (0: whichever has the name now).
        Raises NotFound, Conflict with the reason if that disk must not be overwritten, InvalidInput without
        confirmation, Unavailable.
        """
        overview = self.overview()
        source = overview.running
        if source is None:
            raise Unavailable("The disk that this device runs from cannot be found.")
        name = name.removeprefix("/dev/")
        if name == source.name:
            raise Conflict(f"This device runs from {source.path}.", place="disk", remedy="Name another disk.")
        chosen = next((each for each in overview.candidates if each.disk.name == name), None)
        if chosen is None:
            raise NotFound(
                f"There is no disk {name}.", place="disk", remedy="`allegro install list` shows them."
            )
        if chosen.objections:
            reasons = "; ".join(chosen.objections)
            raise Conflict(f"{chosen.disk.title} must not be overwritten: {reasons}.", place="disk")
        if seen and seen != chosen.sequence:
            raise Conflict(
                f"Another disk is called {name} now: {chosen.disk.title}.",
                place="disk",
                remedy="Look at the list again.",
            )
        if confirm != name:
            raise InvalidInput(
                f"Everything on {chosen.disk.title} will be lost: this is not confirmed.",
                place="confirm",
                remedy=f"Repeat the name of the disk: {name}.",
            )
        if busy := [action.text for action in self._actions.all() if action.state == "running"]:
            raise Conflict(f"Something else is being done: {busy[0]}", remedy="Wait for its end.")
        running = self._actions.start(ACTION, f"Preparing {chosen.disk.path}.")
        threading.Thread(
            target=self._run, args=(source, chosen, running), name="install", daemon=True
        ).start()
        return chosen.disk

    def _run(self, source: Disk, chosen: Candidate, running: Running) -> None:
        target = chosen.disk
        try:
            install(source, target, running.tell, chosen.sequence)
        except AllegroError as error:
            self._actions.failed(ACTION, str(error))
        except OSError as error:
            self._actions.failed(
                ACTION,
                f"Installing on {target.path} failed: {error.strerror or error}."
                " Nothing starts from that disk as it is now. Try again, or use another disk.",
            )
        except BaseException:
            self._actions.failed(ACTION, f"Installing on {target.path} failed unexpectedly; see the log.")
            raise
        else:
            self._actions.done(
                ACTION, f"Installed on {target.path}. Switch off, take the stick out, and switch on again."
            )


def _objections(disk: Disk, needed: int) -> tuple[str, ...]:
    found = objections(disk, needed, claimed=False)
    if disk.sector_size != SECTOR:
        found.append(f"its sectors have {disk.sector_size} bytes, which cannot be started from")
    try:
        if not found and is_claimed((disk.path, *disk.partitions)):
            found = objections(disk, needed, claimed=True)
    except OSError as error:
        found.append(f"it does not answer ({error.strerror})")
    return tuple(found)


def read_table(disk: Disk) -> tuple[Partition, ...]:
    """The partitions of the running disk. Raises Unavailable."""
    return parse_table(_answer_of(["sfdisk", "--json", disk.path]))


def install(source: Disk, target: Disk, tell: Callable[[str, float | None], None], sequence: int = 0) -> None:
    """Copies the running system to `target`, whose content is lost, and makes a new data partition there.

    `tell` hears what is done and how far it is. `sequence` is the number of the target when it was looked at
    (0: not known): another disk that has got its name meanwhile is left alone.
    Raises OSError, or AllegroError in plain words.
    """
    partitions = plan(read_table(source), target.size)
    # udev leaves a disk alone while it is locked (systemd: "Locking Block Device Access").
    with Path(target.path).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if sequence and sequence_of(held.fileno()) != sequence:
            raise Unavailable(
                f"{target.title} was pulled. Nothing was written.", remedy="Look at the list again."
            )
        with RawDisk(target.path, write=True) as disk:
            _wipe(disk, target.size)
        tell(f"Making the data partition on {target.path}.", None)
        _make_data(target, partitions)
        with RawDisk(source.path) as origin, RawDisk(target.path, write=True) as disk:
            _copy(origin, disk, partitions, tell)
            tell("Writing what starts the disk.", 1.0)
            _make_startable(disk, origin.read(0, SECTOR)[:BOOT_CODE], partitions, target.size)


def _wipe(disk: RawDisk, size: int) -> None:
    """Removes what could start the disk, first of all, and all traces of older partition tables."""
    disk.zero(0, SECTOR)
    disk.flush()
    disk.zero(0, ALIGNMENT)
    disk.zero(size - ALIGNMENT, ALIGNMENT)
    disk.flush()
    with suppress(OSError):  # then they stay listed until the next start, which changes nothing here
        disk.forget_partitions()


def _make_data(target: Disk, partitions: Sequence[Partition]) -> None:
    """Makes the new data file system, where the partition will be."""
    data = next(partition for partition in partitions if partition.name == DATA)
    options = f"offset={data.start},root_owner=0:0,nodiscard"
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", DATA, "-m", "1", "-i", "65536", "-E", options]
    _answer_of([*command, target.path, f"{data.size >> 10}k"], _FORMAT_TIMEOUT_S)


def _copy(
    origin: RawDisk,
    disk: RawDisk,
    partitions: Sequence[Partition],
    tell: Callable[[str, float | None], None],
) -> None:
    """Copies everything but data and boot state, and reads it back. Raises Unavailable if it differs."""
    sizes = {part: _size_to_copy(origin, part) for part in partitions if part.name not in (DATA, BOOT_STATE)}
    total = 2 * sum(sizes.values())
    done = 0
    text = ""

    def count(step: int) -> None:
        nonlocal done
        done += step
        tell(text, done / total)

    sums = {}
    for part, size in sizes.items():
        text = f"Copying {part.name}."
        if size < part.size:
            disk.zero(part.start + size, min(ALIGNMENT, part.size - size))
        sums[part] = disk.copy_from(origin, part.start, size, count)
    state = next(part for part in partitions if part.name == BOOT_STATE)
    _write_boot_state(disk, state)
    disk.flush()
    for part, size in sizes.items():
        text = f"Checking {part.name}."
        if disk.crc(part.start, size, count) != sums[part]:
            raise Unavailable(
                f"The disk does not hold what was written to it ({part.name}).",
                remedy="It is defective. Use another one.",
            )


def _size_to_copy(origin: RawDisk, partition: Partition) -> int:
    """All of a partition; of a slot only the system in it."""
    if partition.name not in SYSTEMS:
        return partition.size
    used = system_size(origin.read(partition.start, UNIT))
    return min(-(-used // UNIT) * UNIT, partition.size)


def _write_boot_state(disk: RawDisk, partition: Partition) -> None:
    """Gives the new disk the running one's state, without a reset that may be due here."""
    copy = boot_state.encode(replace(boot_state.read(), request="", starts=0), 0)
    disk.zero(partition.start, partition.size)
    for offset in boot_state.COPY_OFFSETS:
        disk.write(partition.start + offset, copy.ljust(UNIT, b"\0"))


def _make_startable(disk: RawDisk, code: bytes, partitions: Sequence[Partition], size: int) -> None:
    """Writes the partition table, its copy first, and the first sector, which makes all of it count, last."""
    with tempfile.NamedTemporaryFile(prefix="allegro-table-") as file:
        file.truncate(size)
        _answer_of(["sfdisk", "--quiet", file.name], text=table_script(partitions))
        copy_start = size - (TABLE_SECTORS - 1) * SECTOR
        file.seek(copy_start)
        copy = file.read()
        file.seek(0)
        front = bytearray(file.read(-(-TABLE_SECTORS * SECTOR // UNIT) * UNIT))
    front[:BOOT_CODE] = code
    disk.write(copy_start, copy)
    disk.flush()
    disk.write(SECTOR, bytes(front[SECTOR:]))
    disk.flush()
    disk.write(0, bytes(front[:SECTOR]))
    disk.flush()


def _answer_of(command: Sequence[str], timeout_s: float = _TABLE_TIMEOUT_S, text: str = "") -> str:
    """What a program says. Raises Unavailable with its last words if it fails."""
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{command[0]} could not be run ({error}).") from error
    if done.returncode:
        words = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise Unavailable(f"{command[0]} failed: {words}.")
    return done.stdout
