"""Factory reset: the version as shipped goes into slot A again, slot B and the data partition become empty.

Runs from the factory slot, before the data partition is used. It begins anew after a cut: the boot state asks
for it until the very end, and slot A is not started meanwhile.
"""

import errno
import os
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from allegro.errors import Unavailable
from allegro.firmware import boot_state
from allegro.firmware.boot_state import BootState

CHUNK: Final = 4 << 20
ERASED: Final = 1 << 20
"""So many bytes at the beginning of a slot are overwritten to make it empty: the file system's superblock."""

# Squashfs 4.0 (Linux fs/squashfs/squashfs_fs.h): s_magic at byte 0, bytes_used at byte 40.
_MAGIC = b"hsqs"
_BYTES_USED = struct.Struct("<40xQ")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Disk:
    """The partitions of the device."""

    boot_state: Path = boot_state.DEVICE
    factory: Path = Path("/dev/disk/by-partlabel/factory")
    slot_a: Path = Path("/dev/disk/by-partlabel/slot-a")
    slot_b: Path = Path("/dev/disk/by-partlabel/slot-b")
    data: Path = Path("/dev/disk/by-partlabel/data")


def factory_reset(disk: Disk, tell: Tell, make_file_system: Callable[[Path], None]) -> None:
    """Does everything; the boot state that ends it is written last. `tell` gets lines for people.

    Raises Unavailable in plain words. Then slot A may be empty; the factory slot and slot B start.
    """
    size = image_size(disk.factory)
    state = replace(boot_state.read(disk.boot_state), request="factory-reset")
    boot_state.write(disk.boot_state, boot_state.refused(state, "slot-a"))
    tell("Factory reset 1/3: putting the version as shipped in place")
    copy(disk.factory, disk.slot_a, size, tell)
    erase(disk.slot_b)
    tell("Factory reset 2/3: removing all settings, captures and recorded packets")
    make_file_system(disk.data)
    boot_state.write(disk.boot_state, BootState())
    tell("Factory reset 3/3: done; the device starts again")


def image_size(slot: Path) -> int:
    """Bytes of the squashfs in a slot. Raises Unavailable if there is none."""
    try:
        with slot.open("rb", buffering=0) as file:
            head = file.read(_BYTES_USED.size)
    except OSError as error:
        raise Unavailable(f"The factory version cannot be read: {error.strerror}.") from error
    if len(head) < _BYTES_USED.size or not head.startswith(_MAGIC):
        raise Unavailable("There is no factory version on this disk.", remedy="Write the image anew.")
    (size,) = _BYTES_USED.unpack(head)
    return int(size)


def copy(source: Path, target: Path, size: int, tell: Tell) -> None:
    """Copies the first `size` bytes and reads them back from the disk. Raises Unavailable."""
    try:
        with source.open("rb", buffering=0) as read, target.open("r+b", buffering=0) as written:
            for at in range(0, size, CHUNK):
                data = _read(read.fileno(), min(CHUNK, size - at), at)
                _write(written.fileno(), data, at)
                _tell_progress(tell, at, len(data), size)
            os.fsync(written.fileno())
            os.posix_fadvise(written.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            for at in range(0, size, CHUNK):
                length = min(CHUNK, size - at)
                if _read(read.fileno(), length, at) != _read(written.fileno(), length, at):
                    raise Unavailable(
                        "The disk does not give back what was written to it.", remedy="Replace the disk."
                    )
    except OSError as error:
        raise Unavailable(
            f"The factory version could not be copied: {error.strerror}.", remedy="Replace the disk."
        ) from error


def erase(slot: Path) -> None:
    """Makes a slot empty. Raises Unavailable."""
    try:
        with slot.open("r+b", buffering=0) as file:
            _write(file.fileno(), bytes(ERASED), 0)
            os.fsync(file.fileno())
    except OSError as error:
        raise Unavailable(f"The second slot could not be emptied: {error.strerror}.") from error


def make_data_file_system(partition: Path) -> None:
    """An empty file system on the data partition, as in the image (board/allegro/image/disk.py)."""
    command = ["mkfs.ext4", "-q", "-F", "-L", "data", "-m", "1", "-i", "65536", str(partition)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(
            f"The data partition could not be made anew: {' '.join(done.stderr.split())}",
            remedy="Replace the disk.",
        )


def _read(descriptor: int, length: int, at: int) -> bytes:
    data = os.pread(descriptor, length, at)
    while len(data) < length:
        more = os.pread(descriptor, length - len(data), at + len(data))
        if not more:
            raise OSError(errno.EIO, "it ends too early")
        data += more
    return data


def _write(descriptor: int, data: bytes, at: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done:], at + done)


def _tell_progress(tell: Tell, before: int, length: int, size: int) -> None:
    """Once for each tenth."""
    tenth = (before + length) * 10 // size
    if tenth > before * 10 // size:
        tell(f"  {tenth * 10} %")
