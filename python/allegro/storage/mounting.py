"""Mounts and unmounts the disk for captures: mount(2), umount2(2), with the constants of <linux/mount.h>.

Not by mount(8): what it understands depends on who made it, and a stranger's medium must be mounted with all
of these flags or not at all.
"""

import ctypes
import errno
import os
import time
from pathlib import Path
from typing import Final

from allegro.errors import Conflict, Unavailable

_NOSUID, _NODEV, _NOEXEC, _NOSYMFOLLOW, _NOATIME = 2, 4, 8, 256, 1024
FLAGS: Final = _NOSUID | _NODEV | _NOEXEC | _NOSYMFOLLOW | _NOATIME
"""Nothing on it is a program, a device, or a way to somewhere else."""

_OPTIONS: Final = {"ext4": "errors=remount-ro", "exfat": "errors=remount-ro,fmask=0137,dmask=0027"}

_DETACH, _NOFOLLOW = 2, 8

_FREE_WITHIN_S: Final = 2.0
"""Who asks the kernel whose a disk is (disks.is_claimed) holds it for a moment."""


def mount(device: str, kind: str, place: Path) -> None:
    """Raises Unavailable with the reason, in words that name neither of the two."""
    if kind not in _OPTIONS:
        raise Unavailable(f"The file system {kind} is not mounted here.")
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    names = (os.fsencode(device), os.fsencode(place), kind.encode())
    until = time.monotonic() + _FREE_WITHIN_S
    while _libc().mount(*names, ctypes.c_ulong(FLAGS), _OPTIONS[kind].encode()) != 0:
        number = ctypes.get_errno()
        if number != errno.EBUSY or time.monotonic() > until:
            raise Unavailable(_why(number), remedy="Check it on a computer, or use another disk.")
        time.sleep(0.05)


def unmount(place: Path, *, at_once: bool = False) -> None:
    """Writes what is left and lets the disk go; `at_once`: whoever uses it, because it is gone.

    Raises Conflict while it is used, Unavailable.
    """
    if _libc().umount2(os.fsencode(place), _NOFOLLOW | (_DETACH if at_once else 0)) != 0:
        number = ctypes.get_errno()
        if number == errno.EBUSY:
            raise Conflict(
                "The disk is in use.", remedy="Wait until captures and downloads from it have ended."
            )
        if number != errno.EINVAL:  # nothing is mounted there
            raise Unavailable(f"The disk cannot be let go ({os.strerror(number)}).")


def _why(number: int) -> str:
    if number in (errno.EINVAL, errno.EIO, errno.EUCLEAN, errno.EBADMSG):
        return f"Its file system is damaged, or the disk cannot be read ({os.strerror(number)})."
    if number in (errno.EROFS, errno.EACCES):
        return "It is write-protected."
    if number == errno.ENODEV:
        return "This system does not know its file system."
    return f"It cannot be mounted ({os.strerror(number)})."


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
