"""Disk images in the forms in which they are given away."""

from __future__ import annotations

import zlib
from pathlib import Path

from board.allegro.image.layout import Layout, Partition
from board.allegro.image.workshop import Workshop
from board.allegro.release.vmdk import set_content_id

PIECE = 1 << 20

DATA_SIZE = 256 << 20
"""Data partition of the image for disks and sticks, bytes: small, so that it is written whole, with its zeros
(what an older file system left there must not come back after a power cut). It grows at the first start."""

VIRTUAL_DISK = 20 << 30
"""Disk of a virtual machine, bytes. What is empty takes no space."""


def ranges_to_write(layout: Layout, slot_size: int) -> list[tuple[int, int]]:
    """Return the bytes (from, to) that matter on a disk, whatever was on it before, in order.

    That is all but the free space in the slots: zeros count as well. Of an empty slot the beginning counts.
    """
    ranges = [(0, layout.partitions[0].start)]

    def part(partition: Partition, size: int) -> None:
        ranges.append((partition.start, partition.start + min(-(-size // PIECE) * PIECE, partition.size)))

    for partition in layout.partitions:
        if partition.name in ("factory", "slot-a"):
            part(partition, slot_size)
        elif partition.name == "slot-b":
            part(partition, PIECE)
        else:
            part(partition, partition.size)
    last = layout.partitions[-1]
    ranges.append((last.start + last.size, layout.size))
    joined = [ranges[0]]
    for start, end in ranges[1:]:
        if start == joined[-1][1]:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def write_ranges(image: Path, ranges: list[tuple[int, int]], target: Path) -> None:
    """Copy the image so that these bytes are written, also zeros, and everything else is a hole."""
    with image.open("rb") as source, target.open("wb") as out:
        out.truncate(image.stat().st_size)
        for start, end in ranges:
            source.seek(start)
            out.seek(start)
            while start < end:
                piece = source.read(min(PIECE, end - start))
                out.write(piece)
                start += len(piece)


def block_map(shop: Workshop, tools: Path, image: Path, target: Path) -> None:
    """Write the block map of an image."""
    command = ["bmaptool", "--quiet", "create", "--output", shop.inside(target), shop.inside(image)]
    shop.run_inside(tools, command, log="block-map")


def pack(shop: Workshop, tools: Path, file: Path, target: Path) -> None:
    """Compress a file. The number of threads does not change the result."""
    command = ["zstd", "-q", "-10", "-T2", "-o", shop.inside(target), shop.inside(file)]
    shop.run_inside(tools, command, log="zstd")


def virtual_disk(shop: Workshop, tools: Path, image: Path, form: str, version: str, target: Path) -> None:
    """Convert the image to a disk of VIRTUAL_DISK bytes; `form` is "qcow2" or "vmdk"."""
    options = {"qcow2": ["-c"], "vmdk": ["-o", "subformat=streamOptimized,adapter_type=lsilogic"]}[form]
    larger = target.with_name("larger.raw")
    script = (
        'cp --sparse=always "$1" "$2"; truncate -s "$3" "$2"; from=$2; to=$4; shift 4; '
        'qemu-img convert -f raw "$@" "$from" "$to"; rm "$from"'
    )
    arguments = [shop.inside(image), shop.inside(larger), str(VIRTUAL_DISK), shop.inside(target)]
    arguments += ["-O", form, *options]
    shop.run_inside(tools, ["sh", "-euc", script, "sh", *arguments], log=form)
    if form == "vmdk":
        set_content_id(target, zlib.crc32(version.encode()))
