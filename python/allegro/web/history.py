"""The rates of the last minutes, so that the graph is not empty when somebody opens the page."""

import asyncio
import logging
import time
from collections import deque
from typing import Any

from allegro.errors import AllegroError
from allegro.web.backend import Asker, Backend

INTERVAL_S = 2.0
KEPT = 150
"""Samples: five minutes."""

SAMPLER = Asker("web-graph", "viewer")

log = logging.getLogger(__name__)


class History:
    """Bits per second of each port. A port that is not there has gaps (None)."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, dict[str, float]]] = deque(maxlen=KEPT)
        self._fed_s = 0.0

    def add(self, time_s: float, ring: dict[str, Any]) -> None:
        """One answer of GET /ring; `time_s` in seconds since 1970."""
        self._samples.append((time_s, {port["name"]: port["bytes_per_s"] * 8 for port in ring["ports"]}))

    def feed(self, time_s: float, ring: dict[str, Any]) -> None:
        """The same by somebody who has asked anyway (an open dashboard): the sampler need not ask then."""
        self._fed_s = time_s
        if not self._samples or abs(time_s - self._samples[-1][0]) > INTERVAL_S / 2:  # there may be several
            self.add(time_s, ring)

    def is_fed(self, time_s: float) -> bool:
        """Whether somebody else has seen to the present sample."""
        return 0 <= time_s - self._fed_s < 1.5 * INTERVAL_S

    def gap(self, time_s: float) -> None:
        """Nothing is known of this time."""
        self._samples.append((time_s, {}))

    def series(self) -> dict[str, Any]:
        """Columns for the graph: `times`, and for each of `ports` its name and bits per second."""
        names = sorted({name for _, rates in self._samples for name in rates}, key=_by_number)
        return {
            "times": [round(at, 1) for at, _ in self._samples],
            "ports": [
                {"name": name, "bits_per_s": [_rounded(rates.get(name)) for _, rates in self._samples]}
                for name in names
            ],
        }


async def sample(history: History, backend: Backend) -> None:
    """Asks every two seconds what nobody else asks for, for ever."""
    while True:
        try:
            if not history.is_fed(time.time()):
                history.add(time.time(), await backend.ask(SAMPLER, "GET", "/ring"))
        except (AllegroError, KeyError, TypeError, ValueError, AttributeError):
            history.gap(time.time())
        await asyncio.sleep(INTERVAL_S)


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def _by_number(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)
