"""Whether the device is ready, as it is known here: asked for once for all open pages, and kept for seconds.

The answers have costs (programs are run for some), and one of them may be long in coming or not come at all.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from allegro.errors import AllegroError, Unavailable
from allegro.web.backend import Asker, Backend
from allegro.web.readiness import Answers, Item, readiness

KEPT_S = 9.0
"""A little less than the time between two looks of an open page, so that each finds something new."""

ANSWER_S = 5.0
"""An answer is waited for so long: numbers and graph of the page wait meanwhile."""

_ASKER = Asker("web-readiness", "viewer")
_ASKED = ("status", "settings", "presenters", "network", "time")


class DeviceReadiness:
    """Of one program. What users see of it is the same for all."""

    def __init__(self) -> None:
        self._answers: Answers = {}
        self._until_s = float("-inf")
        self._asking = asyncio.Lock()

    async def items(self, backend: Backend, zone: str, now_s: Callable[[], float]) -> Sequence[Item]:
        """How it is now, or was some seconds ago. Who cannot be asked is told in its place."""
        async with self._asking:
            if now_s() >= self._until_s:
                self._until_s = now_s() + KEPT_S
                try:
                    self._answers = await _asked(backend)
                except BaseException:
                    self.forget()
                    raise
        return readiness(self._answers, zone=zone)

    def forget(self) -> None:
        """A user has changed something: it is asked again."""
        self._until_s = float("-inf")


async def _asked(backend: Backend) -> Answers:
    async def ask(path: str) -> Any:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await backend.ask(_ASKER, "GET", path)
        except AllegroError as error:
            return error
        except TimeoutError:
            return Unavailable("The device did not answer in time.")

    found = await asyncio.gather(*(ask(f"/{name}") for name in _ASKED))
    answers = dict(zip(_ASKED, found, strict=True))
    settings = answers["settings"]
    is_sent = not isinstance(settings, AllegroError) and settings["export"]["enabled"]
    return {**answers, "export": await ask("/export?limit=1&key=false") if is_sent else {}}
