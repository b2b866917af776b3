"""Installing from one disk on another: loop devices of this machine's kernel."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from allegro.errors import Unavailable
from allegro.firmware.disk_install import install
from allegro.firmware.disk_table import SECTOR, SYSTEMS
from allegro.firmware.raw_disk import RawDisk
from allegro.storage.disks import Disk, sequence_by_name

MIB = 1 << 20
SOURCE_SIZE = 320 * MIB
TARGET_SIZE = 400 * MIB + 512
SIZES = {"bios-boot": 1, "esp": 4, "boot-state": 1, "factory": 3, "slot-a": 3, "slot-b": 3, "data": 300}
SYSTEM_SIZE = 2 * MIB + 4097


class Cut(Exception):
    """The power is gone."""


def run(*command: str, text: str = "") -> str:
    """The output of a program that must succeed."""
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def table(file: str | Path) -> list[dict[str, Any]]:
    """The partitions as sfdisk tells them."""
    partitions: list[dict[str, Any]] = json.loads(run("sfdisk", "--json", str(file)))["partitiontable"][
        "partitions"
    ]
    return partitions


@pytest.fixture(scope="module")
def source_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation: systems in factory and slot A, slot B empty."""
    file = tmp_path_factory.mktemp("source") / "source"
    with file.open("wb") as disk:
        disk.truncate(SOURCE_SIZE)
    lines = [f'size={size}MiB, name="{name}"' for name, size in SIZES.items()]
    run("sfdisk", "--quiet", str(file), text="label: gpt\n" + "\n".join(lines) + "\n")
    with file.open("r+b") as disk:
        disk.write(b"BOOT CODE" * 40)
        for entry in table(file):
            disk.seek(entry["start"] * SECTOR)
            if entry["name"] in ("factory", "slot-a"):
                head = b"hsqs" + bytes(36) + SYSTEM_SIZE.to_bytes(8, "little")
                disk.write(head + os.urandom(SYSTEM_SIZE - len(head)))
            elif entry["name"] in ("bios-boot", "esp"):
                disk.write(os.urandom(entry["size"] * SECTOR))
    return file


class Loops:
    """Files as disks."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def attach(self, file: Path) -> Disk:
        """A loop device on the file."""
        path = run("losetup", "--find", "--show", str(file)).strip()
        self.made.append(path)
        return Disk(Path(path).name, path, file.stat().st_size)


@pytest.fixture
def loops() -> Iterator[Loops]:
    made = Loops()
    yield made
    for path in made.made:
        run("losetup", "--detach", path)


@pytest.fixture
def target_file(tmp_path: Path) -> Path:
    """A disk that once held something else that could be started."""
    file = tmp_path / "target"
    with file.open("wb") as disk:
        disk.truncate(TARGET_SIZE)
    run("sfdisk", "--quiet", str(file), text='label: gpt\nname="slot-a"\n')
    with file.open("r+b") as disk:
        disk.write(b"OLD CODE" * 50)
        disk.seek(30 * MIB)
        disk.write(b"\xa5" * 20 * MIB)
    return file


def part_content(file: Path, name: str) -> bytes:
    """What is in a partition."""
    entry = next(entry for entry in table(file) if entry["name"] == name)
    with file.open("rb") as disk:
        disk.seek(entry["start"] * SECTOR)
        return disk.read(entry["size"] * SECTOR)


@pytest.mark.spec("I2")
def test_the_whole_installation_is_on_the_other_disk(
    source_file: Path, target_file: Path, loops: Loops, tmp_path: Path
) -> None:
    told: list[tuple[str, float | None]] = []
    install(loops.attach(source_file), loops.attach(target_file), lambda *each: told.append(each))

    before, after = table(source_file), table(target_file)
    assert [entry["name"] for entry in after] == list(SIZES)
    assert [entry["start"] for entry in after] == [entry["start"] for entry in before]
    assert [entry["size"] for entry in after[:-1]] == [entry["size"] for entry in before[:-1]]
    assert {entry["uuid"] for entry in before} & {entry["uuid"] for entry in after} == set()
    for name in ("bios-boot", "esp"):
        assert part_content(target_file, name) == part_content(source_file, name)
    for name in ("factory", "slot-a"):
        assert part_content(target_file, name)[:SYSTEM_SIZE] == part_content(source_file, name)[:SYSTEM_SIZE]
    assert part_content(target_file, "slot-b")[:MIB] == bytes(MIB), "empty stays empty"
    assert target_file.read_bytes()[:360] == b"BOOT CODE" * 40
    assert b"# GRUB Environment Block\n" in part_content(target_file, "boot-state")

    data = after[-1]
    assert data["start"] + data["size"] > TARGET_SIZE // SECTOR - 2 * MIB // SECTOR, "grown to the end"
    copy = tmp_path / "data"
    copy.write_bytes(part_content(target_file, "data"))
    run("e2fsck", "-f", "-n", str(copy))
    assert int(run("dumpe2fs", "-h", str(copy)).split("Block count:")[1].split()[0]) >= 99 * MIB // 4096
    assert "verify" not in run("sfdisk", "--verify", str(target_file)).lower().replace("no errors", "")

    shares = [share for _, share in told if share is not None]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert next(text for text, _ in told if "slot-a" in text) == "Copying slot-a."


@pytest.mark.spec("I2", "U3")
@pytest.mark.timeout(300)
def test_a_cut_at_any_write_leaves_a_disk_that_does_not_start(
    source_file: Path, target_file: Path, loops: Loops, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power goes before each of the writes in turn, until one run reaches its end."""
    source, target = loops.attach(source_file), loops.attach(target_file)
    real = RawDisk._write
    left = 0

    def cut(self: RawDisk, start: int, size: int) -> None:
        nonlocal left
        if left == 0:
            raise Cut
        left -= 1
        real(self, start, size)

    monkeypatch.setattr(RawDisk, "_write", cut)
    for writes in range(1, 200):
        left = writes
        try:
            install(source, target, lambda *_each: None)
        except Cut:
            with target_file.open("rb") as disk:
                assert disk.read(SECTOR) == bytes(SECTOR), f"after {writes} writes"
        else:
            break
    else:
        pytest.fail("no run reached its end")
    assert writes > len(SIZES), "the loop has cut something"
    assert target_file.read_bytes()[510:512] == b"\x55\xaa"


@pytest.mark.spec("I2")
def test_a_disk_that_forgets_is_noticed(
    source_file: Path, target_file: Path, loops: Loops, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = RawDisk.flush

    def forget(self: RawDisk) -> None:
        real(self)
        if self.read(1 * MIB, 9) == part_content(source_file, "bios-boot")[:9]:
            self.write(1 * MIB, bytes(SECTOR))

    monkeypatch.setattr(RawDisk, "flush", forget)
    with pytest.raises(Unavailable, match=r"does not hold what was written to it \(bios-boot\)"):
        install(loops.attach(source_file), loops.attach(target_file), lambda *_each: None)
    with target_file.open("rb") as disk:
        assert disk.read(SECTOR) == bytes(SECTOR)


@pytest.mark.spec("I2")
def test_another_disk_that_has_got_its_name_is_left_as_it_is(
    source_file: Path, target_file: Path, loops: Loops
) -> None:
    before = target_file.read_bytes()
    target = loops.attach(target_file)
    seen = sequence_by_name(target.name)
    assert seen
    with pytest.raises(Unavailable, match="was pulled"):
        install(loops.attach(source_file), target, lambda *_each: None, seen + 1)
    assert target_file.read_bytes() == before
    install(loops.attach(source_file), target, lambda *_each: None, seen)


@pytest.mark.spec("I2")
def test_a_disk_in_use_is_refused_by_the_kernel_itself(
    source_file: Path, target_file: Path, loops: Loops, tmp_path: Path
) -> None:
    target = loops.attach(target_file)
    run("mke2fs", "-q", "-F", target.path)
    where = tmp_path / "mounted"
    where.mkdir()
    run("mount", target.path, str(where))
    try:
        with pytest.raises(OSError, match="busy"):
            install(loops.attach(source_file), target, lambda *_each: None)
        (where / "still-here").write_text("yes")
    finally:
        run("umount", str(where))


def test_the_names_of_the_systems_are_those_of_the_layout() -> None:
    assert set(SYSTEMS) < set(SIZES)
