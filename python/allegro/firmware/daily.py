"""Looks for new firmware once a day."""

import logging
import random
import threading
from collections.abc import Callable

from allegro.errors import AllegroError

FIRST_S = (120.0, 600.0)
"""After the start, so that not all devices of a site ask in the same second after a power cut."""

EVERY_S = 24 * 3600.0
AGAIN_S = 3600.0
"""After a look that failed."""

log = logging.getLogger(__name__)


class DailyCheck:
    """`wanted` says each time whether to look at all; `check` looks, or raises AllegroError."""

    def __init__(self, wanted: Callable[[], bool], check: Callable[[], object]) -> None:
        self._wanted = wanted
        self._check = check
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="firmware-check", daemon=True)

    def start(self) -> None:
        """Starts looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stops looking; a look that is under way ends by itself."""
        self._stop.set()

    def _run(self) -> None:
        pause = random.uniform(*FIRST_S)  # noqa: S311 - no secret
        while not self._stop.wait(pause):
            pause = self.look()

    def look(self) -> float:
        """One look, if it is wanted; answers with the seconds until the next."""
        if not self._wanted():
            return AGAIN_S
        try:
            self._check()
        except AllegroError as error:
            log.warning("The daily look for new firmware failed: %s", error)
            return AGAIN_S
        except Exception:
            log.exception("The daily look for new firmware failed")
            return AGAIN_S
        return EVERY_S
