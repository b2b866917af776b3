"""VMDK disks: the random number that qemu-img puts in is replaced, so that a build can be repeated."""

from __future__ import annotations

import re
import struct
from pathlib import Path

SECTOR = 512
MAGIC = b"KDMV"
_CONTENT_ID = re.compile(rb"^CID=[0-9a-f]{1,8}$", re.MULTILINE)


def set_content_id(disk: Path, number: int) -> None:
    """Set the content id (32 bits) of a sparse or stream-optimised disk.

    Format: VMware "Virtual Disk Format 5.0": SparseExtentHeader holds place and size of the embedded
    descriptor in sectors, at the bytes 28 and 36. Raises ValueError for anything else.
    """
    with disk.open("r+b") as file:
        header = file.read(44)
        if header[:4] != MAGIC:
            raise ValueError(f"{disk.name} is not a VMDK disk")
        place, size = (value * SECTOR for value in struct.unpack_from("<QQ", header, 28))
        file.seek(place)
        room = file.read(size)
        # A random number of fewer digits leaves the end of a longer descriptor behind: one more line feed.
        descriptor = room.rstrip(b"\0\n") + b"\n"
        text, count = _CONTENT_ID.subn(b"CID=%08x" % number, descriptor, count=1)
        if count != 1 or len(text) > size:
            raise ValueError(f"{disk.name} has no descriptor with a content id")
        file.seek(place)
        file.write(text.ljust(size, b"\0"))
