"""Starts and stops the parts of the device; one that fails is remembered, the others go on."""

import logging
from collections.abc import Callable

from allegro.errors import AllegroError

log = logging.getLogger(__name__)


class Parts:
    """What runs, in the order it was started, and what could not be started."""

    def __init__(self) -> None:
        self._running: list[tuple[str, Callable[[], None]]] = []
        self._failed: dict[str, str] = {}

    def start(self, name: str, begin: Callable[[], Callable[[], None] | None]) -> None:
        """Starts a part: `begin` answers with the function that stops it, or None if nothing has to be."""
        try:
            stop = begin()
        except Exception as error:
            known = isinstance(error, AllegroError)
            log.error("%s could not be started: %s", name, error, exc_info=not known)
            self.fail(name, str(error) or type(error).__name__)
            return
        if stop is not None:
            self._running.append((name, stop))

    def fail(self, name: str, reason: str) -> None:
        """Remembers that a part does not work."""
        self._failed[name] = reason

    def failed(self) -> tuple[tuple[str, str], ...]:
        """Name and reason of each part that could not be started."""
        return tuple(self._failed.items())

    def stop(self) -> None:
        """Stops all parts, the last one first."""
        while self._running:
            name, stop = self._running.pop()
            try:
                stop()
            except Exception:
                log.exception("%s could not be stopped", name)
