"""Keeps the network as it should be while the device runs: ports come and go, settings change.

The list of devices is looked at once a second, which costs nothing. Everything is gone through when that
list has changed, for a while afterwards (bridges take their time), and then now and again.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from allegro.errors import Unavailable
from allegro.network import configure, kernel
from allegro.settings.model import Settings

LOOK_EVERY_S = 1.0
SETTLING_S = 10.0
REFRESH_EVERY_S = 30.0

log = logging.getLogger(__name__)


class NetworkCare:
    """Looks in a thread of its own; `memory` is the file of the names of ports, `devices` lists them."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        memory: Path,
        refresh: Callable[[Settings, Path], object] = configure.refresh,
        devices: Callable[[], list[str]] = kernel.device_names,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._refresh = refresh
        self._devices = devices
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
        known: list[str] | None = None
        settled = due = 0.0
        while not self._stop.is_set():
            try:
                present, now = self._devices(), time.monotonic()
                if present != known:
                    known, settled = present, now + SETTLING_S
                if self._problem or now < settled or now >= due:
                    due = now + REFRESH_EVERY_S
                    self.apply(self._settings())
                    self._problem = ""
            except Exception as error:  # the next look may succeed
                if str(error) != self._problem:
                    log.error("%s", error, exc_info=not isinstance(error, Unavailable))
                self._problem = str(error)
            self._stop.wait(LOOK_EVERY_S)
