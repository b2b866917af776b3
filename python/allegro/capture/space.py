"""How much of its disk a packet ring may take, and whether that takes files at all."""

import os
from pathlib import Path

_RESERVED_SHARE = 20
_LARGEST_RESERVE = 256 << 20
_SHARE_OF_MEMORY = 8
_LARGEST_IN_MEMORY = 512 << 20


def available(directory: Path) -> int:
    """Bytes that the ring in `directory` may still take beside what is there. Raises OSError."""
    disk = os.statvfs(directory)
    return max(disk.f_bavail * disk.f_frsize - _reserve(disk), 0)


def disk_size(directory: Path) -> int:
    """Bytes of the file system of `directory`. Raises OSError."""
    disk = os.statvfs(directory)
    return disk.f_blocks * disk.f_frsize


def files_left(directory: Path) -> int | None:
    """So many more files its file system can have; None if it counts none, as exFAT. Raises OSError."""
    disk = os.statvfs(directory)
    return disk.f_favail if disk.f_files else None


def largest_ring(directory: Path) -> int:
    """Bytes of the largest ring that could lie in `directory` if nothing else were there. Raises OSError."""
    disk = os.statvfs(directory)
    return disk.f_blocks * disk.f_frsize - _reserve(disk)


def ring_in_memory(directory: Path) -> int:
    """Bytes of a ring in the file system of `directory`, which is in memory; 0 if that does not answer.

    An eighth of the machine's memory, of which the recorder's buffers may take a quarter; at most 512 MiB,
    and three quarters of the file system, which others need, too.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(memory // _SHARE_OF_MEMORY, _LARGEST_IN_MEMORY, disk_size(directory) * 3 // 4)
    except OSError:
        return 0


def _reserve(disk: os.statvfs_result) -> int:
    """A twentieth of the disk, at most 256 MiB, is left to others."""
    return min(disk.f_blocks * disk.f_frsize // _RESERVED_SHARE, _LARGEST_RESERVE)
