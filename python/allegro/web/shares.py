"""How much of the way to the supervisor one user may hold by requests that last as long as the client likes.

An upload lasts until its client has sent all of it, an answer until its client has read it. So each user and
each token has a few at once, and all together leave connections for the pages, which nobody can hold.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from allegro.errors import AllegroError
from allegro.web.backend import CONNECTIONS

MOST_OF_ONE = 10
MOST = CONNECTIONS - 10

_WAIT_S = 10.0


class TooManyAtOnce(AllegroError):
    """The requests before it have not ended."""

    def __init__(self, *, own: bool) -> None:
        self.status = 429 if own else 503
        whose = "of yours " if own else ""
        super().__init__(
            f"Too many requests {whose}are going on at the same time.",
            remedy="Wait until one of them has ended." if own else "Try again in some seconds.",
        )


class Shares:
    """Of one event loop."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._waiting: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def share(self, name: str) -> AsyncIterator[None]:
        """Holds one for `name` as long as this lasts; waits a little for it. Raises TooManyAtOnce."""
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._free_for(name)
        except TimeoutError:
            raise TooManyAtOnce(own=self._held[name] >= MOST_OF_ONE) from None
        self._held[name] += 1
        try:
            yield
        finally:
            self._held[name] -= 1
            self._held += Counter()  # without those who hold none
            for each in self._waiting:
                if not each.done():
                    each.set_result(None)

    async def _free_for(self, name: str) -> None:
        while self._held[name] >= MOST_OF_ONE or self._held.total() >= MOST:
            freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(freed)
            try:
                await freed
            finally:
                self._waiting.remove(freed)
