import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from allegro.storage.capture_files import MIB, RESERVE, FileInfo, FileStore
from allegro.storage.room import Room, expendable


@dataclass
class Rules:
    limit_mib: int = 0
    uploaded: str = "make-room"


class Bench:
    """One MiB for each file; the disk has as many as `free`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.rules = Rules()
        self.free = 2
        for name in ("storage", "upload", "sent"):
            (folder / name).mkdir()
        self.room = Room(
            (FileStore(folder / "storage"), FileStore(folder / "upload")),
            FileStore(folder / "sent"),
            lambda: self.rules,
        )
        monkeypatch.setattr(FileStore, "free", lambda _store: RESERVE + (self.free - self.files()) * MIB)

    def add(self, directory: str, *names: str) -> None:
        for age, name in enumerate(names):
            path = self.folder / directory / name
            with path.open("wb") as file:
                file.truncate(MIB)
            os.utime(path, (1000 + age, 1000 + age))

    def there(self, directory: str) -> list[str]:
        return sorted(path.name for path in (self.folder / directory).iterdir())

    def files(self) -> int:
        return sum(len(self.there(name)) for name in ("storage", "upload", "sent"))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


@pytest.mark.spec("W5")
class TestRoom:
    def test_the_oldest_uploaded_ones_go_and_no_more_than_needed(self, bench: Bench) -> None:
        bench.free = 4
        bench.add("sent", "oldest", "old", "new")
        bench.add("storage", "a")
        assert bench.room.problem(2 * MIB) == ""
        assert (bench.there("sent"), bench.there("storage")) == (["new"], ["a"])
        assert bench.room.problem(2 * MIB) == ""
        assert bench.there("sent") == ["new"]

    @pytest.mark.parametrize("uploaded", ["keep", "delete"])
    def test_nothing_goes_unless_switched_on(self, bench: Bench, uploaded: str) -> None:
        bench.rules.uploaded = uploaded
        bench.add("sent", "a", "b")
        assert "not enough free space" in bench.room.problem(MIB)
        assert bench.there("sent") == ["a", "b"]

    def test_what_was_not_uploaded_never_goes(self, bench: Bench) -> None:
        bench.add("storage", "a")
        bench.add("upload", "b")
        assert "not enough free space" in bench.room.problem(MIB)
        assert (bench.there("storage"), bench.there("upload")) == (["a"], ["b"])

    def test_nothing_goes_in_vain(self, bench: Bench) -> None:
        bench.add("sent", "a")
        assert "not enough free space" in bench.room.problem(3 * MIB)
        assert bench.there("sent") == ["a"]

    def test_captures_have_a_limit(self, bench: Bench) -> None:
        bench.free = 100
        bench.rules = Rules(3, "delete")
        bench.add("storage", "a")
        bench.add("upload", "b")
        assert bench.room.problem(MIB) == ""
        assert "take 2.1 MB of 3 MiB (3.1 MB), and about 2.1 MB more" in bench.room.problem(2 * MIB)
        assert bench.room.limit_problem() == ""
        bench.add("sent", "c")
        assert "take 3.1 MB of 3 MiB (3.1 MB)." in bench.room.limit_problem()
        assert bench.room.problem() == bench.room.limit_problem()

    def test_the_limit_makes_room_too(self, bench: Bench) -> None:
        bench.free = 100
        bench.rules = Rules(3)
        bench.add("sent", "a", "b", "c")
        assert bench.room.problem() == ""
        assert bench.there("sent") == ["b", "c"]
        assert bench.room.problem(3 * MIB) == ""
        assert bench.there("sent") == []

    def test_what_can_go_counts_as_free(self, bench: Bench) -> None:
        bench.add("sent", "a", "b")
        assert bench.room.free() == RESERVE + 2 * MIB
        bench.rules.uploaded = "keep"
        assert bench.room.free() == RESERVE

    def test_a_device_that_is_missing_is_told(self, tmp_path: Path) -> None:
        missing = FileStore(tmp_path / "missing")
        assert "no storage device" in Room((missing,), FileStore(tmp_path / "sent"), Rules).problem(MIB)

    @pytest.mark.spec("T1")
    @pytest.mark.parametrize("uploaded", ["keep", "make-room"])
    def test_a_directory_that_cannot_be_read_is_told_too(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, uploaded: str
    ) -> None:
        def refuse(_store: FileStore) -> list[FileInfo]:
            raise OSError(5, "Input/output error")

        bench.rules = Rules(3, uploaded)
        monkeypatch.setattr(FileStore, "all", refuse)
        assert "the storage device does not say (Input/output error)" in bench.room.problem()


def test_files_of_the_same_time_go_by_name() -> None:
    files = [FileInfo("b", 5, 1), FileInfo("a", 5, 1), FileInfo("c", 5, 0)]
    assert [file.name for file in expendable(files, 6)] == ["c", "a"]
    assert expendable(files, 16) == []
    assert expendable(files, 0) == []
