from pathlib import Path
from typing import NoReturn

import pytest

from allegro.atomic import rename_without_replacing
from allegro.errors import Conflict, InvalidInput, NotFound, Unavailable
from allegro.storage import captures as captures_module
from allegro.storage.capture_files import FileStore
from allegro.storage.captures import Captures

NAME = "a.pcapng"


class Names:
    """The list of captures."""

    def __init__(self) -> None:
        self.used = {NAME, "sent.pcapng"}
        self.moved: list[tuple[str, str, str]] = []

    def uses_name(self, file: str) -> bool:
        return file in self.used

    def file_moved(self, old: str, new: str, directory: str) -> None:
        self.moved.append((old, new, directory))


class Bench:
    def __init__(self, folder: Path) -> None:
        self.storage, self.upload = folder / "storage", folder / "storage/upload"
        self.storage.mkdir()
        self.names = Names()
        self.sending: set[str] = set()
        stores = {"storage": FileStore(self.storage), "upload": FileStore(self.upload)}
        self.captures = Captures(stores, self.names, self.sending.__contains__)  # type: ignore[arg-type]
        (self.storage / NAME).write_bytes(b"packets")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.spec("W5")
class TestMove:
    def test_a_file_gets_another_name(self, bench: Bench) -> None:
        moved = bench.captures.move(NAME, "the call with Bob.pcapng")
        assert (moved.file.name, moved.directory, moved.file.size) == (
            "the call with Bob.pcapng",
            "storage",
            7,
        )
        assert [path.name for path in bench.storage.iterdir()] == ["the call with Bob.pcapng"]
        assert bench.names.moved == [(NAME, "the call with Bob.pcapng", "storage")]

    def test_into_the_queue_and_back(self, bench: Bench) -> None:
        assert bench.captures.move(NAME, directory="upload").directory == "upload"
        assert (bench.upload / NAME).read_bytes() == b"packets"
        assert bench.captures.path(NAME) == bench.upload / NAME
        bench.captures.move(NAME, directory="storage")
        assert (bench.storage / NAME).exists()
        assert bench.names.moved == [(NAME, NAME, "upload"), (NAME, NAME, "storage")]

    def test_both_at_once_or_nothing(self, bench: Bench) -> None:
        assert bench.captures.move(NAME, "b", "upload").file.name == "b"
        assert bench.captures.move("b").file.name == "b"
        assert bench.captures.move("b", "b", "upload").directory == "upload"
        assert bench.names.moved == [(NAME, "b", "upload")]

    @pytest.mark.parametrize("name", ["there", "waiting", "sent.pcapng", "folder", "link"])
    def test_no_name_is_taken_from_another(self, bench: Bench, name: str) -> None:
        bench.upload.mkdir()
        (bench.storage / "there").write_bytes(b"x")
        (bench.upload / "waiting").write_bytes(b"x")
        (bench.storage / "folder").mkdir()
        (bench.storage / "link").symlink_to("nowhere")
        with pytest.raises(Conflict, match=name):
            bench.captures.move(NAME, name)
        assert (bench.storage / NAME).exists()
        assert bench.names.moved == []

    def test_a_name_that_somebody_takes_meanwhile_is_left_alone(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rename = rename_without_replacing

        def after_another(old: Path, new: Path) -> None:
            new.write_bytes(b"another")
            rename(old, new)

        monkeypatch.setattr(captures_module, "rename_without_replacing", after_another)
        with pytest.raises(Conflict):
            bench.captures.move(NAME, "b")
        assert (bench.storage / "b").read_bytes() == b"another"

    @pytest.mark.parametrize("name", ["", "../b", ".b", "a/b", "a\nb", "b ", "é" * 200])
    def test_the_rules_for_names_hold(self, bench: Bench, name: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            bench.captures.move(NAME, name)
        assert caught.value.place == "name"
        with pytest.raises(InvalidInput):
            bench.captures.move(name, "b")

    @pytest.mark.parametrize("name", ["upload", "sent", "Sent"])
    def test_a_directory_of_captures_gives_no_name(self, bench: Bench, name: str) -> None:
        for wanted in ({"new_name": name}, {"new_name": name, "directory": "upload"}):
            with pytest.raises(InvalidInput, match="directory of captures"):
                bench.captures.move(NAME, **wanted)  # type: ignore[arg-type]
        assert [path.name for path in bench.storage.iterdir()] == [NAME]

    def test_a_file_with_the_name_of_a_directory_is_no_obstacle(self, bench: Bench) -> None:
        bench.upload.write_bytes(b"of before")
        assert [(one.file.name, one.directory) for one in bench.captures.all()] == [
            (NAME, "storage"),
            ("upload", "storage"),
        ]
        assert [one.directory for one in bench.captures.named([NAME])] == ["storage"]
        with pytest.raises(NotFound):
            bench.captures.path("nothing")
        assert FileStore(bench.upload).count() == 0
        assert bench.captures.move("upload", "renamed").file.name == "renamed"
        assert bench.captures.move(NAME, directory="upload").directory == "upload"

    def test_what_is_not_there_cannot_be_moved(self, bench: Bench) -> None:
        with pytest.raises(NotFound):
            bench.captures.move("nothing", "b")

    @pytest.mark.spec("X3")
    def test_what_is_just_being_sent_stays_where_it_is(self, bench: Bench) -> None:
        bench.captures.move(NAME, directory="upload")
        bench.sending.add(NAME)
        for wanted in ({"new_name": "b"}, {"directory": "storage"}):
            with pytest.raises(Conflict, match="just being sent"):
                bench.captures.move(NAME, **wanted)  # type: ignore[arg-type]
        assert bench.captures.move(NAME, directory="upload").directory == "upload"

    def test_a_disk_that_refuses_is_told(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(old: Path, new: Path) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(captures_module, "rename_without_replacing", refuse)
        with pytest.raises(Unavailable, match="Read-only"):
            bench.captures.move(NAME, "b")
        assert bench.names.moved == []


@pytest.mark.spec("W5")
def test_a_disk_that_is_just_being_pulled_holds_nothing(bench: Bench) -> None:
    class Pulled(FileStore):
        def refuse(self, *_: object) -> NoReturn:
            raise OSError(5, "Input/output error")

        all = named = path = refuse  # type: ignore[assignment]

    stores = {"storage": FileStore(bench.storage), "disk": Pulled(bench.storage)}
    captures = Captures(stores, bench.names, bench.sending.__contains__)  # type: ignore[arg-type]
    assert [one.file.name for one in captures.all()] == [NAME]
    assert [one.file.name for one in captures.named([NAME])] == [NAME]
    for ask in (captures.path, captures.delete):
        with pytest.raises(Unavailable, match=r"nothing may lie, .* cannot be read \(Input/output error"):
            ask("nothing")
    own = Captures({"storage": Pulled(bench.storage)}, bench.names, bench.sending.__contains__)
    with pytest.raises(OSError, match="Input/output"):
        own.all()


@pytest.mark.spec("W5")
def test_files_are_found_wherever_they_lie(bench: Bench) -> None:
    bench.upload.mkdir()
    (bench.upload / "b").write_bytes(b"x")
    assert [(one.file.name, one.directory) for one in bench.captures.all()] == [
        (NAME, "storage"),
        ("b", "upload"),
    ]
    assert [one.file.name for one in bench.captures.named(["b", "nothing"])] == ["b"]
    bench.captures.delete("b")
    with pytest.raises(NotFound):
        bench.captures.path("b")
