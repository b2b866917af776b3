from pathlib import Path

import pytest

from allegro.errors import NotFound
from allegro.keeping import copy_of
from allegro.settings import past_changes
from allegro.settings.past_changes import MOST, PastChanges
from allegro.settings.settings_file import SettingsStore

pytestmark = pytest.mark.spec("W9")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.store = SettingsStore(folder / "settings.json")
        self.path = folder / "changes.json"
        self.past = PastChanges(self.path, iter(range(1, 1000)).__next__)

    def change(self, who: str, **trigger: object) -> None:
        self.past.note(*self.store.change({"trigger": trigger}), who)

    def seconds(self) -> int:
        return self.store.current.trigger.before_s


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_who_when_and_what_newest_first_also_after_a_restart(bench: Bench) -> None:
    bench.change("anna", before_s=70)
    bench.change("", before_s=80, after_s=5)
    for past in (bench.past, PastChanges(bench.path)):
        told = past.all(bench.store.current)
        assert [(each.id, each.time_ns, each.who) for each in told] == [(2, 2, ""), (1, 1, "anna")]
        shown = [[(one.place, one.before, one.after) for one in each.differences] for each in told]
        assert shown == [
            [("trigger.before_s", 70, 80), ("trigger.after_s", 0, 5)],
            [("trigger.before_s", 60, 70)],
        ]


def test_the_way_back_undoes_a_change_and_all_later_ones(bench: Bench) -> None:
    for seconds in (70, 80, 90):
        bench.change("anna", before_s=seconds)
    bench.change("anna", after_s=9)
    back = bench.past.way_back(2, bench.store.current)
    assert back == {"trigger": {"before_s": 70, "after_s": 0}}
    bench.past.note(*bench.store.change(back), "bert")
    assert (bench.seconds(), bench.store.current.trigger.after_s) == (70, 0)
    again = bench.past.way_back(5, bench.store.current)
    assert again == {"trigger": {"before_s": 90, "after_s": 9}}, "going back can be undone, too"
    with pytest.raises(NotFound):
        bench.past.way_back(6, bench.store.current)


def test_secrets_come_back_and_the_file_is_for_root_alone(bench: Bench) -> None:
    bench.store.change({"export": {"password": "first"}})
    bench.past.note(*bench.store.change({"export": {"password": "second"}}), "anna")
    assert bench.path.stat().st_mode & 0o777 == copy_of(bench.path).stat().st_mode & 0o777 == 0o600
    bench.store.change(bench.past.way_back(1, bench.store.current))
    assert bench.store.current.export.password == "first"


def test_the_list_is_bounded_by_number_and_by_size(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds in range(100, 100 + MOST + 5):
        bench.change("anna", before_s=seconds)
    assert [each.id for each in bench.past.all(bench.store.current)] == list(range(MOST + 5, 5, -1))
    monkeypatch.setattr(past_changes, "LARGEST", 500)
    bench.change("anna", before_s=7)
    told = bench.past.all(bench.store.current)
    assert told[0].id == MOST + 6
    assert 0 < len(told) < MOST
    assert bench.path.stat().st_size <= 500


def test_a_save_without_a_change_is_none(bench: Bench) -> None:
    bench.change("anna", before_s=60)
    assert bench.past.all(bench.store.current) == []
    assert not bench.path.exists()


def test_a_file_that_the_disk_does_not_give_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "changes.json").mkdir()
    bench = Bench(tmp_path)
    bench.change("anna", before_s=70)
    assert bench.past.way_back(1, bench.store.current) == {"trigger": {"before_s": 60}}
    assert (tmp_path / "changes.json").is_dir()
