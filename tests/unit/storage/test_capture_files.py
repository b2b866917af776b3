import os
from pathlib import Path

import pytest

from allegro.errors import Conflict, InvalidInput, NotFound
from allegro.storage import capture_files
from allegro.storage.capture_files import RESERVE, FileInfo, FileStore, checked_name


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    (tmp_path / "upload").mkdir()
    (tmp_path / "b.pcapng").write_bytes(b"12345")
    (tmp_path / "a.pcapng").write_bytes(b"")
    (tmp_path / ".job-1.pcapng").write_bytes(b"hidden")
    (tmp_path / "link.pcapng").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    return FileStore(tmp_path)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose size and time the system is asked for."""
    names: list[str] = []
    ask = capture_files._info

    def noted(entry: "os.DirEntry[str]") -> FileInfo | None:
        names.append(entry.name)
        return ask(entry)

    monkeypatch.setattr(capture_files, "_info", noted)
    return names


@pytest.mark.spec("T5", "W5")
class TestFiles:
    def test_only_visible_regular_files_are_listed(self, store: FileStore) -> None:
        os.utime(store.root / "b.pcapng", ns=(5, 7))
        listed = store.all()
        assert [info.name for info in listed] == ["a.pcapng", "b.pcapng"]
        assert listed[1] == FileInfo("b.pcapng", 5, 7)

    def test_they_are_counted_without_being_asked(self, store: FileStore, asked: list[str]) -> None:
        assert store.count() == 2
        assert FileStore(store.root / "missing").count() == 0
        assert asked == []

    @pytest.mark.spec("W14")
    def test_each_of_ten_thousand_is_asked_once(self, tmp_path: Path, asked: list[str]) -> None:
        names = sorted(f"capture-{number}.pcapng" for number in range(10_000))
        for name in names:
            (tmp_path / name).touch()
        store = FileStore(tmp_path)
        assert [info.name for info in store.all()] == names
        assert len(asked) == len(names)
        asked.clear()
        (tmp_path / names[0]).unlink()
        (tmp_path / "another.pcapng").write_bytes(b"x")
        assert [info.name for info in store.all()] == ["another.pcapng", *names[1:]]
        assert asked == ["another.pcapng"]

    def test_a_new_file_with_the_name_of_one_that_is_gone(self, store: FileStore) -> None:
        store.all()
        (store.root / "new").write_bytes(b"1234567")
        (store.root / "new").rename(store.root / "b.pcapng")
        assert store.all()[1].size == 7

    def test_some_are_looked_for_by_name(self, store: FileStore) -> None:
        found = store.named(["b.pcapng", "nothing", "upload", "b.pcapng"])
        assert [(info.name, info.size) for info in found] == [("b.pcapng", 5)]
        with pytest.raises(InvalidInput):
            store.named(["../x"])

    def test_missing_directory(self, tmp_path: Path) -> None:
        store = FileStore(tmp_path / "missing")
        assert store.all() == []
        assert "no storage device" in store.problem()

    def test_path_and_delete(self, store: FileStore) -> None:
        assert store.path("b.pcapng").read_bytes() == b"12345"
        store.delete("b.pcapng")
        assert not (store.root / "b.pcapng").exists()
        with pytest.raises(NotFound, match=r"b\.pcapng"):
            store.delete("b.pcapng")

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".",
            "..",
            "../x",
            "/etc/passwd",
            "upload/x",
            "a\\b",
            ".job-1.pcapng",
            "a\0b",
            "a\nb",
            " a",
            "a ",
            "é" * 200,
        ],
    )
    def test_names_that_are_none(self, store: FileStore, name: str) -> None:
        for action in (store.path, store.delete, checked_name):
            with pytest.raises(InvalidInput) as caught:
                action(name)
            assert caught.value.place == "name"

    @pytest.mark.parametrize("name", ["upload", "link.pcapng", "pipe", "nothing"])
    def test_what_is_no_regular_file_is_not_there(self, store: FileStore, name: str) -> None:
        for action in (store.path, store.delete):
            with pytest.raises(NotFound):
                action(name)
        assert (store.root / "link.pcapng").is_symlink()

    @pytest.mark.parametrize("name", ["a", "ü ö.pcapng", "x" * 255, "-rf", "$(id)"])
    def test_names_that_are_fine(self, name: str) -> None:
        assert checked_name(name) == name

    def test_delete_that_is_refused(self, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(Path, "unlink", refuse)
        with pytest.raises(Conflict, match="Read-only"):
            store.delete("a.pcapng")


class TestSpace:
    def test_numbers(self, store: FileStore) -> None:
        assert 0 < store.free() <= store.total()
        assert store.problem() == ""

    def test_reserve_is_kept(self, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(FileStore, "free", lambda self: RESERVE)
        assert store.problem() == ""
        assert "1 bytes for the capture" in store.problem(1)
        monkeypatch.setattr(FileStore, "free", lambda self: RESERVE - 1)
        assert "Delete files" in store.problem()

    @pytest.mark.parametrize(
        ("inodes", "left", "refused"), [(1000, 99, True), (1000, 100, False), (0, 0, False)]
    )
    def test_a_file_system_without_inodes(
        self, store: FileStore, monkeypatch: pytest.MonkeyPatch, inodes: int, left: int, refused: bool
    ) -> None:
        blocks = 1 << 20
        there = os.statvfs_result((4096, 4096, blocks, blocks, blocks, inodes, left, left, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _: there)
        assert ("takes no further file, although it has space" in store.problem()) == refused

    def test_read_only(self, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        assert "cannot be written" in store.problem()
