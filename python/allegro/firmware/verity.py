"""Whether the payload of a firmware bundle is whole, before anything of it is written to a slot.

A verity bundle of RAUC is: payload, hash tree, signed manifest, length of the latter (8 bytes, big endian).
The manifest holds the hash of the tree's root. The kernel checks each block when the bundle is installed, but
then the slot is being overwritten already. Format of the tree: kernel documentation, device-mapper/verity,
version 1 (the salt comes before the data), SHA-256, blocks of 4096 bytes, the root's level first, each level
filled up with zeros to whole blocks.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from allegro.errors import InvalidInput

BLOCK = 4096
_DIGEST = hashlib.sha256().digest_size
_AT_ONCE = 256  # blocks
_LENGTH_FIELD = 8


@dataclass(frozen=True)
class Tree:
    """What the manifest says of the hash tree; `size` in bytes."""

    root: bytes
    salt: bytes
    size: int


def check_payload(bundle: Path, tree: Tree, progress: Callable[[float], None]) -> None:
    """Reads the whole payload; `progress` is called with 0 to 1.

    Raises InvalidInput with the place of the first damage if it is not what was signed, OSError.
    """
    with bundle.open("rb") as file:
        size = _payload_size(file, tree.size)
        stored = _stored(file, size, tree.size)
        wrong = _first_difference(file, size, tree, stored, progress)
    if wrong is not None:
        raise InvalidInput(
            f"The firmware file is damaged (at {wrong / 1e6:.1f} MB of {size / 1e6:.1f} MB).",
            remedy="Fetch it again.",
        )


def _payload_size(file: BinaryIO, tree_size: int) -> int:
    end = file.seek(0, 2)
    if end < _LENGTH_FIELD:
        raise InvalidInput("The firmware file is incomplete.", remedy="Fetch it again.")
    file.seek(end - _LENGTH_FIELD)
    signature = int.from_bytes(file.read(_LENGTH_FIELD), "big")
    size = end - _LENGTH_FIELD - signature - tree_size
    if size <= 0 or size % BLOCK or tree_size % BLOCK:
        raise InvalidInput("The firmware file is incomplete.", remedy="Fetch it again.")
    return size


def _stored(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _first_difference(
    file: BinaryIO, size: int, tree: Tree, stored: bytes, progress: Callable[[float], None]
) -> int | None:
    """Byte position of the first block that is not what was signed; None if all are."""
    # Levels are stored from the root down to the one that covers the data.
    counts = [-(-size // BLOCK)]
    while counts[-1] > 1:
        counts.append(-(-counts[-1] * _DIGEST // BLOCK))
    levels: list[bytes] = []
    at = 0
    for count in reversed(counts[1:]):
        levels.append(stored[at : at + count * BLOCK])
        at += count * BLOCK
    if at != tree.size or len(stored) != tree.size:
        return size
    known = tree.root
    for level in levels:
        if _digests(tree.salt, _blocks(level)) != known[: len(level) // BLOCK * _DIGEST]:
            return size
        known = level
    file.seek(0)
    done = 0
    while done < size:
        part = file.read(min(_AT_ONCE * BLOCK, size - done))
        if not part:
            return done
        first = done // BLOCK * _DIGEST
        found = _digests(tree.salt, _blocks(part))
        expected = known[first : first + len(found)]
        if found != expected:
            wrong = next(index for index, byte in enumerate(found) if byte != expected[index])
            return done + wrong // _DIGEST * BLOCK
        done += len(part)
        progress(done / size)
    return None


def _blocks(data: bytes) -> Iterable[memoryview]:
    view = memoryview(data)
    return (view[at : at + BLOCK] for at in range(0, len(data), BLOCK))


def _digests(salt: bytes, blocks: Iterable[memoryview]) -> bytes:
    start = hashlib.sha256(salt)
    found = bytearray()
    for block in blocks:
        digest = start.copy()
        digest.update(block)
        found += digest.digest()
    return bytes(found)
