"""The parts in which a file goes to S3-compatible storage. No server is asked."""

import hashlib
from dataclasses import dataclass

from allegro.export.errand import Errand
from allegro.export.http_files import CHUNK

MIB = 1 << 20
PART = 16 * MIB
"""Bytes. What breaks off is sent again from the beginning of a part."""

MOST_PARTS = 10_000
"""S3 User Guide, "Amazon S3 multipart upload limits"; a part but the last has 5 MiB at least."""


@dataclass(frozen=True)
class Part:
    """`number` from 1 on; `start` and `length` in bytes of the file."""

    number: int
    start: int
    length: int


@dataclass(frozen=True)
class Digests:
    """Hexadecimal. A part's ETag is its MD5, unless the server encrypts with keys of its own."""

    sha256: str
    md5: str


def parts_of(size: int) -> list[Part]:
    """The same for a size at each time. One alone: the file goes as a whole."""
    length = max(PART, -(-size // MOST_PARTS // MIB) * MIB)
    count = max(1, -(-size // length))
    return [Part(index + 1, index * length, min(length, size - index * length)) for index in range(count)]


def digests(errand: Errand, start: int, length: int) -> Digests:
    """Of a stretch of the file, read once. Raises FileTrouble."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    errand.source.seek(start)
    left = length
    while left and (piece := errand.read(min(CHUNK, left))):
        sha256.update(piece)
        md5.update(piece)
        left -= len(piece)
    return Digests(sha256.hexdigest(), md5.hexdigest())


def tag_of(errand: Errand) -> str:
    """The ETag of a file of these parts: its MD5, or the MD5 of that of all parts, with their number.

    That is no promise of Amazon's, but what servers do that do not encrypt.
    """
    parts = [bytes.fromhex(digests(errand, part.start, part.length).md5) for part in parts_of(errand.size)]
    if len(parts) == 1:
        return parts[0].hex()
    return f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"
