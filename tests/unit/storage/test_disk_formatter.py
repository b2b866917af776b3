"""What may be formatted. That it is, with a real file system, shows tests/host/test_capture_disk.py."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from allegro.errors import Conflict, InvalidInput, NotFound
from allegro.storage import disk_formatter
from allegro.storage.capture_files import FileStore
from allegro.storage.disk_care import DiskCare
from allegro.storage.disk_formatter import Formatter
from allegro.storage.disks import Disk
from allegro.storage.formatting import Wish
from allegro.storage.used_disk import UsedDisk
from allegro.system.actions import Actions
from tests.unit.storage.playing_disks import STICK, VOLUMES, PlayingMounts, unknown
from tests.unit.storage.test_captures import Names

pytestmark = pytest.mark.spec("W5")

WISH = Wish("exfat", "ALLEGRO")
OWN = Disk("sda", "/dev/sda", 8 * 10**9)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.disks: Sequence[Disk] = [OWN]
        self.wanted = "5f3a-stick"
        self.actions = Actions()
        self.mounts = PlayingMounts()
        self.disk = UsedDisk(
            *(folder / "disk", lambda: self.wanted, lambda: VOLUMES, self.mounts),
            *(lambda _uuid: True, lambda _device: True),
        )
        care = DiskCare(self.disk, FileStore(folder), Names(), lambda: None, unknown(folder))
        self.formatter = Formatter(self.actions, care, lambda: "sda", disks=lambda: self.disks)

    def plug(self, path: Path, **values: object) -> Disk:
        """A disk whose device is a file, which nobody can claim."""
        path.write_bytes(b"")
        disk = replace(STICK, path=str(path), **values)  # type: ignore[arg-type]
        self.disks = [OWN, disk]
        return disk


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_disk_that_the_system_runs_from_is_never_offered(bench: Bench, tmp_path: Path) -> None:
    other = bench.plug(tmp_path / "sdb")
    root = replace(other, name="sdc", runs_system=True)
    bench.disks = [*bench.disks, root, replace(other, name="loop0", kind="loop")]
    assert [each.disk for each in bench.formatter.candidates()] == [other]
    with pytest.raises(Conflict, match="runs from sda"):
        bench.formatter.start("/dev/sda", "sda", WISH)
    for name in ("sdc", "loop0", "sdx"):
        with pytest.raises(NotFound):
            bench.formatter.start(name, name, WISH)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"uses": ("/dev/sdb1 is mounted at /mnt",)}, "mounted at /mnt"),
        ({"uses": ("part of the RAID /dev/md0",)}, "RAID"),
        ({"read_only": True}, "write-protected"),
        ({"size": 1 << 20}, "too small"),
        ({"path": "/nowhere"}, "does not answer"),
    ],
)
def test_what_is_in_use_is_refused_with_the_reason(
    bench: Bench, tmp_path: Path, values: dict[str, object], words: str
) -> None:
    disk = bench.plug(tmp_path / "sdb")
    bench.disks = [replace(disk, **values)]  # type: ignore[arg-type]
    (found,) = bench.formatter.candidates()
    assert words in "; ".join(found.objections)
    with pytest.raises(Conflict, match=words):
        bench.formatter.start("sdb", "sdb", WISH)
    assert bench.actions.all() == ()


def test_nothing_is_formatted_without_the_users_word_or_another_disk_than_he_saw(
    bench: Bench, tmp_path: Path
) -> None:
    bench.plug(tmp_path / "sdb", holds=("old (ntfs)",))
    with pytest.raises(InvalidInput, match="not confirmed") as refused:
        bench.formatter.start("sdb", "sda", WISH)
    assert refused.value.place == "confirm"
    with pytest.raises(Conflict, match="Another disk is called sdb now"):
        bench.formatter.start("sdb", "sdb", WISH, seen=7)
    with pytest.raises(InvalidInput, match="too long"):
        bench.formatter.start("sdb", "sdb", Wish("exfat", "twelve_lette"))
    bench.actions.start("install", "Copying slot-a.")
    with pytest.raises(Conflict, match="Copying slot-a"):
        bench.formatter.start("sdb", "sdb", WISH)


def test_what_is_being_formatted_is_not_mounted_and_nothing_else_is_formatted_meanwhile(bench: Bench) -> None:
    bench.disk.leave_alone("sdb")
    bench.disk.look()
    assert (bench.mounts.mounted, bench.disk.reason) == ("", "It is being formatted.")
    with pytest.raises(Conflict, match="sdb is being formatted"):
        bench.formatter.start("sdc", "sdc", WISH)
    bench.disk.leave_alone("")
    bench.disk.look()
    assert bench.mounts.mounted == "5f3a-stick"


def test_one_that_is_being_formatted_is_not_touched_by_who_looks_at_the_list(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plug(tmp_path / "sdb")
    asked: list[tuple[str, ...]] = []

    def nobody_has(paths: tuple[str, ...]) -> bool:
        asked.append(paths)
        return False

    monkeypatch.setattr(disk_formatter, "is_claimed", nobody_has)
    goes_on, ended = Event(), Event()
    monkeypatch.setattr(Formatter, "_format", lambda *_: goes_on.wait(20))
    bench.formatter.start("sdb", "sdb", WISH, ended=lambda _text: ended.set())
    assert len(asked) == 1
    assert [each.objections for each in bench.formatter.candidates()] == [("it is being formatted already",)]
    assert len(asked) == 1
    goes_on.set()
    assert ended.wait(20)
    assert [each.objections for each in bench.formatter.candidates()] == [()]


def test_who_is_refused_leaves_the_disk_to_others(bench: Bench) -> None:
    with pytest.raises(NotFound):
        bench.formatter.start("sdb", "sdb", WISH)
    bench.disk.look()
    assert bench.mounts.mounted == "5f3a-stick"


def test_a_disk_that_cannot_be_used_gets_no_name(bench: Bench) -> None:
    with pytest.raises(Conflict, match="left alone"):
        bench.formatter.rename("0b1c-ssd", "A")
    with pytest.raises(NotFound):
        bench.formatter.rename("nothing", "A")
