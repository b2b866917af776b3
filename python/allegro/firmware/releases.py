"""What a slot says of itself: version, date and notes of the release that lies in it."""

import logging
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from allegro.firmware.bundles import LARGEST_NOTES
from allegro.version import release_fields

NOTES = Path("usr/share/allegro/release-notes.md")
PARTITIONS = Path("/dev/disk/by-partlabel")

_MOUNT_S = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Release:
    """`date` in ISO 8601, empty if it is not known; `notes` as text."""

    version: str
    date: str = ""
    notes: str = ""


def read(root: Path) -> Release | None:
    """The release whose root file system is at `root`; None if it does not say."""
    fields = release_fields(root)
    try:
        notes = (root / NOTES).read_text(encoding="utf-8")[:LARGEST_NOTES]
    except (OSError, UnicodeDecodeError):
        notes = ""
    return Release(fields["VERSION"], fields.get("DATE", ""), notes) if fields.get("VERSION") else None


def read_slot(partition: str) -> Release | None:
    """The release in a slot that is not running, by a short look into it; None if it is empty or damaged."""
    device = PARTITIONS / partition
    if not device.exists():
        return None
    with tempfile.TemporaryDirectory(prefix="allegro-slot-") as folder:
        mount = ["mount", "-t", "squashfs", "-o", "ro,nodev,noexec,nosuid", str(device), folder]
        try:
            done = subprocess.run(mount, capture_output=True, text=True, timeout=_MOUNT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            log.warning("The slot %s cannot be looked into: %s", partition, error)
            return None
        if done.returncode:
            return None
        try:
            return read(Path(folder))
        finally:
            subprocess.run(["umount", folder], capture_output=True, timeout=_MOUNT_S, check=False)


def slot_size(partition: str) -> int:
    """Bytes of a slot; 0 if there is none."""
    try:
        descriptor = os.open(PARTITIONS / partition, os.O_RDONLY)
    except OSError:
        return 0
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)
