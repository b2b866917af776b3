"""Times in the device's zone: also the hour that comes twice, and the one that is left out."""

import os
import re
from datetime import date, datetime

import pytest

from allegro.errors import InvalidInput
from allegro.web import template_filters
from allegro.web.local_time import comes_twice, local_of, readings, start_of, utc_of, which_of
from tests.unit.web.world import World

BERLIN = "Europe/Berlin"
TWICE = "2026-10-25T02:30:00"
FIRST_UTC, SECOND_UTC = "2026-10-25T00:30:00.123456789Z", "2026-10-25T01:30:00.123456789Z"

pytestmark = pytest.mark.spec("W15", "N7")


@pytest.mark.parametrize(
    ("typed", "zone", "offsets"),
    [
        ("2026-07-01T12:00:00", BERLIN, ["+02:00"]),
        (TWICE, BERLIN, ["+02:00", "+01:00"]),
        ("2026-10-25T03:00:00", BERLIN, ["+01:00"]),
        ("2026-03-29T02:30:00", BERLIN, []),
        ("2026-04-05T01:45:00", "Australia/Lord_Howe", ["+11:00", "+10:30"]),
        (TWICE, "Asia/Kolkata", ["+05:30"]),
    ],
)
def test_what_a_local_time_may_mean(typed: str, zone: str, offsets: list[str]) -> None:
    found = readings(datetime.fromisoformat(typed), zone)
    assert [each.isoformat() for each in found] == [f"{typed}{offset}" for offset in offsets]
    assert comes_twice(typed, zone) is (len(offsets) == 2)


def test_of_a_time_that_comes_twice_has_to_be_said_which_is_meant() -> None:
    assert utc_of(TWICE, BERLIN, "start", "0") == f"{TWICE}+02:00"
    assert utc_of(TWICE, BERLIN, "start", "1") == f"{TWICE}+01:00"
    with pytest.raises(InvalidInput, match="comes twice in Europe/Berlin"):
        utc_of(TWICE, BERLIN, "start")
    with pytest.raises(InvalidInput, match="There is no such time in Europe/Berlin"):
        utc_of("2026-03-29T02:30:00", BERLIN, "start", "1")
    assert utc_of("2026-07-01T12:00", BERLIN, "start", "1") == "2026-07-01T12:00:00+02:00"


@pytest.mark.parametrize(
    ("typed", "zone"),
    [("0001-01-01T00:00", BERLIN), ("9999-12-31T23:59", "America/New_York"), ("soon", BERLIN), ("", BERLIN)],
)
def test_what_is_no_time_is_told(typed: str, zone: str) -> None:
    assert not comes_twice(typed, zone)
    with pytest.raises(InvalidInput, match="is no date with a time"):
        utc_of(typed, zone, "start")


def test_both_are_told_apart_where_they_are_shown() -> None:
    assert local_of(FIRST_UTC, BERLIN) == local_of(SECOND_UTC, BERLIN) == TWICE
    assert [which_of(each, BERLIN) for each in (FIRST_UTC, SECOND_UTC, "2026-10-25T02:30:00Z")] == [
        "0",
        "1",
        "",
    ]
    assert template_filters.moment(FIRST_UTC, BERLIN) == "2026-10-25 02:30:00 CEST"
    assert template_filters.moment(SECOND_UTC, BERLIN) == "2026-10-25 02:30:00 CET"
    assert template_filters.moment(FIRST_UTC, "America/Sao_Paulo") == "2026-10-24 21:30:00 UTC-03:00"


def test_a_day_begins_with_its_first_moment() -> None:
    assert start_of(date(2026, 11, 21), "Asia/Kolkata") == "2026-11-21T00:00:00+05:30"
    assert start_of(date(2026, 10, 25), BERLIN) == "2026-10-25T00:00:00+02:00"


def test_pages_show_and_search_in_the_devices_zone(world: World) -> None:
    browser = world.user("viewer")
    path = world.device.paths.storage / "late.pcapng"
    path.write_bytes(b"x")
    moment = datetime.fromisoformat("2026-11-21T20:00:00+00:00").timestamp()
    os.utime(path, (moment, moment))
    shown = r'<time datetime="2026-11-21T20:00:00Z">([^<]*)</time>'
    assert re.findall(shown, browser.page("/storage")) == ["2026-11-21 20:00:00 UTC"]
    assert "late.pcapng" in browser.page("/storage?since=2026-11-21&until=2026-11-21")
    world.device.call("PATCH", "/settings", {"time": {"zone": "Asia/Kolkata"}})
    world.clock.now += 10
    page = browser.page("/storage?since=2026-11-22&until=2026-11-22")
    assert re.findall(shown, page) == ["2026-11-22 01:30:00 IST"]
    assert "(day, Asia/Kolkata)" in page
    assert "No capture fits" in browser.page("/storage?since=2026-11-21&until=2026-11-21")


def test_a_changed_zone_holds_from_the_next_page_on(world: World) -> None:
    browser = world.user("admin")
    assert 'data-zone="UTC"' in browser.page("/")
    browser.post("/time", None, **{"time.zone": BERLIN})
    assert f'data-zone="{BERLIN}"' in browser.page("/")


def test_a_part_of_the_ring_in_the_hour_that_comes_twice(world: World) -> None:
    browser = world.user("capture")
    world.device.call("PATCH", "/settings", {"time": {"zone": BERLIN}})
    part = {"start": "2026-10-25T02:30:00", "end": "2026-10-25T02:31:00"}
    asked = browser.post("/capture", None, **part)
    assert asked.status_code == 422
    assert "This time comes twice in Europe/Berlin" in asked.text
    assert re.search(r'<div id="start-twice">', asked.text)
    assert browser.post("/capture", None, **part, start_which="1", end_which="1").status_code == 303
    (job,) = world.device.get("/jobs")
    assert job["start_time"].startswith("2026-10-25T01:30:00")


def test_a_clock_that_is_set_in_that_hour(world: World) -> None:
    world.device.clock_is_kept = False
    world.device.call("PATCH", "/settings", {"time": {"zone": BERLIN}})
    browser = world.user("admin")
    again = browser.post("/time/set", None, local=TWICE)
    assert again.status_code == 422
    assert f'value="{TWICE}"' in again.text
    browser.post("/time/set", None, local=TWICE, local_which="1")
    seconds = int(datetime.fromisoformat(f"{SECOND_UTC[:19]}+00:00").timestamp())
    assert world.device.clock_set == [seconds * 10**9]
