"""Who may follow the list of events, how many at a time, and what is told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from allegro.api import event_stream
from allegro.api.event_stream import MOST, MOST_OF_ONE, Streams, TooManyStreams, follow
from allegro.events.event_list import EventList

pytestmark = pytest.mark.spec("S7")


@pytest.fixture
def events(tmp_path: Path) -> EventList:
    made = EventList(tmp_path / "events.json")
    made.note("login", "Logged in", who="anna")
    made.note("settings", "Changed wifi.mode", who="anna")
    return made


def told(events: EventList, last_id: int | None, *then: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a stream says until it ends; `then` happens while it waits."""
    monkeypatch.setattr(event_stream, "LOOK_EVERY_S", 0.001)
    waiting = list(then)

    def stopping() -> bool:
        if not waiting:
            return True
        events.note("press", waiting.pop(0), source="R400")
        return False

    async def all_of(news: AsyncIterator[bytes]) -> list[str]:
        return [part.decode() async for part in news]

    return asyncio.run(all_of(follow(events, last_id, stopping, lambda each: [each.text, each.count])))


def test_from_now_on_or_from_what_was_seen_last(events: EventList, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(events, None, monkeypatch=monkeypatch) == [": events\n\n"]
    assert told(events, 1, "Pressed next", monkeypatch=monkeypatch) == [
        ": events\n\n",
        'id: 2\nevent: event\ndata: ["Changed wifi.mode", 1]\n\n',
        'id: 3\nevent: event\ndata: ["Pressed next", 1]\n\n',
    ]
    assert told(events, None, "Pressed next", "Pressed next", monkeypatch=monkeypatch)[1:] == [
        'id: 3\nevent: event\ndata: ["Pressed next", 2]\n\n',
        'id: 3\nevent: event\ndata: ["Pressed next", 3]\n\n',
    ]


def test_a_quiet_stream_shows_that_it_is_there(events: EventList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.0)
    looks = iter([False, False, True])
    monkeypatch.setattr(event_stream, "LOOK_EVERY_S", 0.001)

    async def first() -> list[bytes]:
        return [part async for part in follow(events, None, lambda: next(looks), lambda each: each.text)]

    assert asyncio.run(first()) == [b": events\n\n", b":\n\n", b":\n\n"]


def test_nobody_follows_without_bounds_nor_all_together(events: EventList) -> None:
    streams = Streams()
    held = [streams.one("anna") for _ in range(MOST_OF_ONE)]
    for each in held:
        each.__enter__()
    with pytest.raises(TooManyStreams), streams.one("anna"):
        pass
    others = [streams.one(f"user{number}") for number in range(MOST - MOST_OF_ONE)]
    for each in others:
        each.__enter__()
    with pytest.raises(TooManyStreams), streams.one("carla"):
        pass
    for each in (*held, *others):
        each.__exit__(None, None, None)
    with streams.one("anna"):
        pass
