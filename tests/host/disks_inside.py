"""In a mount namespace of its own: real file systems on loop devices, mounted as the device does it.

Prints what was found, as JSON.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from allegro.errors import AllegroError
from allegro.storage import mounting
from allegro.storage.capture_disk import CaptureDisk
from allegro.storage.capture_files import FileStore
from allegro.storage.disk_care import DiskCare, is_still_there
from allegro.storage.disks import Disk
from allegro.storage.volumes import Volume

ID = "0d15c0de-0000-4000-8000-00000000a11e"
SIZE = 256 << 20


class Names:
    def uses_name(self, file: str) -> bool:
        return False

    def file_moved(self, old: str, new: str, directory: str) -> None:
        pass


@contextlib.contextmanager
def loop_device(image: Path, *options: str) -> Iterator[str]:
    made = subprocess.run(
        ["losetup", "--find", "--show", *options, str(image)], check=True, capture_output=True, text=True
    )
    path = made.stdout.strip()
    try:
        yield path
    finally:
        subprocess.run(["losetup", "--detach", path], check=True)


def disk_at(path: str, place: Path, wanted: Callable[[], str]) -> CaptureDisk:
    volume = Volume(path, ID, "ext4", "", SIZE, Disk("loop", path, SIZE))
    return CaptureDisk(place, wanted, lambda: [volume], mounting, lambda _uuid: True, is_still_there)


def error_of(action: Callable[[], object]) -> str:
    try:
        action()
    except AllegroError as error:
        return error.message
    return ""


def main(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    image, place, storage = folder / "image", folder / "disk", folder / "storage"
    storage.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-U", ID, str(image)], check=True)
    wanted = [""]
    content = os.urandom(100_000)

    with loop_device(image) as path:
        disk = disk_at(path, place, lambda: wanted[0])
        care = DiskCare(disk, FileStore(storage), Names(), lambda: None)
        care.choose(ID, lambda: wanted.__setitem__(0, ID))
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        found["options"] = next(line[3] for line in mounts if line[1] == str(place)).split(",")
        found["usable"] = disk.is_usable()
        (storage / "a.pcapng").write_bytes(content)
        care.step()
        found["moved"] = (disk.folder / "a.pcapng").read_bytes() == content and not list(storage.iterdir())
        (disk.folder / "way-out").symlink_to(folder / "image")
        try:
            (disk.folder / "way-out").read_bytes()
        except OSError as error:
            found["link"] = os.strerror(error.errno or 0)
        with (disk.folder / "a.pcapng").open("rb"):
            found["in use"] = error_of(care.remove)
        found["let go"] = error_of(care.remove)
        found["mounted"] = str(place) in Path("/proc/self/mounts").read_text()
    checked = subprocess.run(["e2fsck", "-fn", str(image)], capture_output=True, check=False)
    found["clean"] = checked.returncode == 0

    with loop_device(image, "--read-only") as path:
        found["write-protected"] = error_of(lambda: disk_at(path, place, str).choose(ID, lambda: None))
    with image.open("r+b") as file:
        file.write(bytes(8192))
    with loop_device(image) as path:
        found["damaged"] = error_of(lambda: disk_at(path, place, str).choose(ID, lambda: None))
    found["left mounted"] = str(place) in Path("/proc/self/mounts").read_text()
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
