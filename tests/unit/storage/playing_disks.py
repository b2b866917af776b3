"""Disks that are folders: mounting one says so, and makes its place if it is not there."""

import threading
from pathlib import Path

from allegro.errors import Conflict, Unavailable
from allegro.storage.disks import Disk
from allegro.storage.known_disks import KnownDisks
from allegro.storage.volumes import Volume

STICK = Disk("sdb", "/dev/sdb", 32 * 10**9, model="Ultra Fit", serial="4C53", transport="usb", removable=True)
SSD = Disk("nvme1n1", "/dev/nvme1n1", 256 * 10**9, model="SSD", transport="nvme")

VOLUMES = [
    Volume("/dev/nvme1n1p1", "0b1c-ssd", "ntfs", "windows", 256 * 10**9, SSD),
    Volume("/dev/sdb1", "5f3a-stick", "exfat", "ALLEGRO", 32 * 10**9, STICK),
]

USB_SSD = Disk("sdc", "/dev/sdc", 10**12, model="Portable", serial="9A", transport="usb", removable=True)
FOR_THE_RING = Volume("/dev/sdc1", "ring-0001", "ext4", "RING", 10**12, USB_SSD)


def unknown(folder: Path) -> KnownDisks:
    """No disk has a task, or had one."""
    return KnownDisks(folder / "disks.json", dict, lambda _uuid: False)


def make_ring_folder(top: Path) -> None:
    """As `ring_folder.prepare`, without a user for the recorder."""
    (top / "allegro-ring").mkdir(exist_ok=True)


class PlayingMounts:
    """What was mounted, by its id; may refuse. It stands still while it does not answer (`answers`)."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.mounted = ""
        self.refuses = ""
        self.in_use = False

    def mount(self, device: str, kind: str, place: Path) -> None:
        """Remembers it. Raises Unavailable if it `refuses`."""
        self.answers.wait()
        if self.refuses:
            raise Unavailable(self.refuses)
        assert not self.mounted
        place.mkdir(parents=True, exist_ok=True)
        self.mounted = next(
            volume.uuid for volume in (*VOLUMES, FOR_THE_RING) if (volume.path, volume.kind) == (device, kind)
        )

    def unmount(self, place: Path, *, at_once: bool = False) -> None:
        """Forgets it. Raises Conflict if it is `in_use`."""
        self.answers.wait()
        if self.in_use and not at_once:
            raise Conflict("The disk is in use.")
        self.mounted = ""
