"""The partition table of the running disk, and the one of a disk it is to be installed on. No I/O."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from allegro.errors import Unavailable

SECTOR = 512
ALIGNMENT = 1 << 20
MIN_DATA = 256 << 20
"""A data partition smaller than this is of no use: settings and a few captures."""

DATA = "data"
BOOT_STATE = "boot-state"
SYSTEMS = ("factory", "slot-a", "slot-b")
"""Partitions that hold a squashfs, or nothing yet."""

TABLE_SECTORS = 34
"""What a GUID partition table takes at a disk's start: MBR, header, 128 entries (UEFI specification, 5.3).
Its copy at the end takes one sector less."""

BOOT_CODE = 440
"""Bytes of the first sector that belong to the BIOS's boot code, not to the table."""

_SQUASHFS_MAGIC = b"hsqs"
_SQUASHFS_BYTES_USED = 40  # fs/squashfs/squashfs_fs.h, struct squashfs_super_block


@dataclass(frozen=True)
class Partition:
    """`start` and `size` in bytes; `type` is its GUID."""

    name: str
    type: str
    start: int
    size: int


def parse_table(text: str) -> tuple[Partition, ...]:
    """The partitions in the JSON answer of `sfdisk --json` (sfdisk(8)), in their order.

    Raises Unavailable for a table that is not that of this firmware.
    """
    try:
        table = json.loads(text)["partitiontable"]
        sector = int(table.get("sectorsize", SECTOR))
        partitions = tuple(
            Partition(
                str(entry.get("name", "")),
                str(entry["type"]),
                int(entry["start"]) * sector,
                int(entry["size"]) * sector,
            )
            for entry in table.get("partitions", ())
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable("The partition table of the running disk cannot be understood.") from error
    names = [partition.name for partition in partitions]
    wanted = {DATA, BOOT_STATE, *SYSTEMS}
    if table.get("label") != "gpt" or not wanted <= set(names) or len(names) != len(set(names)):
        raise Unavailable("The disk that this device runs from has not the partitions of an installation.")
    if max(partitions, key=lambda partition: partition.start).name != DATA:
        raise Unavailable("The data partition of the running disk is not the last one.")
    return partitions


def needed_size(partitions: Sequence[Partition]) -> int:
    """Bytes that a disk must have to take these partitions, with the smallest data partition of use."""
    start = next(partition.start for partition in partitions if partition.name == DATA)
    return start + MIN_DATA + ALIGNMENT


def plan(partitions: Sequence[Partition], disk_size: int) -> tuple[Partition, ...]:
    """The same partitions at the same places, the data partition grown to the end of the disk.

    The places must be the same: the BIOS's boot code knows where it goes on by sector number.
    """
    end = (disk_size - ALIGNMENT) // ALIGNMENT * ALIGNMENT  # the last unit holds the table's copy
    return tuple(
        replace(partition, size=end - partition.start) if partition.name == DATA else partition
        for partition in partitions
    )


def table_script(partitions: Sequence[Partition]) -> str:
    """The table as a script for sfdisk(8), with new random ids: two disks must never have the same."""
    lines = ["label: gpt", "unit: sectors", f"first-lba: {TABLE_SECTORS}"]
    lines += [
        f"start={partition.start // SECTOR}, size={partition.size // SECTOR}, type={partition.type}, "
        f'name="{partition.name}"'
        for partition in partitions
    ]
    return "\n".join(lines) + "\n"


def system_size(head: bytes) -> int:
    """Bytes of the system in a slot, whose first bytes are `head` (at least 48); 0 for an empty slot."""
    if head[: len(_SQUASHFS_MAGIC)] != _SQUASHFS_MAGIC:
        return 0
    used: int = struct.unpack_from("<Q", head, _SQUASHFS_BYTES_USED)[0]
    return used
