"""Block maps: which parts of a disk image hold something, and their checksums. Written by `bmaptool create`.

Format: version 2.0 of https://github.com/yoctoproject/bmaptool (README.md, and the comments in each file).
"""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from itertools import pairwise

MAJOR_VERSION = "2"


class BlockMapError(Exception):
    """The block map cannot be used; the message says why."""


@dataclass(frozen=True)
class Range:
    """Bytes from `start` up to, not including, `end`; `sha256` in hex."""

    start: int
    end: int
    sha256: str


@dataclass(frozen=True)
class BlockMap:
    """A disk image of `size` bytes, of which the ranges hold something."""

    size: int
    ranges: tuple[Range, ...]

    @property
    def mapped(self) -> int:
        """Bytes in all ranges."""
        return sum(each.end - each.start for each in self.ranges)


def parse_block_map(data: bytes) -> BlockMap:
    """Read a block map. Raises BlockMapError also if the map itself was changed or cut off."""
    try:
        if b"<!ENTITY" in data or b"<!DOCTYPE" in data:
            raise BlockMapError("The block map holds declarations that do not belong there.")
        root = ElementTree.fromstring(data)  # noqa: S314 (no entities: refused above)
        version = root.attrib["version"]
        if root.tag != "bmap" or version.partition(".")[0] != MAJOR_VERSION:
            raise BlockMapError(f"The block map has version {version}; {MAJOR_VERSION}.x is understood.")
        check_own_sum(data, _text(root, "BmapFileChecksum"))
        if _text(root, "ChecksumType") != "sha256":
            raise BlockMapError("The block map uses another checksum than SHA-256.")
        size = int(_text(root, "ImageSize"))
        block = int(_text(root, "BlockSize"))
        entries = root.find("BlockMap")
        if entries is None or size <= 0 or block <= 0:
            raise BlockMapError("The block map is not complete.")
        ranges = tuple(
            _range(entry.text or "", entry.attrib["chksum"], block, size)
            for entry in entries.findall("Range")
        )
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise BlockMapError(f"The block map cannot be read ({error}).") from error
    if any(after.start < before.end for before, after in pairwise(ranges)):
        raise BlockMapError("The ranges of the block map overlap.")
    return BlockMap(size, ranges)


def check_own_sum(data: bytes, stated: str) -> None:
    """Check the map's own checksum: SHA-256 of the file with the sum as zeros. Raises BlockMapError."""
    if not re.fullmatch("[0-9a-f]{64}", stated):
        raise BlockMapError("The block map has no checksum of itself.")
    if hashlib.sha256(data.replace(stated.encode(), b"0" * 64, 1)).hexdigest() != stated:
        raise BlockMapError("The block map is damaged: its own checksum does not fit.")


def _text(root: ElementTree.Element, name: str) -> str:
    text = root.findtext(name)
    if text is None:
        raise BlockMapError(f"The block map has no {name}.")
    return text.strip()


def _range(text: str, checksum: str, block: int, size: int) -> Range:
    first, _, last = text.strip().partition("-")
    start, end = int(first) * block, min((int(last or first) + 1) * block, size)
    if not 0 <= start < end:
        raise BlockMapError(f"The block map names blocks outside of the image: {text.strip()}.")
    return Range(start, end, checksum)
