"""The partitions of the disk, read from board/allegro/layout.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from board.allegro.image.workshop import BuildError

SECTOR = 512
NAMESPACE = UUID("9d6b2a4e-6f0b-5f6e-9c39-0c2a7f0f6a11")
"""Ids are derived from this, the version and a name, so that a build can be repeated."""

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True)
class Partition:
    """One partition; `start` and `size` in bytes, `number` from 1. `rauc` is RAUC's name of a slot."""

    number: int
    name: str
    type: str
    start: int
    size: int
    label: str
    rauc: str


@dataclass(frozen=True)
class Layout:
    """A disk of `size` bytes and its partitions."""

    size: int
    partitions: tuple[Partition, ...]

    def __getitem__(self, name: str) -> Partition:
        """Return the partition of this name; raises KeyError."""
        for partition in self.partitions:
            if partition.name == name:
                return partition
        raise KeyError(name)


def parse_size(text: str) -> int:
    """Return bytes for "512M", "4G" or a plain number; units are powers of 1024. Raises BuildError."""
    match = re.fullmatch(r"(\d+)([KMGT]?)", text.strip().upper())
    if not match:
        raise BuildError(f'"{text}" is no size.\nRemedy: write for example 3500M or 20G.')
    return int(match[1]) * UNITS[match[2]]


def read_layout(file: Path, data_size: int | None = None) -> Layout:
    """Read the layout; the disk is as large as the file says, or with `data_size` (bytes) as that needs."""
    text = tomllib.loads(file.read_text())
    alignment = parse_size(text["disk"]["alignment"])
    disk_size = parse_size(text["disk"]["size"])
    at = alignment  # the first unit holds the partition table, the last one its copy
    partitions = []
    for number, entry in enumerate(text["partition"], start=1):
        if entry["size"] == "rest":
            size = data_size if data_size is not None else disk_size - alignment - at
        else:
            size = parse_size(entry["size"])
        size = size // alignment * alignment
        if size < alignment:
            raise BuildError(
                f'The partition "{entry["name"]}" would have no space.\nRemedy: a larger disk or data size.'
            )
        label, rauc = entry.get("label", ""), entry.get("rauc", "")
        partitions.append(Partition(number, entry["name"], entry["type"], at, size, label, rauc))
        at += size
    return Layout(at + alignment, tuple(partitions))


def stable_id(version: str, name: str) -> UUID:
    """Return the id of the thing `name` in images of this version."""
    return uuid5(NAMESPACE, f"{version}/{name}")
