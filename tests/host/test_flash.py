"""scripts/flash on real block devices of this machine's kernel: loop devices."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FLASH = REPOSITORY / "scripts/flash"
MIB = 1 << 20
SIZE = 16 * MIB

MakeDisk = Callable[[int], str]


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[MakeDisk]:
    """Make disks with old data on them: loop devices."""
    made: list[str] = []

    def make(size: int) -> str:
        file = tmp_path / f"disk-{len(made)}"
        file.write_bytes(b"\xa5" * size)
        command = ["losetup", "--find", "--show", str(file)]
        made.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
        return made[-1]

    yield make
    for disk in made:
        subprocess.run(["losetup", "--detach", disk], check=True)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small image: raw, and packed with its block map."""
    folder = tmp_path_factory.mktemp("images")
    raw = folder / "small.raw"
    with raw.open("wb") as file:
        file.truncate(SIZE)
        file.seek(510)
        file.write(b"\x55\xaaEFI PART" + bytes(500))
        file.seek(3 * MIB)
        file.write(os.urandom(MIB + 12345))
        file.seek(SIZE - 4096)
        file.write(os.urandom(4096))
    subprocess.run(["bmaptool", "--quiet", "create", "-o", folder / "small.bmap", raw], check=True)
    packed = folder / "packed"
    packed.mkdir()
    subprocess.run(["zstd", "--quiet", raw, "-o", packed / "small.raw.zst"], check=True)
    shutil.move(folder / "small.bmap", packed / "small.raw.bmap")
    return folder


def flash(*arguments: str | Path, answer: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [str(FLASH), *map(str, arguments)]
    done = subprocess.run(command, input=answer, capture_output=True, text=True, timeout=50, check=False)
    assert "Traceback" not in done.stderr
    return done


def content(disk: str) -> bytes:
    """Everything on the disk."""
    return Path(disk).read_bytes()


@pytest.mark.spec("I2")
def test_a_packed_image_is_written_where_its_map_says_and_read_back(
    images: Path, make_disk: MakeDisk
) -> None:
    disk = make_disk(SIZE + 4 * MIB)
    done = flash("--yes", images / "packed/small.raw.zst", disk)
    assert done.returncode == 0, done.stderr
    assert "writing" in done.stderr
    assert "verifying [##############################] 100%" in done.stderr
    written, image = content(disk), (images / "small.raw").read_bytes()
    assert written[:4096] == image[:4096]
    assert written[3 * MIB : 4 * MIB + 12345] == image[3 * MIB : 4 * MIB + 12345]
    assert written[SIZE - 4096 : SIZE] == image[SIZE - 4096 :]
    assert written[8 * MIB : 9 * MIB] == b"\xa5" * MIB, "not in the map, so not written"
    assert written[-MIB:] == bytes(MIB), "an old partition table's copy at the end is gone"


@pytest.mark.spec("I2")
def test_a_raw_image_without_a_map_is_written_whole(images: Path, make_disk: MakeDisk) -> None:
    disk = make_disk(SIZE)
    done = flash(images / "small.raw", disk, answer=f"{Path(disk).name}\n")
    assert done.returncode == 0, done.stderr
    assert "What is on it will be lost" in done.stdout
    assert content(disk) == (images / "small.raw").read_bytes()


@pytest.mark.spec("I2")
@pytest.mark.parametrize("answer", ["", "y\n", "yes\n", "sda\n"])
def test_without_the_disk_s_name_nothing_is_written(images: Path, make_disk: MakeDisk, answer: str) -> None:
    disk = make_disk(SIZE)
    done = flash(images / "packed/small.raw.zst", disk, answer=answer)
    assert done.returncode == 4
    assert "Nothing was written" in done.stderr
    assert content(disk) == b"\xa5" * SIZE


@pytest.mark.spec("I2")
def test_a_mounted_disk_is_refused(images: Path, make_disk: MakeDisk, tmp_path: Path) -> None:
    disk = make_disk(SIZE)
    subprocess.run(["mke2fs", "-q", "-F", disk], check=True)
    where = tmp_path / "mounted"
    where.mkdir()
    subprocess.run(["mount", disk, where], check=True)
    try:
        done = flash("--yes", images / "packed/small.raw.zst", disk)
    finally:
        subprocess.run(["umount", where], check=True)
    assert done.returncode == 3
    assert f"{disk} is mounted at {where}" in done.stderr


@pytest.mark.spec("I2")
def test_a_disk_mounted_out_of_sight_is_refused(images: Path, make_disk: MakeDisk, tmp_path: Path) -> None:
    """In another mount namespace, as containers have them, no list of mounts shows it."""
    disk = make_disk(SIZE)
    subprocess.run(["mke2fs", "-q", "-F", disk], check=True)
    command = ["unshare", "--mount", "sh", "-c", 'mount "$1" "$2" && echo ready && read -r _', "sh"]
    with subprocess.Popen(
        [*command, disk, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        done = flash("--yes", images / "packed/small.raw.zst", disk)
        holder.communicate("\n")
    assert done.returncode == 3
    assert "something uses it" in done.stderr


@pytest.mark.spec("I2")
def test_swap_is_refused(images: Path, make_disk: MakeDisk) -> None:
    disk = make_disk(SIZE)
    subprocess.run(["mkswap", "--quiet", disk], check=True, capture_output=True)
    subprocess.run(["swapon", disk], check=True)
    try:
        done = flash("--yes", images / "packed/small.raw.zst", disk)
    finally:
        subprocess.run(["swapoff", disk], check=True)
    assert done.returncode == 3
    assert "used as swap space" in done.stderr


@pytest.mark.spec("I2")
def test_a_disk_that_is_too_small_is_refused(images: Path, make_disk: MakeDisk) -> None:
    disk = make_disk(SIZE - MIB)
    done = flash("--yes", images / "packed/small.raw.zst", disk)
    assert done.returncode == 3
    assert "too small" in done.stderr
    assert content(disk) == b"\xa5" * (SIZE - MIB)


@pytest.mark.spec("I2")
def test_the_disk_of_this_machine_is_refused(images: Path) -> None:
    source = subprocess.run(
        ["findmnt", "--noheadings", "--output", "SOURCE", "/"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert source.startswith("/dev/"), f"the root file system of this machine is {source}"
    done = flash("--yes", images / "packed/small.raw.zst", source)
    assert done.returncode == 3
    assert "this system runs from it" in done.stderr or "is a partition" in done.stderr


@pytest.mark.spec("I2")
@pytest.mark.parametrize("name", ["/dev/null", "/etc/hostname", "/dev/nothing-here", "nothing-here"])
def test_what_is_no_disk_is_refused(images: Path, name: str) -> None:
    done = flash("--yes", images / "packed/small.raw.zst", name)
    assert done.returncode == 3
    assert name in done.stderr


@pytest.mark.spec("I2")
@pytest.mark.parametrize(
    ("name", "head", "why"),
    [
        ("a.qcow2", b"QFI\xfb", "qcow2"),
        ("a.vmdk", b"KDMV", "VMDK"),
        ("a.ova", bytes(257) + b"ustar", "virtual appliance"),
        ("a.raucb", b"hsqs", "update bundle"),
        ("a.raw", b"hello", "not a disk image"),
        ("a.raw", b"", "not a disk image"),
        ("a.raw.zst", b"\x28\xb5\x2f\xfd", "block map a.raw.bmap is missing"),
        ("a.raw", b"\x28\xb5\x2f\xfd", "not a disk image"),
    ],
)
def test_the_wrong_kind_of_file_is_refused(
    tmp_path: Path, make_disk: MakeDisk, name: str, head: bytes, why: str
) -> None:
    disk = make_disk(MIB)
    (tmp_path / name).write_bytes(head)
    done = flash("--yes", tmp_path / name, disk)
    assert done.returncode == 5
    assert why in done.stderr
    assert content(disk) == b"\xa5" * MIB


@pytest.mark.spec("I2")
def test_a_damaged_image_is_noticed_while_it_is_written(
    images: Path, make_disk: MakeDisk, tmp_path: Path
) -> None:
    raw = bytearray((images / "small.raw").read_bytes())
    raw[3 * MIB + 77] ^= 1
    (tmp_path / "small.raw").write_bytes(raw)
    shutil.copy(images / "packed/small.raw.bmap", tmp_path)
    (tmp_path / "small.raw.bmap").rename(tmp_path / "small.bmap")
    done = flash("--yes", tmp_path / "small.raw", make_disk(SIZE))
    assert done.returncode == 1
    assert "Writing failed" in done.stderr


@pytest.mark.spec("I2")
def test_a_disk_that_forgets_is_noticed_by_reading_back(
    images: Path, make_disk: MakeDisk, tmp_path: Path
) -> None:
    """bmaptool is replaced by one that loses a byte after writing, as a counterfeit stick does."""
    real = shutil.which("bmaptool")
    liar = tmp_path / "bmaptool"
    damage = f"printf X | dd of=$last bs=1 seek={3 * MIB + 500} conv=notrunc status=none"
    liar.write_text(f'#!/bin/sh\n{real} "$@" || exit\nfor last; do :; done\n{damage}\n')
    liar.chmod(0o755)
    disk = make_disk(SIZE)
    done = subprocess.run(
        [FLASH, "--yes", images / "packed/small.raw.zst", disk],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"does not hold what was written to it (from byte {3 * MIB} on)" in done.stderr


@pytest.mark.spec("I2")
def test_the_list_shows_this_machine_s_disks_and_why_not() -> None:
    done = flash()
    assert done.returncode == 0
    assert "DISK" in done.stdout
    assert "no: " in done.stdout


@pytest.mark.spec("I2")
def test_a_terminal_gets_a_bar(images: Path, make_disk: MakeDisk) -> None:
    disk = make_disk(SIZE)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [FLASH, "--yes", images / "packed/small.raw.zst", disk], stderr=theirs, stdout=subprocess.DEVNULL
    ) as process:
        assert process.wait(50) == 0
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "\rverifying [" in shown
    assert "100%" in shown
