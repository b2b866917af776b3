"""Keeps the network as it should be while the device runs: ports come and go, settings change."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from allegro.errors import Unavailable
from allegro.network import configure
from allegro.settings.model import Settings

LOOK_EVERY_S = 1.0

log = logging.getLogger(__name__)


class NetworkCare:
    """Looks once a second in a thread of its own; `memory` is the file with the names of the ports."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        memory: Path,
        refresh: Callable[[Settings, Path], object] = configure.refresh,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._refresh = refresh
        self._lock = threading.Lock()
        self._problem = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)

    def start(self) -> None:
        """Starts looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stops looking; the network stays as it is."""
        self._stop.set()
        self._thread.join()

    def apply(self, settings: Settings) -> None:
        """Puts changed settings into effect now. Raises Unavailable in plain words."""
        with self._lock:
            try:
                self._refresh(settings, self._memory)
            except OSError as error:
                raise Unavailable(
                    f"The network could not be changed ({error.strerror or error}).",
                    remedy="It is tried again every second.",
                ) from error

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.apply(self._settings())
                self._problem = ""
            except Exception as error:  # the next look may succeed
                if str(error) != self._problem:
                    log.error("%s", error, exc_info=not isinstance(error, Unavailable))
                self._problem = str(error)
            self._stop.wait(LOOK_EVERY_S)
