import datetime as dt

import pytest

from allegro.export.failures import UploadStopped
from allegro.export.pace import CATCH_UP_S, Pace, rate_at

pytestmark = pytest.mark.spec("X4")


def at(clock: str) -> int:
    moment = dt.datetime.fromisoformat(f"2026-11-21T{clock}:00+00:00")
    return int(moment.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("begins", "ends", "limited", "free"),
    [
        ("07:00", "19:00", ["07:00", "18:59"], ["06:59", "19:00", "23:00"]),
        ("22:00", "06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "21:59"]),
        ("00:00", "00:00", ["00:00", "12:00"], []),
        ("07:00", "07:00", ["06:59", "07:00"], []),
    ],
)
def test_the_limit_holds_in_its_time_of_day(
    begins: str, ends: str, limited: list[str], free: list[str]
) -> None:
    assert [rate_at(at(clock), 800, begins, ends, dt.UTC) for clock in limited] == [100_000] * len(limited)
    assert [rate_at(at(clock), 800, begins, ends, dt.UTC) for clock in free] == [None] * len(free)


def test_the_time_of_day_is_that_of_the_zone() -> None:
    east = dt.timezone(dt.timedelta(hours=3))
    assert rate_at(at("05:00"), 800, "07:00", "19:00", east) == 100_000
    assert rate_at(at("05:00"), 800, "07:00", "19:00", dt.UTC) is None


def test_without_a_limit_there_is_none() -> None:
    assert rate_at(at("12:00"), 0, "00:00", "00:00", dt.UTC) is None


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def nothing() -> None:
    """Nobody stops it."""


def test_bytes_are_spread_over_time() -> None:
    clock = Clock()
    pace = Pace(lambda: 100_000, clock=clock, sleep=clock.sleep)
    for _ in range(101):
        pace.wait_for(32_768, nothing)
    assert clock.now - 1000 == pytest.approx(100 * 32_768 / 100_000 - CATCH_UP_S, abs=0.01)


def test_time_that_the_server_took_is_made_up_for_only_a_little() -> None:
    clock = Clock()
    pace = Pace(lambda: 100_000, clock=clock, sleep=clock.sleep)
    pace.wait_for(10_000, nothing)
    clock.now += 60
    before = clock.now
    for _ in range(11):
        pace.wait_for(10_000, nothing)
    assert clock.now - before == pytest.approx(1 - CATCH_UP_S, abs=0.01)


def test_a_long_wait_can_be_stopped_and_ends_with_the_limit() -> None:
    clock = Clock()
    rate: list[int | None] = [10]
    pace = Pace(lambda: rate[0], clock=clock, sleep=clock.sleep)
    pace.wait_for(32_768, nothing)

    def stop() -> None:
        raise UploadStopped

    with pytest.raises(UploadStopped):
        pace.wait_for(32_768, stop)
    assert clock.now - 1000 <= 0.5
    rate[0] = None
    before = clock.now
    pace.wait_for(32_768, nothing)
    assert clock.now == before
