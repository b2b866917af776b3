"""The list of events as it grows: server-sent events (HTML Living Standard, 9.2).

Each is an event with its id, so that a browser that comes back says by itself what it has seen last
(Last-Event-ID). One that happens again has its id still, and is sent again with its new count. A comment now
and then shows both ends that the other is there.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from allegro.errors import AllegroError
from allegro.events.event import Event
from allegro.events.event_list import EventList

MEDIA_TYPE = "text/event-stream"
MOST_OF_ONE = 4
MOST = 16
"""Streams of one user, and of all: each holds a connection, and costs something as long as it lasts."""

AT_ONCE = 100
"""So many of the newest are looked at; of what was missed, the older ones are in the list."""

LOOK_EVERY_S = 1.0
HEARTBEAT_S = 15.0

STOPPING = "stopping"
"""In the state of a connection: tells whether its server is about to end, for which streams must not last."""


class TooManyStreams(AllegroError):
    """The streams before it have not ended."""

    status = 429

    def __init__(self) -> None:
        super().__init__("Too many follow what happens already.", remedy="Close a page that shows it.")


class Streams:
    """Of one event loop: how many there are."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @contextmanager
    def one(self, name: str) -> Iterator[None]:
        """One more of this user as long as this lasts. Raises TooManyStreams."""
        if self._held[name] >= MOST_OF_ONE or self._held.total() >= MOST:
            raise TooManyStreams
        self._held[name] += 1
        try:
            yield
        finally:
            self._held[name] -= 1
            self._held += Counter()  # without those who hold none


def stops(scope: Scope) -> Callable[[], bool]:
    """Tells whether a stream has to end. A server that says nothing of it gets what is there, and no more."""
    told: Callable[[], bool] = scope.get("state", {}).get(STOPPING, lambda: True)
    return told


async def follow(
    events: EventList, last_id: int | None, stopping: Callable[[], bool], as_data: Callable[[Event], object]
) -> AsyncIterator[bytes]:
    """What comes after the event `last_id`; without one, what comes from now on."""
    changes = events.changes
    known = {} if last_id is not None else {each.id: each.count for each in await _newest(events)}
    seen = max(known, default=0) if last_id is None else last_id
    yield b": events\n\n"
    silent_s = 0.0
    look = last_id is not None
    while True:
        if look or events.changes != changes:
            changes, look = events.changes, False
            present = await _newest(events)
            news = [
                each for each in present if each.id > seen or each.count != known.get(each.id, each.count)
            ]
            known = {each.id: each.count for each in present}
            seen = max(known, default=seen)
            for each in news:
                yield _message(each, as_data(each))
                silent_s = 0.0
        if stopping():
            return
        await asyncio.sleep(LOOK_EVERY_S)
        silent_s += LOOK_EVERY_S
        if silent_s >= HEARTBEAT_S:
            yield b":\n\n"
            silent_s, look = 0.0, True  # other programs write events, too, and tell nobody


async def _newest(events: EventList) -> list[Event]:
    """The newest, oldest first."""
    return (await run_in_threadpool(events.newest, AT_ONCE))[::-1]


def _message(event: Event, data: object) -> bytes:
    return f"id: {event.id}\nevent: event\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
