import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from allegro.atomic import rename_without_replacing
from allegro.errors import Conflict, NotFound, Unavailable
from allegro.storage import disk_care, file_moving, used_disk
from allegro.storage.capture_files import FileStore
from allegro.storage.disk_care import DiskCare
from allegro.storage.known_disks import KnownDisks, Task
from allegro.storage.used_disk import UsedDisk
from allegro.storage.volumes import Volume
from tests.harness.waiting import wait_for
from tests.unit.storage.playing_disks import STICK as STICK_DISK
from tests.unit.storage.playing_disks import VOLUMES, PlayingMounts
from tests.unit.storage.test_captures import Names

STICK = "5f3a-stick"


class Bench:
    def __init__(self, folder: Path) -> None:
        self.storage = folder / "storage"
        self.storage.mkdir()
        self.wanted = ""
        self.plugged_in = {STICK}
        self.times = 1
        """So often it was plugged in."""
        self.listed: list[Volume] | Unavailable = VOLUMES
        self.mounts = PlayingMounts()
        self.names = Names()
        self.asked = 0
        self.changes: Callable[[], object] = object
        self.disk = UsedDisk(
            *(folder / "disk", lambda: self.wanted, self.volumes, self.mounts),
            *(self.present, lambda _device: self.mounts.mounted in self.plugged_in),
            lambda: self.changes(),
            answers_within_s=0.3,
        )
        tasks: dict[Task, str] = {}
        self.known = KnownDisks(folder / "disks.json", lambda: tasks, self.plugged_in.__contains__)
        self.care = DiskCare(self.disk, FileStore(self.storage), self.names, lambda: None, self.known)

    def present(self, uuid: str) -> int:
        return self.times if uuid in self.plugged_in else 0

    def volumes(self) -> list[Volume]:
        self.asked += 1
        if isinstance(self.listed, Unavailable):
            raise self.listed
        return self.listed

    def choose(self, uuid: str) -> None:
        def keep() -> None:
            self.wanted = uuid

        self.care.choose(uuid, keep)

    def capture(self, name: str) -> None:
        (self.storage / name).write_bytes(b"packets")

    def here(self) -> list[str]:
        return sorted(path.name for path in self.storage.iterdir())

    def there(self) -> list[str]:
        return sorted(path.name for path in self.disk.folder.iterdir())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.spec("W5", "R2")
class TestDisk:
    def test_nothing_is_mounted_that_nobody_has_chosen(self, bench: Bench) -> None:
        bench.care.step()
        assert bench.mounts.mounted == ""
        assert bench.care.problem() == ""

    def test_captures_move_to_the_chosen_one_the_oldest_first(self, bench: Bench) -> None:
        bench.capture("a")
        bench.choose(STICK)
        assert (bench.mounts.mounted, bench.wanted, bench.disk.is_usable()) == (STICK, STICK, True)
        bench.care.step()
        assert (bench.here(), bench.there()) == ([], ["a"])
        assert bench.names.moved == [("a", "a", "disk")]

    def test_one_that_is_plugged_in_again_between_two_looks_is_used_again(self, bench: Bench) -> None:
        bench.choose(STICK)
        bench.care.remove()
        bench.care.step()
        assert bench.mounts.mounted == ""
        bench.times += 1
        bench.care.step()
        assert bench.mounts.mounted == STICK

    def test_each_time_it_is_plugged_in_it_is_another_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        disk, by_uuid, block = (tmp_path / name for name in ("sdb", "by-uuid", "block"))
        for folder in (disk / "sdb1", by_uuid, block):
            folder.mkdir(parents=True)
        (block / "sdb1").symlink_to(disk / "sdb1")
        (by_uuid / STICK).symlink_to("../../sdb1")
        monkeypatch.setattr(disk_care, "_BY_UUID", by_uuid)
        monkeypatch.setattr(disk_care, "_BLOCK", block)
        found = [disk_care.is_present(STICK)]
        for sequence in (7, 9):
            (disk / "diskseq").write_text(f"{sequence}\n")
            found.append(disk_care.is_present(STICK))
        assert [disk_care.is_present("nothing"), *found] == ["", "sdb1", "sdb1 7", "sdb1 9"]

    def test_one_that_stands_still_keeps_nobody_waiting_and_is_not_called_safe(self, bench: Bench) -> None:
        bench.choose(STICK)
        bench.mounts.answers.clear()
        for _ in range(2):
            with pytest.raises(Unavailable, match="what it has not written yet is lost"):
                bench.care.remove()
            assert not bench.disk.is_usable()
        bench.capture("a")
        bench.care.step()
        assert (bench.here(), bench.disk.reason) == (["a"], "It does not answer.")
        bench.mounts.answers.set()
        wait_for(lambda: not bench.disk.mounted, "the end of letting it go", 10)
        bench.care.step()
        assert (bench.here(), bench.disk.reason) == (["a"], "It can be pulled.")
        bench.choose(STICK)
        bench.care.step()
        assert bench.there() == ["a"]

    def test_one_that_answers_late_is_used_then(self, bench: Bench) -> None:
        bench.wanted = STICK
        bench.mounts.answers.clear()
        with pytest.raises(Unavailable, match="does not answer"):
            bench.choose(STICK)
        bench.care.step()
        assert "It does not answer." in bench.care.problem()
        bench.mounts.answers.set()
        wait_for(lambda: bench.disk.mounted, "the disk", 10)
        bench.care.step()
        assert (bench.care.problem(), bench.disk.is_usable()) == ("", True)

    @pytest.mark.parametrize(("uuid", "error"), [("nothing", NotFound), ("0b1c-ssd", Conflict)])
    def test_what_cannot_be_used_is_not_chosen(self, bench: Bench, uuid: str, error: type[Exception]) -> None:
        bench.choose(STICK)
        with pytest.raises(error):
            bench.choose(uuid)
        assert (bench.mounts.mounted, bench.wanted) == (STICK, STICK)

    def test_a_damaged_one_is_told_and_not_tried_again_and_again(self, bench: Bench) -> None:
        bench.mounts.refuses = "Its file system is damaged."
        with pytest.raises(Unavailable, match="damaged"):
            bench.choose(STICK)
        assert bench.wanted == ""
        bench.wanted = STICK
        bench.care.step()
        assert "Its file system is damaged." in bench.care.problem()
        bench.mounts.refuses = ""
        bench.care.step()
        assert bench.mounts.mounted == ""
        bench.plugged_in.clear()
        bench.care.step()
        bench.plugged_in.add(STICK)
        bench.care.step()
        assert bench.mounts.mounted == STICK

    @pytest.mark.parametrize(
        ("listed", "words"),
        [
            (Unavailable("The disks cannot be listed (lsblk)."), "cannot be listed"),
            ([*VOLUMES, Volume("/dev/sdc1", STICK, "exfat", "", 32 * 10**9, STICK_DISK)], "same id"),
            ([], "no disk with the id"),
        ],
    )
    def test_what_speaks_against_one_at_the_moment_is_looked_at_again(
        self, bench: Bench, listed: list[Volume] | Unavailable, words: str
    ) -> None:
        bench.wanted = STICK
        bench.listed = listed
        bench.care.step()
        assert words in bench.care.problem()
        bench.listed = VOLUMES
        bench.care.step()
        assert (bench.mounts.mounted, bench.care.problem()) == (STICK, "")

    def test_a_lasting_objection_is_not_looked_into_again_and_again(self, bench: Bench) -> None:
        bench.wanted = "0b1c-ssd"
        bench.plugged_in.add("0b1c-ssd")
        bench.changes = lambda: "the same"
        for _ in range(29):
            bench.care.step()
        assert bench.asked == 1
        assert "left alone" in bench.care.problem()
        bench.changes = lambda: "something was plugged in or pulled"
        bench.care.step()
        assert bench.asked == 2
        for _ in range(60):
            bench.care.step()
        assert bench.asked == 4

    def test_it_is_let_go_for_a_change_of_its_own_and_used_again(self, bench: Bench) -> None:
        bench.choose(STICK)
        with bench.care.apart(STICK) as volume:
            assert (bench.mounts.mounted, volume.path) == ("", "/dev/sdb1")
        assert (bench.mounts.mounted, bench.disk.is_usable()) == (STICK, True)
        bench.mounts.in_use = True
        with pytest.raises(Conflict, match="in use"), bench.care.apart(STICK):
            raise AssertionError
        assert bench.mounts.mounted == STICK

    def test_pulled_and_plugged_in_again_nothing_is_lost(self, bench: Bench) -> None:
        bench.choose(STICK)
        bench.plugged_in.clear()
        bench.capture("a")
        bench.care.step()
        assert (bench.mounts.mounted, bench.here()) == ("", ["a"])
        assert "not plugged in" in bench.care.problem()
        bench.plugged_in.add(STICK)
        bench.care.step()
        assert (bench.mounts.mounted, bench.here(), bench.there()) == (STICK, [], ["a"])
        assert bench.care.problem() == ""

    def test_removed_safely_it_stays_let_go_until_it_is_plugged_in_again(self, bench: Bench) -> None:
        bench.choose(STICK)
        bench.care.remove()
        bench.capture("a")
        bench.care.step()
        assert (bench.mounts.mounted, bench.here()) == ("", ["a"])
        bench.plugged_in.clear()
        bench.care.step()
        bench.plugged_in.add(STICK)
        bench.care.step()
        assert bench.here() == []
        bench.care.remove()
        with pytest.raises(Conflict, match="No disk"):
            bench.care.remove()

    def test_one_in_use_is_not_let_go(self, bench: Bench) -> None:
        bench.choose(STICK)
        bench.mounts.in_use = True
        for action in (bench.care.remove, lambda: bench.choose("")):
            with pytest.raises(Conflict, match="in use"):
                action()
        assert (bench.mounts.mounted, bench.wanted) == (STICK, STICK)

    def test_another_choice_waits_for_the_end_of_what_uses_it(self, bench: Bench) -> None:
        bench.choose(STICK)
        bench.mounts.in_use = True
        bench.wanted = "another"
        bench.care.step()
        assert "in use" in bench.care.problem()
        bench.mounts.in_use = False
        bench.care.step()
        assert (bench.mounts.mounted, bench.disk.reason) == ("", "It is not plugged in.")

    def test_back_to_the_device(self, bench: Bench) -> None:
        bench.choose(STICK)
        bench.choose("")
        bench.capture("a")
        bench.care.step()
        assert (bench.mounts.mounted, bench.here()) == ("", ["a"])

    def test_a_full_disk_is_told_and_looked_at_again_later(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench.choose(STICK)
        with (bench.storage / "large").open("wb") as file:
            file.truncate(1 << 43)
        bench.care.step()
        assert "large cannot be moved" in bench.care.problem()
        assert "it is full" in bench.care.problem()
        bench.capture("large")
        for _ in range(20):
            bench.care.step()
        assert (bench.here(), bench.care.problem()) == ([], "")

    def test_a_capture_that_the_disk_refuses_keeps_no_other_from_moving(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(source: Path, target: Path) -> None:
            if target.name == "odd":
                raise OSError(22, "Invalid argument")
            rename_without_replacing(source, target)

        monkeypatch.setattr(file_moving, "rename_without_replacing", refuse)
        bench.choose(STICK)
        for age, name in enumerate(("odd", "large", "b", "c")):
            bench.capture(name)
            if name == "large":
                os.truncate(bench.storage / name, 1 << 43)
            os.utime(bench.storage / name, (1000 + age, 1000 + age))
        bench.care.step()
        assert (bench.here(), bench.there()) == (["large", "odd"], ["b", "c"])
        assert "odd cannot be moved" in bench.care.problem()

    def test_on_a_full_disk_no_other_is_tried(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        tried: list[str] = []

        def refuse(file: Path, *_: object) -> str:
            tried.append(file.name)
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(file_moving, "moved", refuse)
        monkeypatch.setattr(file_moving, "is_full", lambda _folder: True)
        bench.choose(STICK)
        bench.capture("a")
        bench.capture("b")
        bench.care.step()
        assert tried == ["a"]
        assert "it is full" in bench.care.problem()

    @pytest.mark.timeout(60)
    def test_a_disk_that_stands_still_is_told_and_holds_nobody_up(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        still, asked = threading.Event(), threading.Event()
        system_fsync = os.fsync

        def fsync(descriptor: int) -> None:
            asked.set()
            still.wait()
            system_fsync(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(disk_care, "_SILENT_AFTER_S", 0.1)
        bench.choose(STICK)
        bench.capture("a")
        moving = threading.Thread(target=bench.care.step)
        moving.start()
        try:
            assert asked.wait(30)
            wait_for(bench.care.problem, "a word of it", 30)
            assert "It does not answer" in bench.care.problem()
            assert [file.name for file in bench.care.files.all()] == []
        finally:
            still.set()
            moving.join()
        assert (bench.here(), bench.there(), bench.care.problem()) == ([], ["a"], "")

    def test_a_disk_that_does_not_say_what_is_on_it_is_told(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        still = threading.Event()
        monkeypatch.setattr(FileStore, "count", lambda _: still.wait())
        monkeypatch.setattr(disk_care, "_SAYS_WITHIN_S", 0.05)
        bench.choose(STICK)
        care = DiskCare(bench.disk, FileStore(bench.storage), bench.names, lambda: None, bench.known)
        with pytest.raises(OSError, match="timed out"):
            care.files.count()
        wait_for(care.problem, "a word of it", 30)
        assert "It does not answer" in care.problem()
        still.set()
        wait_for(lambda: not care.problem(), "its answer", 30)

    @pytest.mark.timeout(60)
    def test_pipes_of_a_prepared_disk_keep_nobody_waiting(self, bench: Bench) -> None:
        bench.disk.folder.mkdir(parents=True)
        for name in (".allegro-probe", ".allegro-moving.partial", "a"):
            os.mkfifo(bench.disk.folder / name)
        bench.choose(STICK)
        bench.capture("a")
        bench.care.step()
        assert (bench.here(), bench.there()) == ([], ["a", "a_2"])

    def test_what_a_power_cut_left_of_a_move_is_removed_when_the_disk_is_used_again(
        self, bench: Bench
    ) -> None:
        bench.disk.folder.mkdir(parents=True)
        for name in (".allegro-moving.partial", ".allegro-probe", "a"):
            (bench.disk.folder / name).write_bytes(b"half")
        bench.choose(STICK)
        assert bench.there() == ["a"]

    def test_readers_have_a_moment_to_leave_it(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(used_disk, "_LOOK_WHETHER_FREE_S", 0.01)
        unmount, asked = bench.mounts.unmount, []

        def busy(place: Path, *, at_once: bool = False) -> None:
            asked.append(place)
            bench.mounts.in_use = len(asked) < 4
            unmount(place, at_once=at_once)

        monkeypatch.setattr(bench.mounts, "unmount", busy)
        bench.disk._readers_leave_s = 60.0
        bench.choose(STICK)
        bench.care.remove()
        assert (len(asked), bench.mounts.mounted) == (4, "")

    def test_what_a_stranger_left_in_the_way_is_not_followed(self, bench: Bench, tmp_path: Path) -> None:
        bench.disk.place.mkdir()
        (bench.disk.place / "allegro").write_bytes(b"a file")
        with pytest.raises(Conflict, match="Nothing can be written"):
            bench.choose(STICK)
        assert bench.mounts.mounted == ""
