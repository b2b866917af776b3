"""The page that captures any part of the ring: what it asks the API for, and what it refuses where."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from allegro.trigger import live_streams
from tests.unit.web.world import Browser, World


def typed(browser: Browser, start: str, end: str, filter_text: str = "") -> Any:
    return browser.post("/capture", start=start, end=end, filter=filter_text)


@pytest.mark.spec("W4", "T3", "W15")
def test_the_last_minute_is_offered_and_a_part_is_asked_for_in_the_devices_zone(world: World) -> None:
    browser = world.user("capture")
    world.device.call("PATCH", "/settings", {"time": {"zone": "Asia/Kolkata"}})
    text = browser.page("/capture")
    assert "Asia/Kolkata" in text
    start, end = (re.search(rf'name="{name}" value="(.+?)"', text)[1] for name in ("start", "end"))  # type: ignore[index]
    assert start < end
    assert typed(browser, "2026-11-21T20:00:05", "2026-11-21T20:01:05", "port == 80").status_code == 303
    (job,) = world.device.get("/jobs")
    assert job["start_time"].startswith("2026-11-21T14:30:05.000")
    assert job["end_time"].startswith("2026-11-21T14:31:05.000")
    assert (job["filter"], job["source"]) == ("port == 80", "page")


@pytest.mark.spec("W4")
@pytest.mark.parametrize(
    ("start", "end", "filter_text", "place", "words"),
    [
        ("2026-11-21T20:01:05", "2026-11-21T20:01:05", "", "end", "has to come after the start"),
        ("2026-11-21T20:01:05", "2026-11-22T20:01:06", "", "start", "more than a day"),
        ("", "2026-11-22T20:01:06", "", "start", "no date with a time"),
        ("2026-11-21T20:01:05", "tomorrow", "", "end", "no date with a time"),
        ("2126-11-21T20:01:05", "2126-11-21T20:01:06", "", "start", "begin in the future"),
        ("2026-11-21T20:00:05", "2026-11-21T20:01:05", "prot == 80", "filter", "Column 1"),
    ],
)
def test_a_mistake_is_shown_at_its_field_and_what_was_typed_stays(
    world: World, start: str, end: str, filter_text: str, place: str, words: str
) -> None:
    browser = world.user("capture")
    response = typed(browser, start, end, filter_text)
    assert response.status_code == 422
    shown = re.search(rf'id="{place}-error" role="alert">([^<]*)<', response.text)
    assert shown
    assert words in shown[1]
    assert len(re.findall(r'role="alert">[^<]', response.text)) == 1
    for value in (start, end):
        assert f'value="{value}"' in response.text
    assert world.device.get("/jobs") == []


@pytest.mark.spec("W4", "T5")
def test_limits_and_format_begin_as_set_and_are_asked_for(world: World) -> None:
    browser = world.user("capture")
    world.device.call("PATCH", "/settings", {"trigger": {"packet_length": 96, "format": "pcap"}})
    text = browser.page("/capture")
    assert 'name="packet_length" value="96"' in text
    assert '<option value="pcap" selected>' in text
    part = {"start": "2026-11-21T20:00:05", "end": "2026-11-21T20:01:05", "filter": ""}
    shape = {"packet_length": " ", "size_limit_mib": "10", "format": "pcapng"}
    assert browser.post("/capture", None, **part, **shape).status_code == 303
    (job,) = world.device.get("/jobs")
    assert (job["packet_length"], job["size_limit_mib"], job["format"]) == (0, 10, "pcapng")
    for place, wrong in (
        ("packet_length", "65536"),
        ("packet_length", "some"),
        ("size_limit_mib", "-1"),
        ("format", "erf"),
    ):
        refused = browser.post("/capture", None, **part, **(shape | {place: wrong}))
        assert refused.status_code == 422
        assert re.search(rf'id="{place}-error" role="alert">[^<]', refused.text)
        assert place == "format" or f'name="{place}" value="{wrong}"' in refused.text
    assert len(world.device.get("/jobs")) == 1


PART = {"start": "2026-11-21T20:00:05", "end": "2026-11-21T20:01:05", "filter": ""}


def just_now() -> dict[str, str]:
    """A part that this computer was on for."""
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    return {"start": (now - timedelta(seconds=2)).isoformat(), "end": now.isoformat(), "filter": ""}


@pytest.mark.spec("W4")
@pytest.mark.parametrize("target", ["storage", "upload"])
def test_name_note_and_place_of_the_file_are_asked_for(world: World, target: str) -> None:
    browser = world.user("capture")
    asked = {"target": target, "name": " Pump: 3rd try ", "note": "after the\nnew valve"}
    assert browser.post("/capture", None, **PART, **asked).status_code == 303
    (job,) = world.device.get("/jobs")
    assert (job["key"], job["note"], job["directory"]) == ("pump-3rd-try", "after the?new valve", target)
    assert "name pump-3rd-try" in browser.page("/")
    assert "after the?new valve" in browser.page("/")
    for place, wrong in (("name", "???"), ("note", "x" * 201)):
        refused = browser.post("/capture", None, **PART, **{place: wrong})
        assert refused.status_code == 422
        assert re.search(rf'id="{place}-error" role="alert">[^<]', refused.text)
    assert len(world.device.get("/jobs")) == 1


@pytest.mark.spec("W4")
def test_where_a_capture_goes_begins_as_set(world: World) -> None:
    browser = world.user("capture")
    assert '<option value="storage" selected>' in browser.page("/capture")
    world.device.settings.change({"export": {"host": "h", "username": "u", "enabled": True}})
    assert '<option value="upload" selected>' in browser.page("/capture")


@pytest.mark.spec("W4", "R8")
def test_to_this_computer_it_streams_and_makes_no_file(world: World) -> None:
    browser = world.user("capture")
    shape = {"packet_length": "0", "size_limit_mib": "2", "format": "pcapng", "target": "computer"}
    part = just_now() | {"filter": "port == 80"}
    answer = browser.post("/capture", None, **part, **shape)
    window = {name: f"{part[name]}+00:00" for name in ("start", "end")}
    query = {**window, "filter": "port == 80", "bytes": str(2 << 20)}
    assert answer.headers["location"] == f"/api/live?{urlencode(query)}"
    for place, wrong in (
        ("packet_length", "96"),
        ("size_limit_mib", "many"),
        ("format", "pcap"),
        ("filter", "prot == 80"),
    ):
        refused = browser.post("/capture", None, **(part | shape | {place: wrong}))
        assert refused.status_code == 422
        assert re.search(rf'id="{place}-error" role="alert">[^<]', refused.text)
    assert world.device.get("/jobs") == []


@pytest.mark.spec("W4", "R8")
def test_to_this_computer_it_streams_live_if_the_end_is_still_to_come(world: World) -> None:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    part = {"start": now.isoformat(), "end": (now + timedelta(hours=1)).isoformat(), "filter": "port == 80"}
    answer = world.user("capture").post("/capture", None, **part, target="computer", format="pcapng")
    window = {name: f"{part[name]}+00:00" for name in ("start", "end")}
    assert answer.headers["location"] == f"/api/live?{urlencode({**window, 'filter': 'port == 80'})}"


@pytest.mark.spec("W4", "R8")
@pytest.mark.parametrize(
    ("why", "place", "words"),
    [
        ("off", "start", "begins before the last start of the device"),
        ("crowd", "target", "As many live captures as the device makes are going on"),
        ("silent", "target", "no packets at the moment"),
    ],
)
def test_why_nothing_streams_to_this_computer_is_told_on_the_page(
    world: World, monkeypatch: pytest.MonkeyPatch, why: str, place: str, words: str
) -> None:
    """An answer of the API in place of the page would take what was typed along."""
    browser = world.user("capture")
    part = just_now() | {"filter": "port == 80", "target": "computer"}
    if why == "off":
        part["start"], part["end"] = "1986-11-21T20:00:05", "1986-11-21T20:01:05"
    elif why == "crowd":
        monkeypatch.setattr(live_streams, "MOST", 0)
    else:
        world.device.recorder = None
    refused = browser.post("/capture", None, **part, format="pcapng")
    assert refused.status_code == 422
    shown = re.search(rf'id="{place}-error" role="alert">([^<]*)<', refused.text)
    assert shown
    assert words in shown[1]
    for value in (part["start"], part["end"], "port == 80"):
        assert f'value="{value}"' in refused.text
    assert '<option value="computer" selected data-stays>' in refused.text
    assert not [event for event in world.device.get("/events")["events"] if event["kind"] == "download"]


@pytest.mark.spec("R8")
def test_what_is_wrong_with_a_live_capture_is_told_on_a_page(world: World) -> None:
    browser = world.user("capture")
    form = re.search(r'<form method="get" action="(.+?)"', browser.page("/capture"))
    assert form
    asked = urlencode({"filter": "port == 80", "seconds": "60"})
    assert browser.get(f"{form[1]}?{asked}").headers["location"] == f"/api/live?{asked}"
    mistaken = browser.get(f"{form[1]}?{urlencode({'filter': 'prot == 80', 'seconds': '60'})}")
    world.device.recorder = None
    silent = browser.get(f"{form[1]}?{asked}")
    for answer, status, words in ((mistaken, 422, "Column 1"), (silent, 503, "no packets at the moment")):
        assert (answer.status_code, words in answer.text) == (status, True)
        assert "</html>" in answer.text


@pytest.mark.spec("W4")
def test_a_name_keeps_the_letters_below_its_accents(world: World) -> None:
    browser = world.user("capture")
    assert browser.post("/capture", None, **PART, name="Küche, façade").status_code == 303
    (job,) = world.device.get("/jobs")
    assert job["key"] == "kuche-facade"


@pytest.mark.spec("W4", "S1")
def test_who_may_only_look_sees_the_time_line_but_cannot_capture(world: World) -> None:
    browser = world.user("viewer")
    assert "may look, but not capture" in browser.page("/capture")
    answer = browser.get("/capture/timeline").json()
    assert answer["ring"]["ports"] == []
    assert answer["presses"] == []
    assert "Your role" in browser.page(
        typed(browser, "2026-11-21T20:00:05", "2026-11-21T20:01:05").headers["location"]
    )
    assert world.device.get("/jobs") == []
