"""In a mount namespace of its own: a disk for captures that is full, read-only, pulled, or changed elsewhere.

Prints what was found, as JSON.
"""

import fcntl
import itertools
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from allegro.storage import mounting
from allegro.storage.capture_files import FileStore
from allegro.storage.disk_care import DiskCare, is_still_there
from allegro.storage.disks import Disk
from allegro.storage.used_disk import UsedDisk
from allegro.storage.volumes import Volume
from tests.host.disks_inside import ID, SIZE, Names, loop_device
from tests.unit.storage.playing_disks import unknown

MIB = 1 << 20
_SHUTDOWN, _AS_IT_IS = 0x8004587D, struct.pack("I", 2)
"""EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH (fs/ext4/ext4.h): from then on everything fails."""

_LOOKS = 20
"""After trouble, the disk is tried again within so many."""


class Bench:
    def __init__(self, folder: Path, device: str) -> None:
        self.storage = folder / "storage"
        self.storage.mkdir()
        self.pulled = False
        self.breathe: Callable[[], object] = lambda: None
        volume = Volume(device, ID, "ext4", "", SIZE, Disk("loop", device, SIZE))
        self.disk = UsedDisk(
            *(folder / "disk", lambda: ID, lambda: [volume], mounting, lambda _uuid: not self.pulled),
            lambda number: not self.pulled and is_still_there(number),
        )
        self.care = DiskCare(*(self.disk, FileStore(self.storage), Names(), self._breathe, unknown(folder)))
        self.care.step()

    def _breathe(self) -> None:
        self.breathe()

    def capture(self, name: str, size: int = MIB) -> bytes:
        content = os.urandom(size)
        (self.storage / name).write_bytes(content)
        self.care.step()
        return content

    def there(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.disk.folder.iterdir())}

    def moves(self, name: str, content: bytes) -> bool:
        """Whether a capture that could not be moved moves now, as it is."""
        for _ in range(_LOOKS):
            self.care.step()
        return self.there().get(name) == content and not [*self.storage.iterdir()]

    def while_it_is(self, name: str, well: Callable[[], object]) -> list[object]:
        """It refuses a capture: what is told, whether that stays here, and moves when the disk is well."""
        content = self.capture(name)
        told, kept = self.care.problem(), (self.storage / name).read_bytes() == content
        well()
        return [told, kept, self.moves(name, content)]


def remove(files: Sequence[Path]) -> None:
    for path in files:
        path.unlink()


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


def shut_down(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _SHUTDOWN, _AS_IT_IS)
    finally:
        os.close(descriptor)


def main(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-U", ID, "-N", "64", str(image)], check=True)
    with loop_device(image) as device:
        bench = Bench(folder, device)
        place, hog = bench.disk.place, bench.disk.place / "hog"
        with hog.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(place).free - 16 * MIB)
        found["full"] = bench.while_it_is("full", hog.unlink)
        few = [place / f"few-{number}" for number in range(os.statvfs(place).f_favail)]
        for path in few:
            path.touch()
        found["without inodes"] = bench.while_it_is("inodes", lambda: remove(few))
        remount(place, "ro")
        found["write-protected"] = bench.while_it_is("protected", lambda: remount(place, "rw"))

        parts = itertools.count()
        bench.breathe = lambda: shut_down(place) if next(parts) == 2 else None  # in the middle
        content = bench.capture("pulled", 9 * MIB)
        bench.pulled = True
        bench.care.step()
        kept = (bench.storage / "pulled").read_bytes() == content and not place.is_mount()
        told, bench.pulled, bench.breathe = bench.care.problem(), False, lambda: None
        found["pulled"] = [told, kept, bench.moves("pulled", content)]
        found["there"] = list(bench.there())

        bench.care.remove()
        bench.pulled = True
        bench.care.step()
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        subprocess.run(["mount", device, str(elsewhere)], check=True)
        (elsewhere / "allegro/full").unlink()
        (elsewhere / "allegro/changed").write_bytes(b"of another machine")
        subprocess.run(["umount", str(elsewhere)], check=True)
        bench.pulled = False
        content = bench.capture("changed")
        there = bench.there()
        found["changed elsewhere"] = [
            *(there.pop("changed") == b"of another machine", there.pop("changed_2") == content, list(there))
        ]
        bench.care.remove()
    checked = subprocess.run(["e2fsck", "-fn", str(image)], capture_output=True, check=False)
    found["clean"] = checked.returncode == 0
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
