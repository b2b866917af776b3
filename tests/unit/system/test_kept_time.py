import logging
import os
import time
from pathlib import Path

import pytest

from allegro.system import boottime, kept_time
from allegro.system.kept_time import TimeKeeper
from tests.harness.waiting import wait_for

pytestmark = pytest.mark.spec("N7")

HOUR_NS = 3600 * 10**9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the clock of the machine would have been set to."""
    given: list[int] = []
    monkeypatch.setattr("time.clock_settime_ns", lambda clock, ns: given.append(ns))
    return given


def _changed(path: Path, when_ns: int) -> None:
    path.touch()
    os.utime(path, ns=(when_ns, when_ns))


def test_a_clock_that_is_behind_is_set(tmp_path: Path, clock: list[int]) -> None:
    kept_ns = time.time_ns() + HOUR_NS
    _changed(tmp_path / "time", kept_ns)
    assert 3590 < kept_time.restore(tmp_path / "time") <= 3600
    assert clock == [kept_ns]


def test_a_clock_that_is_ahead_is_left_alone(tmp_path: Path, clock: list[int]) -> None:
    _changed(tmp_path / "time", time.time_ns() - HOUR_NS)
    assert kept_time.restore(tmp_path / "time") == 0
    assert kept_time.restore(tmp_path / "first start") == 0
    assert clock == []


def test_the_time_is_kept_at_intervals_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_time, "SAVE_EVERY_S", 0.01)
    keeper = TimeKeeper(tmp_path / "time")
    keeper.start()
    wait_for(lambda: (tmp_path / "time").exists(), "a kept time", 10)
    first = (tmp_path / "time").stat().st_mtime_ns
    wait_for(lambda: (tmp_path / "time").stat().st_mtime_ns > first, "a later one", 10)
    keeper.stop()
    monkeypatch.setattr(kept_time, "SAVE_EVERY_S", 3600.0)
    _changed(tmp_path / "time", time.time_ns() + HOUR_NS)  # the clock was set back since
    keeper = TimeKeeper(tmp_path / "time")
    keeper.start()
    keeper.stop()
    assert (tmp_path / "time").stat().st_mtime_ns <= time.time_ns()


def test_a_place_that_cannot_be_written_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kept_time, "SAVE_EVERY_S", 0.01)
    tries: list[Path] = []

    def refuse(path: Path) -> None:
        tries.append(path)
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(kept_time, "save", refuse)
    keeper = TimeKeeper(tmp_path / "time")
    with caplog.at_level(logging.WARNING):
        keeper.start()
        wait_for(lambda: len(tries) > 3, "more tries", 10)
        keeper.stop()
    assert caplog.text.count("The time could not be kept: Read-only file system") == 1


def test_a_clock_that_was_behind_is_doubted_until_a_server_has_set_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    since_start = [20.0]
    monkeypatch.setattr(boottime, "now_ns", lambda: int(since_start[0] * 1e9))
    mark, synchronised = tmp_path / "clock-was-behind", tmp_path / "synchronized"
    assert kept_time.is_believable(mark, synchronised)
    mark.touch()
    assert not kept_time.is_believable(mark, synchronised)
    synchronised.touch()
    assert kept_time.is_believable(mark, synchronised)
    synchronised.unlink()
    since_start[0] = 601.0
    assert kept_time.is_believable(mark, synchronised), "where no server answers, it is as true as it gets"
