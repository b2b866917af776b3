"""What a disk becomes when it is formatted: one partition with one file system. No I/O.

The programs are sfdisk(8), mke2fs(8), tune2fs(8) and those of exfatprogs.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from allegro.errors import InvalidInput

Kind = Literal["exfat", "ext4"]

TITLES: Final[dict[Kind, str]] = {"exfat": "exFAT", "ext4": "ext4"}

LONGEST_LABEL: Final[dict[Kind, int]] = {"exfat": 11, "ext4": 16}
"""Letters: exFAT file system specification, 7.3; ext4(5), s_volume_name."""

START: Final = 1 << 20
"""Where the partition begins, in bytes: at the erase block of whatever medium it is."""

SMALLEST: Final = 64 << 20
"""Bytes; below there is no room for captures beside the reserve."""

_MBR_ENDS: Final = 2 << 40
"""Bytes that a partition table of 1983 with sectors of 512 bytes can describe."""

_MBR_TYPES: Final[dict[Kind, str]] = {"exfat": "7", "ext4": "83"}
_GPT_TYPES: Final[dict[Kind, str]] = {
    "exfat": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",  # "basic data", as Windows makes it
    "ext4": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",  # "Linux filesystem"
}
_LABEL: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*")


@dataclass(frozen=True)
class Wish:
    """What a disk is to become."""

    kind: Kind
    label: str

    @property
    def words(self) -> str:
        """For people."""
        return f"{TITLES[self.kind]}, named {self.label}"


def checked_label(label: str, kind: Kind) -> str:
    """The name without blanks around it. Raises InvalidInput."""
    label = label.strip()
    if not _LABEL.fullmatch(label):
        raise InvalidInput(
            f"“{label}” cannot be the name of a disk." if label else "The disk needs a name.",
            place="label",
            remedy="It has letters (A to Z), digits, and _ . - or blanks after the first one.",
        )
    if len(label) > LONGEST_LABEL[kind]:
        raise InvalidInput(
            f"The name {label} is too long: {TITLES[kind]} has room for {LONGEST_LABEL[kind]} letters.",
            place="label",
        )
    return label


def table_script(size: int, kind: Kind, sector: int = 512) -> str:
    """What sfdisk(8) is told about a disk of `size` bytes.

    The old kind of table as far as it goes, because everything that has a slot for sticks reads it.
    """
    old = size <= _MBR_ENDS
    label, types = ("dos", _MBR_TYPES) if old else ("gpt", _GPT_TYPES)
    return f"label: {label}\nstart={START // sector}, type={types[kind]}\n"


def make_command(wish: Wish, partition: str) -> list[str]:
    """What makes the file system."""
    if wish.kind == "exfat":
        return ["mkfs.exfat", "-L", wish.label, partition]
    options = "nodiscard,root_owner=0:0"
    return ["mke2fs", "-q", "-F", "-t", "ext4", "-L", wish.label, "-m", "0", "-E", options, partition]


def check_command(kind: Kind, partition: str) -> list[str]:
    """What looks whether the file system is sound, and changes nothing."""
    return ["fsck.exfat", "-n", partition] if kind == "exfat" else ["e2fsck", "-f", "-n", partition]


def label_command(kind: Kind, label: str, partition: str) -> list[str]:
    """What gives an existing file system another name."""
    if kind == "exfat":
        return ["tune.exfat", "-L", label, partition]
    return ["tune2fs", "-L", label, partition]


def markers(size: int) -> list[int]:
    """Where to look whether a disk is as large as it says, in bytes: one that pretends keeps what is written
    behind its end nowhere, or, leaving out the highest bits of the address, at its beginning.
    """
    places = [START]
    while places[-1] * 2 < size - START:
        places.append(places[-1] * 2)
    return [0, *places, (size - START) // START * START]
