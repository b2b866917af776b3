import errno
import os
from pathlib import Path

import pytest

from allegro.atomic import rename_without_replacing
from allegro.storage import file_moving
from allegro.storage.capture_files import NAME_MAX
from allegro.storage.file_moving import is_full, moved, reason

NAME = "a.pcapng"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    made = tmp_path / "here" / NAME
    made.write_bytes(os.urandom(100_000))
    os.utime(made, ns=(5, 7_000_000_000))
    return made


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def yes() -> bool:
    return True


@pytest.mark.spec("W5")
class TestMoving:
    def test_a_file_is_there_as_it_was_and_not_here(self, file: Path, there: Path) -> None:
        content = file.read_bytes()
        assert moved(file, there, yes) == NAME
        assert (there / NAME).read_bytes() == content
        assert (there / NAME).stat().st_mtime_ns == 7_000_000_000
        assert (names(file.parent), names(there)) == ([], [NAME])

    def test_a_name_that_is_taken_is_left_alone(self, file: Path, there: Path) -> None:
        (there / NAME).write_bytes(b"another")
        assert moved(file, there, yes) == "a_2.pcapng"
        assert (there / NAME).read_bytes() == b"another"

    def test_the_longest_name_moves(self, file: Path, there: Path) -> None:
        longest = file.rename(file.with_name("n" * NAME_MAX))
        assert moved(longest, there, yes) == longest.name
        assert names(there) == [longest.name]

    def test_letters_that_other_systems_refuse_are_replaced(self, file: Path, there: Path) -> None:
        (there / "the call_ why_").write_bytes(b"another")
        odd = file.rename(file.with_name("the call: why?"))
        assert moved(odd, there, yes, lambda name: name.endswith("_2")) == "the call_ why__3"
        assert names(odd.parent) == []

    def test_a_disk_is_full_without_room_for_anything(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not is_full(tmp_path)
        monkeypatch.setattr(file_moving, "RESERVE", 1 << 60)
        assert is_full(tmp_path)

    def test_what_a_power_cut_left_on_both_disks_is_not_moved_twice(self, file: Path, there: Path) -> None:
        (there / NAME).write_bytes(file.read_bytes())
        assert moved(file, there, yes) == NAME
        assert (names(file.parent), names(there)) == ([], [NAME])

    @pytest.mark.parametrize("at", [0, 1])
    def test_the_comparison_with_what_is_there_can_be_broken_off(
        self, file: Path, there: Path, at: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(file_moving, "_CHUNK", 60_000)
        (there / NAME).write_bytes(file.read_bytes())
        answers = iter([True] * at + [False])
        assert moved(file, there, lambda: next(answers)) is None
        assert (names(file.parent), names(there)) == ([NAME], [NAME])

    def test_another_file_of_the_same_size_is_another(self, file: Path, there: Path) -> None:
        (there / NAME).write_bytes(file.read_bytes()[:-1] + b"\0")
        file.write_bytes(file.read_bytes()[:-1] + b"\1")
        assert moved(file, there, yes) == "a_2.pcapng"

    @pytest.mark.parametrize("at", [0, 1])
    def test_it_can_be_broken_off(
        self, file: Path, there: Path, at: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(file_moving, "_CHUNK", 60_000)
        answers = iter([True] * at + [False])
        assert moved(file, there, lambda: next(answers)) is None
        assert (names(file.parent), names(there)) == ([NAME], [])

    def test_a_file_that_is_deleted_meanwhile_is_gone(self, file: Path, there: Path) -> None:
        def delete() -> bool:
            file.unlink()
            return True

        assert moved(file, there, delete) is None
        assert names(there) == []
        assert moved(file, there, yes) is None

    @pytest.mark.parametrize("deleted", [True, False])
    def test_what_becomes_of_a_file_in_the_last_moment_holds(
        self, file: Path, there: Path, monkeypatch: pytest.MonkeyPatch, deleted: bool
    ) -> None:
        def after_another(source: Path, target: Path) -> None:
            if deleted:
                file.unlink()
            else:
                file.rename(file.with_name("renamed"))
                file.write_bytes(b"another")
            rename_without_replacing(source, target)

        monkeypatch.setattr(file_moving, "rename_without_replacing", after_another)
        assert moved(file, there, yes) is None
        assert names(there) == []
        assert names(file.parent) == ([] if deleted else [NAME, "renamed"])

    def test_a_disk_that_is_pulled_keeps_the_file_here(self, file: Path, there: Path) -> None:
        there.rmdir()
        with pytest.raises(FileNotFoundError):
            moved(file, there, yes)
        assert names(file.parent) == [NAME]

    @pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
    def test_a_disk_that_refuses_keeps_the_file_here(
        self, file: Path, there: Path, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_descriptor: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match=os.strerror(number)):
            moved(file, there, yes)
        assert (names(file.parent), names(there)) == ([NAME], [])

    def test_a_disk_without_room_is_not_begun(self, file: Path, there: Path) -> None:
        with file.open("wb") as large:
            large.truncate(1 << 43)
        with pytest.raises(OSError, match="it is full"):
            moved(file, there, yes)
        assert names(there) == []

    def test_a_disk_without_inodes_is_not_begun(
        self, file: Path, there: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(file_moving, "files_left", lambda _folder: 0)
        with pytest.raises(OSError, match="takes no further file") as caught:
            moved(file, there, yes)
        assert caught.value.errno == errno.ENOSPC
        assert is_full(there)
        assert names(there) == []

    def test_which_disk_has_a_bad_sector_is_told(
        self, file: Path, there: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as broken:
            broken.setattr(os, "pread", refuse)
            with pytest.raises(OSError) as caught:
                moved(file, there, yes)
        assert reason(caught.value) == ("it cannot be read from the device's own disk (Input/output error)")
        assert (names(file.parent), names(there)) == ([NAME], [])

    @pytest.mark.parametrize(
        ("number", "words"),
        [
            (errno.ENOSPC, "it is full"),
            (errno.EIO, "it reports an error (Input/output error)"),
            (errno.EROFS, "it takes no writes, as it is write-protected or its file system has an error"),
            (errno.EFBIG, "File too large"),
        ],
    )
    def test_reasons_are_told_in_words(self, number: int, words: str) -> None:
        assert reason(OSError(number, os.strerror(number))) == words
