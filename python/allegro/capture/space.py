"""How much of its disk a packet ring may take."""

import os
from pathlib import Path

_RESERVED_SHARE = 20
_LARGEST_RESERVE = 256 << 20


def available(directory: Path) -> int:
    """Bytes that the ring in `directory` may still take beside what is there. Raises OSError."""
    disk = os.statvfs(directory)
    return max(disk.f_bavail * disk.f_frsize - _reserve(disk), 0)


def disk_size(directory: Path) -> int:
    """Bytes of the file system of `directory`. Raises OSError."""
    disk = os.statvfs(directory)
    return disk.f_blocks * disk.f_frsize


def largest_ring(directory: Path) -> int:
    """Bytes of the largest ring that could lie in `directory` if nothing else were there. Raises OSError."""
    disk = os.statvfs(directory)
    return disk.f_blocks * disk.f_frsize - _reserve(disk)


def _reserve(disk: os.statvfs_result) -> int:
    """A twentieth of the disk, at most 256 MiB, is left to others."""
    return min(disk.f_blocks * disk.f_frsize // _RESERVED_SHARE, _LARGEST_RESERVE)
