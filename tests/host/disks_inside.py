"""In a mount namespace of its own: real file systems on loop devices, mounted as the device does it.

Prints what was found, as JSON.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from allegro.errors import AllegroError
from allegro.storage import mounting
from allegro.storage.capture_files import FileStore
from allegro.storage.disk_care import DiskCare, is_still_there
from allegro.storage.disk_formatter import Formatter, wait_for_partition
from allegro.storage.disks import Disk, is_claimed
from allegro.storage.formatting import Kind, Wish
from allegro.storage.used_disk import UsedDisk
from allegro.storage.volumes import Volume
from allegro.system.actions import Actions
from tests.unit.storage.playing_disks import unknown

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


def disk_at(path: str, place: Path, wanted: Callable[[], str]) -> UsedDisk:
    volume = Volume(path, ID, "ext4", "", SIZE, Disk("loop", path, SIZE))
    return UsedDisk(place, wanted, lambda: [volume], mounting, lambda _uuid: True, is_still_there)


def partition_of(disk: Disk) -> str:
    """This kernel may not know partition tables: it is told."""
    subprocess.run(["partx", "--update", disk.path], check=True)
    return wait_for_partition(disk)


def formatted(folder: Path, kind: Kind) -> dict[str, object]:
    """Has a disk with something on it formatted, mounts it if this kernel can, and renames it."""
    found: dict[str, object] = {}
    image, place = folder / f"{kind}.img", folder / kind
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-L", "old", str(image)], check=True)
    with loop_device(image) as path:
        disk = Disk(path.removeprefix("/dev/"), path, SIZE, model="Loop", holds=("old (ext4)",))
        volumes: list[Volume] = []
        captures = UsedDisk(
            *(place, lambda: "", lambda: volumes, mounting, lambda _uuid: True, is_still_there)
        )
        care = DiskCare(captures, FileStore(folder), Names(), lambda: None, unknown(folder))
        actions, ended = Actions(), threading.Event()
        formatter = Formatter(
            *(actions, care, str), disks=lambda: [disk], partition=partition_of, renew=lambda _path: None
        )
        (candidate,) = formatter.candidates()
        formatter.start(
            *(disk.name, disk.name, Wish(kind, "Hall 3"), candidate.sequence), lambda _text: ended.set()
        )
        assert ended.wait(90)
        try:
            found["text"] = actions.all()[0].text.removeprefix(disk.title)
            found["state"] = actions.all()[0].state
            partition = f"{path}p1"
            found["made"] = probed(partition)
            with Path(path).open("rb") as device:
                found["starts"] = any(device.read(440))  # where BIOS's programs lie in an MBR
            volume = Volume(partition, ID, kind, "Hall 3", SIZE, disk)
            volumes.append(volume)
            if kind == "ext4":
                care.choose(ID, lambda: None)
                found["in use"] = is_claimed([path, partition])
                found["refused"] = "; ".join(formatter.candidates()[0].objections)
            formatter.rename(ID, "Hall 4")
            found["renamed"] = probed(partition)[0]
            if kind == "ext4":
                found["used again"] = captures.is_usable()
                care.remove()
        finally:
            subprocess.run(["partx", "--delete", path], check=False)
    return found


def probed(partition: str) -> list[str]:
    """Name and kind of a file system, as blkid(8) sees it on the device itself."""
    command = ["blkid", "--probe", "-s", "LABEL", "-s", "TYPE", "--output", "value", partition]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


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
        care = DiskCare(disk, FileStore(storage), Names(), lambda: None, unknown(folder))
        held = os.open(path, os.O_RDONLY | os.O_EXCL)  # as a look whether it is claimed
        threading.Timer(0.1, os.close, (held,)).start()
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
    kinds: tuple[Kind, ...] = ("exfat", "ext4")
    found["formatted"] = {kind: formatted(folder, kind) for kind in kinds}
    found["left mounted"] = str(place) in Path("/proc/self/mounts").read_text()
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
