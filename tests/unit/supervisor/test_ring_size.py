from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from allegro.capture import config, space
from allegro.capture.config import RecorderConfig
from allegro.capture.ring import segments
from allegro.capture.status import RecorderStatus, write
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.settings.recording import Recording, SlicingRule
from allegro.settings.settings_file import SettingsStore
from allegro.supervisor.ring_size import GIB, RingSize, default_ring, state_ring_size
from allegro.trigger.job import Job

MIB = 1 << 20


@pytest.mark.parametrize(
    ("disk", "largest", "present", "ring"),
    [
        (100 * GIB, 99 * GIB, 0, 50 * GIB),
        (3 * GIB, 2 * GIB, 0, 3 * GIB // 2),
        (GIB, GIB - 100 * MIB, 0, GIB - 100 * MIB),
        (16 * 1024 * GIB, 16 * 1024 * GIB, 0, 8 * 1024 * GIB),
        (30 * MIB, 10 * MIB, 0, 16 * MIB),
        (100 * GIB, 99 * GIB, GIB, GIB),
        (100 * GIB, 99 * GIB, 64 * MIB, GIB),
        (100 * GIB, 99 * GIB, 20 * GIB, 20 * GIB),
        (100 * GIB, 99 * GIB, 90 * GIB, 50 * GIB),
        (100 * GIB + 7, 99 * GIB, 0, 50 * GIB),
    ],
)
def test_a_new_ring_follows_its_disk_and_one_that_is_there_stays(
    disk: int, largest: int, present: int, ring: int
) -> None:
    assert default_ring(disk, largest, present) == ring


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    made = Paths(tmp_path / "data", tmp_path / "run")
    made.ring.mkdir(parents=True)
    made.run.mkdir()
    monkeypatch.setattr(space, "disk_size", lambda _: 100 * GIB)
    monkeypatch.setattr(space, "largest_ring", lambda _: 99 * GIB)
    return made


def stated(paths: Paths) -> int:
    return state_ring_size(SettingsStore(paths.settings, read_only=True), paths.ring).recording.ring_size_mib


@pytest.mark.spec("U7", "R1")
class TestStated:
    def test_on_a_new_device_once_and_for_all(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        assert stated(paths) == 50 * 1024
        assert json.loads(paths.settings.read_text())["recording"] == {"ring_size_mib": 50 * 1024}
        monkeypatch.setattr(space, "disk_size", lambda _: 200 * GIB)
        assert stated(paths) == 50 * 1024

    def test_a_setting_stays_as_it_is(self, paths: Paths) -> None:
        text = json.dumps({"recording": {"ring_size_mib": 64}})
        paths.settings.write_text(text)
        assert stated(paths) == 64
        assert paths.settings.read_text() == text

    def test_other_settings_and_those_of_a_newer_release_stay(self, paths: Paths) -> None:
        others = {"schema_version": 7, "links": {"mode": "sink", "colour": "red"}, "more": {"a": 1}}
        paths.settings.write_text(json.dumps(others))
        assert stated(paths) == 50 * 1024
        content = json.loads(paths.settings.read_text())
        assert content == {**others, "recording": {"ring_size_mib": 50 * 1024}}
        assert SettingsStore(paths.settings).current.links.mode == "sink"

    def test_what_0_1_0_had_by_default_stays(self, paths: Paths) -> None:
        for number in range(4):
            with (paths.ring / f"{number:016x}.blocks").open("wb") as file:
                file.truncate(GIB // 4)
        assert stated(paths) == 1024

    def test_damaged_settings_are_not_written_and_cost_no_packets(self, paths: Paths) -> None:
        paths.settings.write_text("{nonsense")
        with (paths.ring / f"{1:016x}.blocks").open("wb") as file:
            file.truncate(20 * GIB)
        assert stated(paths) == 20 * 1024
        assert paths.settings.read_text() == "{nonsense"


class Bench:
    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        config.dump(RecorderConfig(paths.ring, 64 * MIB, paths.recorder_status), paths.recorder_config)
        self.jobs = [Job(number, 0, 0, "api", "manual", "", 0, 0, "waiting") for number in (1, 2)]
        self.told: list[int] = []
        self.rules: list[str] = []
        self.on_disk: Path | None = None
        self.sizes = RingSize(paths, lambda: self.jobs, self.tell, lambda: self.on_disk)

    def tell(self, wanted: RecorderConfig, paths: Paths) -> None:
        self.told.append(wanted.ring_size // MIB)
        self.rules += [wanted.rules.text] if wanted.rules.text else []

    def apply(self, size: int) -> None:
        self.sizes.apply(Settings(recording=Recording(ring_size_mib=size)))


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


@pytest.mark.spec("T3", "T10")
class TestSmaller:
    def test_a_larger_ring_is_told_at_once(self, paths: Paths) -> None:
        bench = Bench(paths)
        bench.apply(65)
        assert (bench.told, bench.sizes.waits_for()) == ([65], 0)

    def test_a_smaller_one_waits_for_the_captures_of_this_moment(
        self, paths: Paths, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("allegro.supervisor.ring_size._LOOK_EVERY_S", 0.01)
        bench = Bench(paths)
        bench.sizes.start(Settings())
        bench.apply(32)
        assert (bench.told, bench.sizes.waits_for()) == ([], 2)
        later = Job(3, 0, 0, "api", "manual", "", 0, 0, "waiting")
        bench.jobs = [bench.jobs[1], later]
        wait_for(lambda: bench.sizes.waits_for() == 1)
        assert bench.told == []
        bench.jobs = [later]
        wait_for(lambda: bench.told == [32])
        assert bench.sizes.waits_for() == 0
        bench.sizes.stop()

    def test_it_goes_on_waiting_after_a_restart_of_the_supervisor(self, paths: Paths) -> None:
        Bench(paths).apply(32)
        again = Bench(paths)
        again.sizes.start(Settings(recording=Recording(ring_size_mib=32)))
        assert (again.told, again.sizes.waits_for()) == ([], 2)
        again.apply(128)
        assert (again.told, again.sizes.waits_for()) == ([128], 0)
        again.sizes.stop()

    @pytest.mark.spec("R3")
    def test_slicing_rules_do_not_wait_with_it(self, paths: Paths) -> None:
        bench = Bench(paths)
        rule = SlicingRule(name="web", filter="port == 80", action="discard")
        bench.sizes.apply(Settings(recording=Recording(ring_size_mib=32, rules=(rule,))))
        assert (bench.told, bench.rules, bench.sizes.waits_for()) == ([64], ["1. web: discard port == 80"], 2)

    def test_without_captures_it_is_told_at_once(self, paths: Paths) -> None:
        bench = Bench(paths)
        bench.jobs = []
        bench.apply(32)
        assert bench.told == [32]


@pytest.mark.spec("W5", "T3")
class TestMoved:
    def test_it_leaves_a_disk_when_no_capture_needs_that_any_more(
        self, paths: Paths, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("allegro.supervisor.ring_size._LOOK_EVERY_S", 0.01)
        bench = Bench(paths)
        bench.sizes.start(Settings())
        bench.on_disk = paths.run / "ring-disk/allegro-ring"
        bench.apply(64)
        assert (bench.told, bench.sizes.waits_for()) == ([], 2)
        bench.jobs = []
        wait_for(lambda: bench.told == [1024])
        bench.sizes.stop()

    def test_nothing_is_waited_for_on_a_disk_that_is_gone(self, paths: Paths) -> None:
        bench = Bench(paths)
        gone = paths.run / "ring-disk/allegro-ring"
        config.dump(RecorderConfig(gone, 64 * MIB, paths.recorder_status), paths.recorder_config)
        paths.recorder_status.parent.mkdir()
        write(RecorderStatus(ring_directory=str(gone)), paths.recorder_status)
        bench.apply(32)
        assert (bench.told, bench.sizes.waits_for()) == ([32], 0)

    def test_nothing_is_waited_for_on_a_disk_that_the_recorder_does_not_use(self, paths: Paths) -> None:
        bench = Bench(paths)
        broken = paths.run / "ring-disk/allegro-ring"
        broken.mkdir(parents=True)
        config.dump(RecorderConfig(broken, 64 * MIB, paths.recorder_status), paths.recorder_config)
        bench.apply(32)
        assert (bench.told, bench.sizes.waits_for()) == ([32], 0)

    def test_captures_whose_packets_lie_on_the_disk_do_not_keep_the_ring_from_it(self, paths: Paths) -> None:
        """Those of an earlier start, which wait for it."""
        bench = Bench(paths)
        bench.on_disk = paths.run / "ring-disk/allegro-ring"
        left = segments.Run(1, 1, 1, (), "ab" * 16, 1, 50, left=True)
        segments.write_runs(paths.ring, [left], sync=False)
        earlier = dataclasses.replace(bench.jobs[0], press_boot_ns=60, boot_id=left.boot_id)
        bench.jobs = [earlier]
        bench.sizes.apply(Settings(recording=Recording(ring_disk="there", ring_disk_mib=64)))
        assert (bench.told, bench.sizes.waits_for()) == ([64], 0)
        bench.jobs = [dataclasses.replace(earlier, press_boot_ns=40)]
        bench.sizes.apply(Settings(recording=Recording(ring_disk="there", ring_disk_mib=32)))
        assert (bench.told, bench.sizes.waits_for()) == ([64], 1)
