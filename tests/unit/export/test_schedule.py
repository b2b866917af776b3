import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allegro.export.schedule import NS, next_run, previous_run, run_is_owed

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: dt.tzinfo = dt.UTC) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * NS


@pytest.mark.spec("X1")
@pytest.mark.parametrize(
    ("now", "previous", "following"),
    [
        ("2026-11-21 01:59:59", "2026-11-20 02:00", "2026-11-21 02:00"),
        ("2026-11-21 02:00:00", "2026-11-21 02:00", "2026-11-22 02:00"),
        ("2026-11-21 23:00:00", "2026-11-21 02:00", "2026-11-22 02:00"),
        ("2026-12-31 23:00:00", "2026-12-31 02:00", "2027-01-01 02:00"),
    ],
)
def test_the_run_comes_once_a_day(now: str, previous: str, following: str) -> None:
    assert previous_run(at(now), "02:00", dt.UTC) == at(previous)
    assert next_run(at(now), "02:00", dt.UTC) == at(following)


@pytest.mark.spec("X1")
def test_summer_time_neither_skips_nor_doubles_a_run() -> None:
    # 2026-03-29: 02:30 does not exist in Berlin; 2026-10-25: it comes twice
    spring = at("2026-03-29 00:00", BERLIN)
    assert next_run(spring, "02:30", BERLIN) == at("2026-03-29 01:30")
    autumn = next_run(at("2026-10-25 00:00", BERLIN), "02:30", BERLIN)
    assert autumn == at("2026-10-25 00:30")
    assert next_run(autumn, "02:30", BERLIN) == at("2026-10-26 01:30")


@given(
    now=st.integers(at("2020-01-01 00:00"), at("2030-01-01 00:00")),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
def test_previous_and_next_run_enclose_now(now: int, hour: int, minute: int) -> None:
    time = f"{hour:02}:{minute:02}"
    previous, following = previous_run(now, time, BERLIN), next_run(now, time, BERLIN)
    assert previous <= now < following
    assert following - previous in (23 * 3600 * NS, 24 * 3600 * NS, 25 * 3600 * NS)


@pytest.mark.spec("X4")
def test_a_missed_run_is_owed_once() -> None:
    last = at("2026-11-18 02:00:01")
    assert not run_is_owed(at("2026-11-19 01:59"), last, "02:00", dt.UTC)
    assert run_is_owed(at("2026-11-21 14:00"), last, "02:00", dt.UTC)
    assert not run_is_owed(at("2026-11-21 14:01"), at("2026-11-21 14:00"), "02:00", dt.UTC)


@pytest.mark.spec("X4")
def test_a_clock_that_was_years_ahead_does_not_stop_the_runs() -> None:
    assert run_is_owed(at("2026-11-21 14:00"), at("2036-01-01 00:00"), "02:00", dt.UTC)
    assert not run_is_owed(at("2026-11-21 14:00"), at("2026-11-21 15:00"), "02:00", dt.UTC)
