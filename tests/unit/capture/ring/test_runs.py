"""The list of the recorder's runs on a disk that takes no further file."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from allegro.capture.ring import segments
from allegro.capture.ring.segments import Run, read_runs, write_runs

pytestmark = pytest.mark.spec("R5", "R10")


def runs(count: int) -> list[Run]:
    return [Run(number, number, number + 1, ("port1",)) for number in range(1, count + 1)]


def refuse(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("sync", [False, True])
def test_it_is_overwritten_whatever_lay_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: bool
) -> None:
    write_runs(tmp_path, runs(3), sync=sync)
    monkeypatch.setattr(segments, "write_atomically", refuse)
    for count in (4, 100, 2):
        write_runs(tmp_path, runs(count), sync=sync)
        assert read_runs(tmp_path) == runs(count)


def test_without_room_in_it_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_runs(tmp_path, runs(3), sync=False)
    before = (tmp_path / segments.RUNS_FILE).read_bytes()
    monkeypatch.setattr(segments, "write_atomically", refuse)
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_runs(tmp_path, runs(100), sync=False)
    assert (tmp_path / segments.RUNS_FILE).read_bytes() == before


def test_without_the_file_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "write_atomically", refuse)
    with pytest.raises(OSError, match="No space left") as caught:
        write_runs(tmp_path, runs(1), sync=False)
    assert caught.value.errno == errno.ENOSPC
