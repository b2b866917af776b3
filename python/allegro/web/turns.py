"""Whose password is checked next: one at a time, so that guessing cannot take the processor from recording.

Known browsers go before strangers, and strangers wait in bounded numbers: of each neighbourhood a few.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from allegro.errors import AllegroError

MOST_WAITING = 100
MOST_OF_ONE = 8


class Busy(AllegroError):
    """Too many strangers wait already."""

    status = 503

    def __init__(self) -> None:
        super().__init__(
            "Too many others are logging in at the moment.",
            place="password",
            remedy="Try again in some seconds.",
        )


class Turns:
    """Of one event loop."""

    def __init__(self) -> None:
        self._taken = False
        self._known: deque[asyncio.Future[None]] = deque()
        self._strangers: deque[asyncio.Future[None]] = deque()
        self._places: list[str] = []

    @asynccontextmanager
    async def turn(self, place: str, *, known: bool) -> AsyncIterator[None]:
        """Nobody else has one as long as this lasts. Raises Busy for a stranger if too many wait."""
        if self._taken:
            await self._wait(place, known=known)
        self._taken = True
        try:
            yield
        finally:
            self._next()

    async def _wait(self, place: str, *, known: bool) -> None:
        if not known:
            if len(self._places) >= MOST_WAITING or self._places.count(place) >= MOST_OF_ONE:
                raise Busy
            self._places.append(place)
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._known if known else self._strangers).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # the turn was ours already
                self._next()
            raise
        finally:
            if not known:
                self._places.remove(place)

    def _next(self) -> None:
        for queue in (self._known, self._strangers):
            while queue:
                following = queue.popleft()
                if not following.done():
                    following.set_result(None)  # the turn passes on, so that nobody slips in between
                    return
        self._taken = False
