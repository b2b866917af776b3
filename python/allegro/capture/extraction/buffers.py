"""Memory that the disk reads into and writes from."""

from __future__ import annotations

import contextlib
import mmap


def buffer(length: int, *, filled: bool) -> mmap.mmap:
    """A buffer of so many bytes, which takes memory as it is used.

    `filled`: most of it will be used, so it may take memory in pieces of 2 MiB. The kernel then gets and
    pins two pages instead of a thousand for each access of the disk (O_DIRECT), and can ask for it at one go.
    """
    memory = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if filled:
        with contextlib.suppress(OSError):  # a kernel without such pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory
