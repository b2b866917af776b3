"""The file systems on the other disks of a machine, and what speaks against captures going to one. No I/O."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from allegro.storage.disks import Disk, parse_lsblk

USABLE: Final = ("ext4", "exfat")
"""As blkid(8) calls them."""

_SYSTEM_PARTITIONS: Final = frozenset({"boot-state", "slot-a", "slot-b"})
"""Names of partitions that only an Allegro has (board/allegro/layout.toml)."""

_FAT: Final = "vfat"

_RESERVES_SPACE: Final = "ext4"
"""exFAT of Linux has no fallocate(2) that keeps what is reserved."""

_NO_USES: Final[Mapping[str, str]] = {}


@dataclass(frozen=True)
class Volume:
    """A file system, or a disk that has none. `kind` as blkid(8) calls it, `size` in bytes; empty: not known.

    `mounted_at` are the places where it is in use, `partition_names` the names of all partitions of its disk.
    """

    path: str
    uuid: str
    kind: str
    label: str
    size: int
    disk: Disk
    mounted_at: tuple[str, ...] = ()
    partition_names: tuple[str, ...] = ()


def parse_volumes(text: str, running: str) -> list[Volume]:
    """What is on all disks but the one with the name `running`, which the system runs from.

    `text` is the JSON answer of lsblk(8), called as `disks.read_lsblk` does. Raises ValueError, KeyError.
    """
    disks = {disk.name: disk for disk in parse_lsblk(text)}
    found: list[Volume] = []
    for top in json.loads(text)["blockdevices"]:
        disk = disks.get(top["name"])
        if disk is None or disk.name == running or disk.runs_system:
            continue
        parts = [child for child in top.get("children", ()) if child["type"] == "part"]
        names = tuple(part["partlabel"] or "" for part in parts)
        found += (_volume(device, disk, names) for device in parts or [top])
    return sorted(found, key=lambda volume: volume.path)


def _volume(device: Mapping[str, Any], disk: Disk, names: tuple[str, ...]) -> Volume:
    return Volume(
        path=device["path"],
        uuid=device["uuid"] or "",
        kind=device["fstype"] or "",
        label=device["label"] or "",
        size=int(device["size"]),
        disk=disk,
        mounted_at=tuple(_mounts(device)),
        partition_names=names,
    )


def _mounts(device: Mapping[str, Any]) -> Iterator[str]:
    yield from (mount for mount in device["mountpoints"] if mount)
    for child in device.get("children", ()):
        yield from _mounts(child)


def objection(
    volume: Volume, others: Collection[Volume], own_place: str, uses: Mapping[str, str] = _NO_USES
) -> str:
    """Why captures cannot go to it, in plain words; empty if they can.

    `others` are all volumes, `own_place` is where the device mounts the one that it uses; `uses` says what is
    mounted at other places of its own.
    """
    if _SYSTEM_PARTITIONS & set(volume.partition_names):
        return "It holds an Allegro system."
    if not volume.kind:
        return "There is no file system on it that is known here: format it."
    if volume.kind == _FAT:
        return "FAT has no room for files of 4 GiB: format it."
    if volume.kind not in USABLE:
        return f"What is on it ({volume.kind}) is left alone: captures go to exFAT and ext4."
    if not volume.uuid:
        return "Its file system has no id by which it could be found again."
    if sum(other.uuid == volume.uuid for other in others) > 1:
        return f"Another disk has the same id ({volume.uuid}): unplug one of them."
    if volume.disk.read_only:
        return "It is write-protected."
    if elsewhere := [place for place in volume.mounted_at if place != own_place]:
        return uses.get(elsewhere[0]) or f"It is used by the system ({elsewhere[0]})."
    return ""


def ring_objection(
    volume: Volume, others: Collection[Volume], own_place: str, uses: Mapping[str, str] = _NO_USES
) -> str:
    """The same for the packet ring."""
    if against := objection(volume, others, own_place, uses):
        return against.replace("captures go to exFAT and ext4", "the packet ring buffer goes to ext4")
    if volume.kind != _RESERVES_SPACE:
        return "exFAT cannot reserve the space that the packet ring buffer needs: format it with ext4."
    return ""
