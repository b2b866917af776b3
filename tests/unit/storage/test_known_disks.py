from collections.abc import Sequence
from pathlib import Path

import pytest

from allegro.errors import Conflict, NotFound, Unavailable
from allegro.storage.known_disks import MOST, KnownDisks, Task
from allegro.storage.volumes import Volume
from tests.unit.storage.playing_disks import VOLUMES

pytestmark = pytest.mark.spec("W5")

STICK = "5f3a-stick"


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "disks.json"
        self.tasks: dict[Task, str] = {}
        self.plugged_in = {STICK}
        self.now = 1000
        self.asked = 0
        self.known = self.started()

    def started(self) -> KnownDisks:
        """As after a start of the program."""
        return KnownDisks(
            *(self.file, lambda: self.tasks, self.plugged_in.__contains__),
            lambda: self.now,
        )

    def look(self) -> None:
        self.known.look(self.volumes)

    def volumes(self) -> Sequence[Volume]:
        self.asked += 1
        return [each for each in VOLUMES if each.uuid in self.plugged_in]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_disk_without_a_task_is_not_remembered(bench: Bench) -> None:
    bench.look()
    bench.known.note(VOLUMES)
    assert (bench.known.all(), bench.asked, bench.file.exists()) == ([], 0, False)


def test_one_with_a_task_is_remembered_while_it_is_unplugged_and_after_a_restart(bench: Bench) -> None:
    bench.tasks["captures"] = STICK
    for _ in range(3):
        bench.look()
    ((disk, tasks),) = bench.known.all()
    assert (disk.label, disk.model, disk.size, disk.gone_ns) == ("ALLEGRO", "Ultra Fit", 32 * 10**9, None)
    assert (tasks, bench.asked) == (("captures",), 1)
    bench.plugged_in.clear()
    for bench.now in (2000, 3000):
        bench.look()
    assert bench.known.all()[0][0].gone_ns == 2000
    bench.known = bench.started()
    bench.now = 4000
    bench.look()
    assert bench.known.all()[0][0].gone_ns == 2000
    bench.plugged_in.add(STICK)
    bench.look()
    assert (bench.known.all()[0][0].gone_ns, bench.asked) == (None, 2)


def test_one_that_was_pulled_while_the_device_was_off_is_missing_since_the_start(bench: Bench) -> None:
    bench.tasks["ring"] = STICK
    bench.look()
    bench.plugged_in.clear()
    bench.known = bench.started()
    bench.now = 5000
    bench.look()
    assert bench.known.all()[0][0].gone_ns == 5000


def test_one_that_was_never_seen_is_listed_by_its_id(bench: Bench) -> None:
    bench.tasks |= {"captures": "0000-gone", "ring": "0000-gone"}
    ((disk, tasks),) = bench.known.all()
    assert (disk.uuid, disk.label, tasks) == ("0000-gone", "", ("captures", "ring"))


def test_only_one_without_a_task_is_forgotten(bench: Bench) -> None:
    bench.tasks["captures"] = STICK
    bench.look()
    with pytest.raises(Conflict):
        bench.known.forget(STICK)
    bench.tasks.clear()
    assert bench.known.all()[0][1] == ()
    assert bench.known.forget(STICK).label == "ALLEGRO"
    with pytest.raises(NotFound):
        bench.known.forget(STICK)
    assert bench.started().all() == []


def test_what_has_been_gone_longest_gives_way_but_never_one_with_a_task(bench: Bench) -> None:
    bench.plugged_in.clear()
    for number in range(MOST + 3):
        bench.tasks["ring"] = f"ring-{number:02}"
        bench.tasks["captures"] = "captures"
        bench.now += 1
        bench.look()
    kept = [disk.uuid for disk, _ in bench.known.all()]
    assert len(kept) == MOST
    assert {"captures", f"ring-{MOST + 2:02}"} < set(kept)
    assert "ring-00" not in kept


def test_disks_that_cannot_be_listed_are_asked_for_again(bench: Bench) -> None:
    def refuse() -> Sequence[Volume]:
        raise Unavailable("The disks cannot be listed.")

    bench.tasks["captures"] = STICK
    bench.known.look(refuse)
    bench.look()
    assert bench.known.all()[0][0].label == "ALLEGRO"


def test_one_that_is_there_and_not_in_the_list_is_asked_for_once(bench: Bench) -> None:
    bench.tasks["captures"] = "odd"
    bench.plugged_in.add("odd")
    for _ in range(3):
        bench.look()
    assert (bench.asked, bench.known.all()[0][0].gone_ns) == (1, None)


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[3]", '[{"later": 1}]', '[{"uuid": "x"}]'])
def test_a_file_that_makes_no_sense_keeps_nothing_back(bench: Bench, content: str) -> None:
    bench.file.write_text(content)
    bench.known = bench.started()
    bench.tasks["captures"] = STICK
    bench.look()
    assert (STICK, ("captures",)) in [(disk.uuid, tasks) for disk, tasks in bench.started().all()]
