"""The disks of a machine, and what speaks against overwriting one. Standard library only (scripts/flash)."""

import errno
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allegro.errors import Unavailable

_COLUMNS = (
    "NAME,PATH,TYPE,SIZE,MODEL,SERIAL,TRAN,RM,HOTPLUG,RO,LOG-SEC,FSTYPE,LABEL,PARTLABEL,MOUNTPOINTS,UUID"
)
_TIMEOUT_S = 30
_OVERWRITABLE = ("disk", "loop")  # as lsblk(8) calls them
_NO_DISKS = ("zram", "ram", "sr", "fd")
_SYSTEM_MOUNTS = ("/", "/boot", "/boot/efi", "/usr", "/var")
_MEMBERS = {"LVM2_member": "LVM", "linux_raid_member": "RAID", "zfs_member": "ZFS", "crypto_LUKS": "LUKS"}
_BLOCK = Path("/sys/class/block")
_BY_NUMBER = Path("/sys/dev/block")
_LAYERS = {"lvm": "LVM", "crypt": "encryption", "mpath": "multipath", "dm": "the device mapper"}


@dataclass(frozen=True)
class Disk:
    """A whole disk. `size` and `sector_size` in bytes; texts are empty if they are not known.

    `holds` says in plain words what lies on it, `uses` what it is used for at the moment.
    """

    name: str
    path: str
    size: int
    model: str = ""
    serial: str = ""
    transport: str = ""
    removable: bool = False
    read_only: bool = False
    sector_size: int = 512
    kind: str = "disk"
    partitions: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    runs_system: bool = False

    @property
    def title(self) -> str:
        """Name with what a person recognises the disk by."""
        words = (self.model, size_text(self.size), self.serial and f"serial {self.serial}", self.transport)
        return f"{self.path} ({', '.join(word for word in words if word)})"


def parse_lsblk(text: str) -> tuple[Disk, ...]:
    """The disks in the JSON answer of lsblk(8), called as `read_disks` does. Raises ValueError, KeyError."""
    tops = json.loads(text)["blockdevices"]
    return tuple(
        _disk(top)
        for top in tops
        if top["type"] in _OVERWRITABLE and int(top["size"]) and not top["name"].startswith(_NO_DISKS)
    )


def _disk(top: Mapping[str, Any]) -> Disk:
    parts = [child for child in top.get("children", ()) if child["type"] == "part"]
    transport = top["tran"] or ""
    mounts = [mount for device in _family(top) for mount in _mounts(device)]
    return Disk(
        name=top["name"],
        path=top["path"],
        size=int(top["size"]),
        model=(top["model"] or "").strip(),
        serial=(top["serial"] or "").strip(),
        transport=transport,
        removable=bool(top["rm"]) or bool(top["hotplug"]) or transport == "usb",
        read_only=bool(top["ro"]),
        sector_size=int(top["log-sec"]),
        kind=top["type"],
        partitions=tuple(part["path"] for part in parts),
        holds=tuple(dict.fromkeys(word for device in (top, *parts) if (word := _content(device)))),
        uses=tuple(dict.fromkeys(use for device in _family(top) for use in _uses(device))),
        runs_system=any(mount in _SYSTEM_MOUNTS for mount in mounts),
    )


def _family(top: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield top
    for child in top.get("children", ()):
        yield from _family(child)


def _mounts(device: Mapping[str, Any]) -> list[str]:
    return [mount for mount in device["mountpoints"] if mount]


def _uses(device: Mapping[str, Any]) -> Iterator[str]:
    for mount in _mounts(device):
        yield "used as swap space" if mount == "[SWAP]" else f"{device['path']} is mounted at {mount}"
    kind = device["type"]
    if kind in _LAYERS:
        yield f"part of {device['path']} ({_LAYERS[kind]})"
    elif kind.startswith(("raid", "md", "linear")):
        yield f"part of the RAID {device['path']}"


def _content(device: Mapping[str, Any]) -> str:
    name = device["partlabel"] or device["label"] or ""
    kind = _MEMBERS.get(device["fstype"] or "", device["fstype"] or "")
    return f"{name} ({kind})" if name and kind else name or kind


def read_lsblk(lsblk: Sequence[str] = ("lsblk",)) -> str:
    """What lsblk(8) says. Raises OSError or SubprocessError."""
    command = [*lsblk, "--json", "--bytes", "--output", _COLUMNS]
    return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True).stdout


def read_disks(lsblk: Sequence[str] = ("lsblk",)) -> tuple[Disk, ...]:
    """The disks of this machine, by name. Raises Unavailable if they cannot be listed."""
    try:
        disks = parse_lsblk(read_lsblk(lsblk))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise Unavailable(f"The disks cannot be listed ({error}).") from error
    return tuple(sorted(disks, key=lambda disk: disk.name))


def is_claimed(paths: Iterable[str | Path]) -> bool:
    """Whether the kernel has given one of these block devices to somebody (mount, swap, RAID, device mapper).

    It is the kernel's own answer (open(2), O_EXCL), so it also knows mounts of other namespaces.
    Raises OSError if a device cannot be opened for another reason.
    """
    for path in paths:
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
        except OSError as error:
            if error.errno == errno.EBUSY:
                return True
            raise
    return False


def sequence(folder: Path) -> int:
    """The kernel's number of a disk (Documentation/ABI/stable/sysfs-block, diskseq) by its folder in /sys;
    0: it has none. No other disk has had it since the start, nor the same one before it was pulled.
    """
    try:
        return int((folder / "diskseq").read_text())
    except (OSError, ValueError):
        return 0


def sequence_by_name(name: str) -> int:
    """The number of the disk that has the name now, as `sda`."""
    return sequence(_BLOCK / name)


def sequence_of(descriptor: int) -> int:
    """The number of an open disk; while it is open, no other one gets its name."""
    number = os.fstat(descriptor).st_rdev
    return sequence(_BY_NUMBER / f"{os.major(number)}:{os.minor(number)}")


def objections(disk: Disk, needed: int, *, claimed: bool) -> list[str]:
    """Why this disk must not be overwritten with something of `needed` bytes; empty if it may.

    `claimed` is the answer of `is_claimed` for the disk and its partitions.
    """
    found = []
    if disk.runs_system:
        found.append("this system runs from it")
    found += disk.uses
    if claimed and not found:
        found.append("something uses it (the kernel does not give it away)")
    if disk.read_only:
        found.append("it is write-protected")
    if disk.size < needed:
        found.append(f"it is too small: {size_text(needed)} are needed, it has {size_text(disk.size)}")
    return found


def size_text(size: int) -> str:
    """`31.9 GB`, as it is printed on disks (powers of 1000)."""
    for factor, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
