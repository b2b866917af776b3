"""The device's time zone, as it is known here: all times of the page are shown in it.

It is asked of the settings and remembered for some seconds, because many parts of a page are asked for often.
"""

import asyncio
import zoneinfo

from allegro.errors import AllegroError
from allegro.web.backend import Asker, Backend

_ASKER = Asker("web-zone", "viewer")
_REMEMBERED_S = 5.0
_ANSWER_S = 2.0


class DeviceZone:
    """UTC until it is known. Times are always shown with their zone, so an old one is not a wrong one."""

    def __init__(self) -> None:
        self._name = "UTC"
        self._until_s = float("-inf")

    @property
    def known(self) -> str:
        """Its name as far as it is known, without asking."""
        return self._name

    async def name(self, backend: Backend, now_s: float) -> str:
        """Its name now, such as `Europe/Berlin`; who cannot be asked keeps no page from being shown."""
        if now_s >= self._until_s:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    name: str = (await backend.ask(_ASKER, "GET", "/settings/time"))["zone"]
                zoneinfo.ZoneInfo(name)
                self._name = name
            except (AllegroError, TimeoutError, KeyError, TypeError, ValueError, OSError):
                pass
            self._until_s = now_s + _REMEMBERED_S
        return self._name

    def forget(self) -> None:
        """A user has changed something: it is asked again."""
        self._until_s = float("-inf")
