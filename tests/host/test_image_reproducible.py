"""The development image, built twice from the same inputs, is the same byte for byte.

One of the two is that of `make vm`, unless its steps were made from something else than what lies here now.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from board.allegro.image.layout import Layout, read_layout
from scripts.build_vm import INPUTS, source_epoch

REPOSITORY = Path(__file__).resolve().parents[2]
MADE = REPOSITORY / "build/vm/allegro.img"
BUILD_LIMIT_S = 1500
PIECE = 1 << 20


def copy_inputs(target: Path) -> Path:
    """Copy what the image is made from to `target`: both builds see the same, in different places."""
    for name in (*INPUTS, "scripts/__init__.py"):
        if (REPOSITORY / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
            shutil.copytree(REPOSITORY / name, target / name, symlinks=True, ignore=ignored)
        else:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, target / name)
    return target


def build(source: Path) -> Path:
    """Build from the copy `source`, everything anew except downloads; returns the image."""
    command = [sys.executable, "-m", "scripts.build_vm", "--downloads", str(REPOSITORY / "build/downloads")]
    command += ["--keys", str(REPOSITORY / "build/keys")]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(source_epoch())}
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "build/vm/allegro.img"


def differing_bytes(first: Path, second: Path) -> list[int]:
    """Return where pieces of the files begin that differ; holes of sparse files are not read."""
    size = first.stat().st_size
    assert second.stat().st_size == size
    wanted = data_pieces(first) | data_pieces(second)
    with first.open("rb") as one, second.open("rb") as two:
        return [at for at in sorted(wanted) if read_at(one.fileno(), at) != read_at(two.fileno(), at)]


def read_at(descriptor: int, at: int) -> bytes:
    """Read one piece."""
    return os.pread(descriptor, PIECE, at)


def data_pieces(file: Path) -> set[int]:
    """Return where pieces begin that are not all hole."""
    pieces: set[int] = set()
    with file.open("rb") as data:
        at, size = 0, file.stat().st_size
        while at < size:
            try:
                start = os.lseek(data.fileno(), at, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole up to the end
                break
            at = os.lseek(data.fileno(), start, os.SEEK_HOLE)
            pieces |= set(range(start // PIECE * PIECE, at, PIECE))
    return pieces


def places(layout: Layout, offsets: list[int]) -> set[str]:
    """Return the names of the partitions at these offsets."""
    return {
        next(
            (part.name for part in layout.partitions if part.start <= at < part.start + part.size),
            "partition table",
        )
        for at in offsets
    }


def steps(image: Path) -> set[str]:
    """Return the names of the steps that made an image, which hold fingerprints of what each is made from."""
    return {path.name for path in (image.parent / "work").glob("*-" + "[0-9a-f]" * 16)}


def package_lines(image: Path) -> list[str]:
    """Return the packages and versions of the manifest beside the image."""
    text = (image.parent / "manifest.txt").read_text().split("Debian packages")[1]
    return [" ".join(line.split()[1:]) for line in text.splitlines() if line[:9].strip().isdigit()]


def unpack(image: Path, layout: Layout, folder: Path) -> Path:
    """Unpack the slot's files with the building folder's own unsquashfs; returns the tree."""
    tools = next((image.parent / "work").glob("tools-*"))
    inside = tools / "slot"
    inside.mkdir()
    slot = layout["slot-a"]
    with image.open("rb") as data, (inside / "slot.squashfs").open("wb") as out:
        data.seek(slot.start)
        out.write(data.read(slot.size))
    command = [
        "chroot",
        str(tools),
        "unsquashfs",
        "-quiet",
        "-no-progress",
        "-dest",
        "/slot/tree",
        "/slot/slot.squashfs",
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.move(inside / "tree", folder)
    shutil.rmtree(inside)
    return folder


def differing_files(one: Path, two: Path) -> str:
    """Return what differs between two trees, as diff(1) tells it."""
    command = ["diff", "--recursive", "--brief", "--no-dereference", str(one), str(two)]
    return (
        subprocess.run(command, capture_output=True, text=True, check=False).stdout
        or "only order, owners or times"
    )


@pytest.fixture
def workplace() -> Iterator[Path]:
    """An empty folder with space for two builds: /tmp may be too small."""
    folder = REPOSITORY / "build/reproducible"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.spec("I1")
@pytest.mark.timeout(2 * BUILD_LIMIT_S)
def test_image_built_twice_is_the_same(workplace: Path, tmp_path: Path) -> None:
    """In different folders, the second from nothing."""
    second = build(copy_inputs(workplace / "another/folder"))
    first = MADE
    if not MADE.exists() or not steps(MADE) >= steps(second) or package_lines(MADE) != package_lines(second):
        first = build(copy_inputs(workplace / "one"))
    assert package_lines(first) == package_lines(second), (
        "the Debian archive changed between the two builds: try again"
    )
    layout = read_layout(REPOSITORY / "board/allegro/layout.toml")
    different = differing_bytes(first, second)
    if not different:
        return
    where = places(layout, different)
    detail = ""
    if "slot-a" in where:
        detail = differing_files(
            unpack(first, layout, tmp_path / "one"), unpack(second, layout, tmp_path / "two")
        )
    first_places = [hex(at) for at in different[:5]]
    pytest.fail(f"images differ in {', '.join(sorted(where))} at {first_places} ...\n{detail[:4000]}")


@pytest.mark.spec("I1")
def test_comparison_notices_one_byte(tmp_path: Path) -> None:
    """The judge is judged: one changed byte in one of two sparse files is found and located."""
    layout = read_layout(REPOSITORY / "board/allegro/layout.toml")
    for name in ("one", "two"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(layout.size)
            file.seek(layout["slot-a"].start + 3 * PIECE)
            file.write(b"slot")
    assert differing_bytes(tmp_path / "one", tmp_path / "two") == []
    with (tmp_path / "two").open("r+b") as file:
        file.seek(layout["data"].start + 5 * PIECE + 17)
        file.write(b"\x01")
    different = differing_bytes(tmp_path / "one", tmp_path / "two")
    assert different == [layout["data"].start + 5 * PIECE]
    assert places(layout, different) == {"data"}
