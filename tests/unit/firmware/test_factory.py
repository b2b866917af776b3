import os
import random
import struct
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.firmware import boot_state, factory
from allegro.firmware.boot_state import BAD, PROVEN, BootState
from allegro.firmware.factory import Disk

SIZE = 9 * (1 << 20) + 12345
IMAGE = b"hsqs" + bytes(36) + struct.pack("<Q", SIZE) + random.Random(1).randbytes(SIZE - 48)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    made = Disk(*(tmp_path / name for name in ("boot-state", "factory", "slot-a", "slot-b", "data")))
    made.boot_state.write_bytes(bytes(1 << 20))
    made.factory.write_bytes(IMAGE + bytes(1 << 20))
    made.slot_a.write_bytes(b"hsqs" + b"\xaa" * (16 << 20))
    made.slot_b.write_bytes(b"hsqs" + b"\xbb" * (16 << 20))
    made.data.write_bytes(b"old")
    state = BootState(primary="slot-b", slot_b=PROVEN, last_good="slot-b", request="factory-reset", starts=3)
    boot_state.write(made.boot_state, state)
    return made


def make_file_system(partition: Path) -> None:
    partition.write_bytes(b"empty")


@pytest.mark.spec("U6")
def test_the_version_as_shipped_is_in_slot_a_and_everything_else_is_gone(disk: Disk) -> None:
    told: list[str] = []
    factory.factory_reset(disk, told.append, make_file_system)
    assert disk.slot_a.read_bytes()[:SIZE] == IMAGE
    assert disk.slot_b.read_bytes()[: factory.ERASED] == bytes(factory.ERASED)
    assert disk.data.read_bytes() == b"empty"
    assert boot_state.read(disk.boot_state) == BootState()
    assert "done" in told[-1]
    assert "  100 %" in told


@pytest.mark.spec("U3", "U6")
def test_until_the_end_the_boot_state_asks_for_it_and_slot_a_does_not_start(disk: Disk) -> None:
    seen: list[BootState] = []

    def look(_text_or_path: object) -> None:
        seen.append(boot_state.read(disk.boot_state))

    factory.factory_reset(disk, lambda text: None if "3/3" in text else look(text), look)
    assert len(seen) > 3
    assert {state.request for state in seen} == {"factory-reset"}
    assert {state.slot_a for state in seen} == {BAD}


@pytest.mark.spec("U3")
def test_cut_short_and_done_again_it_is_the_same(disk: Disk) -> None:
    def cut(_partition: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        factory.factory_reset(disk, lambda _text: None, cut)
    assert boot_state.read(disk.boot_state).request == "factory-reset"
    factory.factory_reset(disk, lambda _text: None, make_file_system)
    assert disk.slot_a.read_bytes()[:SIZE] == IMAGE
    assert boot_state.read(disk.boot_state) == BootState()


@pytest.mark.parametrize("content", [b"", b"hsqs", bytes(1 << 20)])
def test_without_a_factory_version_nothing_is_touched(disk: Disk, content: bytes) -> None:
    disk.factory.write_bytes(content)
    before = disk.slot_a.read_bytes()
    with pytest.raises(Unavailable, match="no factory version"):
        factory.factory_reset(disk, lambda _text: None, make_file_system)
    assert disk.slot_a.read_bytes() == before
    assert disk.data.read_bytes() == b"old"


def test_an_image_that_ends_too_early_is_told_before_data_is_lost(disk: Disk) -> None:
    os.truncate(disk.factory, SIZE // 2)
    with pytest.raises(Unavailable, match="could not be copied"):
        factory.factory_reset(disk, lambda _text: None, make_file_system)
    assert disk.data.read_bytes() == b"old"


def test_a_disk_that_gives_back_something_else_is_told(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    written = factory._write

    def lying(descriptor: int, data: bytes, at: int) -> None:
        written(descriptor, data[:-1] + bytes([data[-1] ^ 1]), at)

    monkeypatch.setattr(factory, "_write", lying)
    with pytest.raises(Unavailable, match="does not give back"):
        factory.copy(disk.factory, disk.slot_a, SIZE, lambda _text: None)


def test_the_data_partition_gets_a_file_system(tmp_path: Path) -> None:
    partition = tmp_path / "data"
    with partition.open("wb") as file:
        file.truncate(64 << 20)
    factory.make_data_file_system(partition)
    assert partition.read_bytes()[1024 + 56 : 1024 + 58] == b"\x53\xef"  # s_magic of ext4
    with pytest.raises(Unavailable, match="could not be made anew"):
        factory.make_data_file_system(tmp_path / "nowhere" / "data")
