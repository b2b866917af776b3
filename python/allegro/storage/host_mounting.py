"""Mounts the disk for the packet ring where the recorder sees it, too: outside of the supervisor's own view.

By systemd, which alone may do that (systemd-mount(1)); it also lets the disk go when the system ends. What
became of it is looked at: a stranger's medium is mounted with all of the flags or not at all.
"""

import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from allegro.errors import Conflict, Unavailable

_FLAGS: Final = ("nosuid", "nodev", "noexec", "nosymfollow")
_OPTIONS: Final = {"ext4": ",".join((*_FLAGS, "noatime", "errors=remount-ro"))}
_TIMEOUT_S: Final = 60

_MOUNTS: Final = Path("/proc/self/mountinfo")

log = logging.getLogger(__name__)


def mount(device: str, kind: str, place: Path) -> None:
    """Raises Unavailable with the reason. What is mounted there already stays, if it is this device."""
    if kind not in _OPTIONS:
        raise Unavailable(f"The file system {kind} is not mounted here.")
    if place.is_mount():
        if place.stat().st_dev == Path(device).stat().st_rdev and _has_flags(place):
            return
        unmount(place, at_once=True)
    options = ("--quiet", "--no-ask-password", "--collect", "--fsck=no", "--type", kind)
    command = ["systemd-mount", *options, "--options", _OPTIONS[kind], device, str(place)]
    if not _succeeds(command) or not place.is_mount():
        raise Unavailable(
            "It cannot be mounted: its file system may be damaged, or the disk broken.",
            remedy="Check it on a computer, or use another disk.",
        )
    if not _has_flags(place):
        unmount(place, at_once=True)
        raise Unavailable("It cannot be mounted safely.", remedy="Use another disk.")


def unmount(place: Path, *, at_once: bool = False) -> None:
    """Writes what is left and lets the disk go; `at_once`: whoever uses it, because it is gone.

    Raises Conflict while it is used, Unavailable.
    """
    if not place.is_mount():
        return
    if at_once:
        if not _succeeds(["systemd-run", "--quiet", "--wait", "--collect", "umount", "--lazy", str(place)]):
            raise Unavailable("The disk cannot be let go.")
    elif not _succeeds(["systemd-umount", str(place)]):
        raise Conflict(
            "The disk is in use.", remedy="Wait until captures, and live captures, of it have ended."
        )


def _has_flags(place: Path) -> bool:
    """Whether what is mounted at a place, on top, is so with all flags (proc_pid_mountinfo(5))."""
    lines = [line.split() for line in _MOUNTS.read_text().splitlines()]
    options = [line[5].split(",") for line in lines if line[4] == str(place)]
    return bool(options) and set(_FLAGS) <= set(options[-1])


def _succeeds(command: Sequence[str]) -> bool:
    """Raises Unavailable if it cannot be run, or does not end."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{command[0]} could not be run ({error}).") from error
    if done.returncode:
        log.warning("%s: %s", command[0], " ".join(done.stderr.split()))
    return done.returncode == 0
