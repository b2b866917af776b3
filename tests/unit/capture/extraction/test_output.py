from __future__ import annotations

import fcntl
import os
import stat
import sys
from pathlib import Path

import pytest

from allegro.capture.extraction.contract import Request
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.errors import Conflict, Unavailable
from tests.unit.capture.rings import RUN as T
from tests.unit.capture.rings import Ring


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    return Ring(tmp_path / "ring")


def write(path: Path) -> None:
    path.write_text("mine")


@pytest.mark.spec("T5")
def test_a_file_is_never_replaced(ring: Ring, tmp_path: Path) -> None:
    output = tmp_path / "out.pcapng"
    request = Request(ring.directory, T, T, output)
    output.write_text("mine")
    with pytest.raises(Conflict):
        extract(request, lambda *_: None, Courtesy(None))
    output.unlink()
    with pytest.raises(Conflict, match="exists already"):
        extract(request, lambda *_: write(output), Courtesy(None))
    assert output.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.pcapng", "ring"]


@pytest.mark.spec("T5")
def test_a_file_is_closed_to_others(ring: Ring, tmp_path: Path) -> None:
    output = tmp_path / "out.pcapng"
    extract(Request(ring.directory, T, T, output), lambda *_: None, Courtesy(None))
    assert stat.S_IMODE(output.stat().st_mode) == 0o640


def test_leftovers_are_used_again_but_not_those_of_a_living_process(ring: Ring, tmp_path: Path) -> None:
    request = Request(ring.directory, T, T, tmp_path / "out.pcapng")
    partial = tmp_path / ".out.pcapng.partial"
    partial.write_bytes(bytes(1 << 20))
    with partial.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="already being written"):
            extract(request, lambda *_: None, Courtesy(None))
    result = extract(request, lambda *_: None, Courtesy(None))
    assert request.output.stat().st_size == result.file_size < 1 << 20


def test_an_ended_extraction_leaves_nothing_behind(ring: Ring, tmp_path: Path) -> None:
    def end(*_: object) -> None:
        sys.exit(1)

    request = Request(ring.directory, T, T, tmp_path / "out.pcapng")
    with pytest.raises(SystemExit):
        extract(request, end, Courtesy(None))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ring"]


def test_a_full_disk_and_a_missing_directory_are_told_in_words(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(ring.directory, T, T, tmp_path / "none" / "out.pcapng")
    with pytest.raises(Unavailable, match="cannot be written"):
        extract(request, lambda *_: None, Courtesy(None))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    request = Request(ring.directory, T, T, tmp_path / "out.pcapng")
    with pytest.raises(Unavailable, match="no space left"):
        extract(request, lambda *_: None, Courtesy(None))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ring"]


@pytest.mark.spec("T5")
def test_a_file_system_without_hard_links_will_do(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT and exFAT have none."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    result = extract(Request(ring.directory, T, T, tmp_path / "out.pcapng"), lambda *_: None, Courtesy(None))
    assert (tmp_path / "out.pcapng").stat().st_size == result.file_size
