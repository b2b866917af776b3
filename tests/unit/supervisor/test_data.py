import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from allegro.errors import Unavailable
from allegro.paths import Paths
from allegro.supervisor.assembly import job_store, make_directories
from allegro.supervisor.data import data_problem


def read_only(monkeypatch: pytest.MonkeyPatch, *, mounted: bool) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    monkeypatch.setattr(Path, "is_mount", lambda path: mounted)


def test_a_folder_that_can_be_written_is_no_problem(tmp_path: Path) -> None:
    assert data_problem(tmp_path) == ""


def test_what_is_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_problem(tmp_path / "missing") == "it does not answer (No such file or directory)."
    read_only(monkeypatch, mounted=True)
    assert data_problem(tmp_path).startswith("it is read-only")
    read_only(monkeypatch, mounted=False)
    assert data_problem(tmp_path).startswith("it is missing")


def test_without_a_data_partition_presses_are_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_only(monkeypatch, mounted=False)
    store = job_store(Paths(tmp_path / "data", tmp_path / "run"))
    assert store.refuses == "The data partition cannot be used: it is missing or could not be mounted."
    store.close()


def test_the_directories_of_captures_are_there_from_the_start(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "data", tmp_path / "run")
    make_directories(paths)
    make_directories(paths)
    assert sorted(path.name for path in paths.storage.iterdir()) == ["sent", "upload"]
    paths.sent.rmdir()
    paths.sent.write_bytes(b"a capture that was given this name")
    with pytest.raises(Unavailable, match="The file sent is where a directory belongs"):
        make_directories(paths)
    assert paths.upload.is_dir()


def test_a_list_that_cannot_be_opened_is_told_as_such(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "run")
    paths.database.mkdir(parents=True)
    store = job_store(paths)
    assert store.refuses == "Its list cannot be opened."
    store.close()


def test_a_good_list_refuses_nothing(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "run")
    paths.state.mkdir()
    store = job_store(paths)
    assert store.refuses == ""
    store.close()
