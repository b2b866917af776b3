"""Reads and writes disks past the page cache: what is read back comes from the disk itself."""

import fcntl
import mmap
import os
import zlib
from collections.abc import Callable
from types import TracebackType
from typing import Self

UNIT = 512
"""All places and sizes are multiples of this, the smallest sector of any disk."""

PIECE = 4 << 20
_BLKRRPART = 0x125F  # linux/fs.h


class RawDisk:
    """A block device, or a file in tests. `write` opens it exclusively: it fails if the disk is in use.

    All methods raise OSError.
    """

    def __init__(self, path: str, *, write: bool = False) -> None:
        flags = os.O_RDWR | os.O_EXCL if write else os.O_RDONLY
        self._descriptor = os.open(path, flags | os.O_DIRECT | os.O_CLOEXEC)
        self._memory = mmap.mmap(-1, PIECE)  # aligned, as O_DIRECT wants it
        self._view = memoryview(self._memory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._view.release()
        self._memory.close()
        os.close(self._descriptor)

    def read(self, start: int, size: int) -> bytes:
        """`size` bytes, at most PIECE, from a whole unit on."""
        self._read(start, -(-size // UNIT) * UNIT)
        return bytes(self._view[:size])

    def write(self, start: int, data: bytes) -> None:
        """Writes a whole number of units, at most PIECE bytes."""
        self._view[: len(data)] = data
        self._write(start, len(data))

    def zero(self, start: int, size: int) -> None:
        """Writes zeros."""
        end = start + size
        while start < end:
            step = min(PIECE, end - start)
            self._view[:step] = bytes(step)
            self._write(start, step)
            start += step

    def copy_from(self, source: "RawDisk", start: int, size: int, count: Callable[[int], None]) -> int:
        """Copies to the same place; `count` is told the bytes of each step. Returns their CRC-32."""
        check, end = 0, start + size
        while start < end:
            step = min(PIECE, end - start)
            source._read(start, step)
            check = zlib.crc32(source._view[:step], check)
            self._view[:step] = source._view[:step]
            self._write(start, step)
            start += step
            count(step)
        return check

    def crc(self, start: int, size: int, count: Callable[[int], None]) -> int:
        """CRC-32 of what is there now."""
        check, end = 0, start + size
        while start < end:
            step = min(PIECE, end - start)
            self._read(start, step)
            check = zlib.crc32(self._view[:step], check)
            start += step
            count(step)
        return check

    def flush(self) -> None:
        """Waits until the disk has put everything where it survives a power cut."""
        os.fsync(self._descriptor)

    def forget_partitions(self) -> None:
        """Lets the kernel read the partition table anew."""
        fcntl.ioctl(self._descriptor, _BLKRRPART)

    def _read(self, start: int, size: int) -> None:
        got = os.preadv(self._descriptor, [self._view[:size]], start)
        if got != size:
            raise OSError(f"only {got} of {size} bytes could be read at {start}")

    def _write(self, start: int, size: int) -> None:
        put = os.pwritev(self._descriptor, [self._view[:size]], start)
        if put != size:
            raise OSError(f"only {put} of {size} bytes could be written at {start}")
