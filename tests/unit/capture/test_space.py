from __future__ import annotations

import os
from pathlib import Path

import pytest

from allegro.capture import space

MIB = 1 << 20


def disk(monkeypatch: pytest.MonkeyPatch, size: int, free: int) -> None:
    blocks = (4096, 4096, size // 4096, free // 4096, free // 4096, 0, 0, 0, 0, 255)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(blocks))


@pytest.mark.spec("R1", "W5")
@pytest.mark.parametrize(("inodes", "left", "told"), [(1000, 7, 7), (1000, 0, 0), (0, 0, None)])
def test_files_left(monkeypatch: pytest.MonkeyPatch, inodes: int, left: int, told: int | None) -> None:
    there = os.statvfs_result((4096, 4096, 1, 1, 1, inodes, left, left, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: there)
    assert space.files_left(Path("/")) == told


@pytest.mark.spec("R1")
@pytest.mark.parametrize(
    ("size", "free", "available", "largest"),
    [
        (1000 * MIB, 500 * MIB, 450 * MIB, 950 * MIB),
        (1000 * MIB, 20 * MIB, 0, 950 * MIB),
        (1 << 40, 300 * MIB, 44 * MIB, (1 << 40) - 256 * MIB),
    ],
    ids=["a twentieth is left", "nothing left", "not more than 256 MiB are left"],
)
def test_a_part_of_the_disk_is_left_to_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int, free: int, available: int, largest: int
) -> None:
    disk(monkeypatch, size, free)
    assert space.available(tmp_path) == available
    assert space.largest_ring(tmp_path) == largest
