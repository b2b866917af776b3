import zipfile
from itertools import pairwise
from pathlib import Path

import pytest

from board.allegro.image.layout import Layout, read_layout
from board.allegro.release.flash_archive import write_flash
from board.allegro.release.images import DATA_SIZE, PIECE, ranges_to_write, write_ranges
from board.allegro.release.texts import wheel_texts

REPOSITORY = Path(__file__).resolve().parents[3]
SLOT = 100 * PIECE + 17


@pytest.fixture
def layout() -> Layout:
    return read_layout(REPOSITORY / "board/allegro/layout.toml", DATA_SIZE)


def covered(ranges: list[tuple[int, int]], start: int, end: int) -> bool:
    return any(first <= start and end <= last for first, last in ranges)


@pytest.mark.spec("I1")
def test_only_the_free_space_in_slots_is_left_out(layout: Layout) -> None:
    ranges = ranges_to_write(layout, SLOT)
    for name in ("bios-boot", "esp", "boot-state", "data"):
        assert covered(ranges, layout[name].start, layout[name].start + layout[name].size), name
    for name in ("factory", "slot-a"):
        assert covered(ranges, layout[name].start, layout[name].start + SLOT), name
        assert not covered(ranges, layout[name].start, layout[name].start + layout[name].size), name
    assert covered(ranges, layout["slot-b"].start, layout["slot-b"].start + PIECE)
    assert covered(ranges, 0, PIECE), "partition table"
    assert covered(ranges, layout.size - PIECE, layout.size), "its copy"
    assert all(before[1] < after[0] for before, after in pairwise(ranges))


def test_zeros_in_the_ranges_are_written_and_all_else_is_a_hole(tmp_path: Path) -> None:
    image, target = tmp_path / "image", tmp_path / "target"
    with image.open("wb") as file:
        file.truncate(16 * PIECE)
        file.seek(5 * PIECE)
        file.write(b"x" * 4 * PIECE)
    write_ranges(image, [(PIECE, 3 * PIECE), (6 * PIECE, 7 * PIECE)], target)
    content = target.read_bytes()
    assert len(content) == 16 * PIECE
    assert content[6 * PIECE : 7 * PIECE] == b"x" * PIECE
    assert content[5 * PIECE : 6 * PIECE] == bytes(PIECE)
    assert target.stat().st_blocks * 512 == 3 * PIECE


@pytest.mark.spec("I2")
def test_flash_in_one_file_holds_what_it_needs_and_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_flash(REPOSITORY, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").read_bytes().startswith(b"#!/usr/bin/env python3\n")
    assert (tmp_path / "one").stat().st_mode & 0o111
    assert "scripts/flashing.py" in zipfile.ZipFile(tmp_path / "one").namelist()


def test_texts_of_a_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in (
            "thing-1.0.dist-info/licenses/LICENSE.txt",
            "thing-1.0.dist-info/METADATA",
            "thing/licence_of_something_else",
        ):
            archive.writestr(name, name)
    assert wheel_texts(wheel) == {"python/thing/LICENSE.txt": b"thing-1.0.dist-info/licenses/LICENSE.txt"}
