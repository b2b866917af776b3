"""Keeps the network as it should be while the device runs: ports come and go, settings change.

The kernel tells when a network device comes, goes or changes; then everything is gone through, again after a
few seconds (bridges take their time), and now and again without a reason.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from allegro.errors import Unavailable
from allegro.network import configure, kernel
from allegro.network.configure import Interfaces
from allegro.network.link_events import LinkEvents
from allegro.network.ports import FIRST_MANAGEMENT
from allegro.network.temporary_address import Claim
from allegro.settings.model import Settings
from allegro.system.identity import set_host_name

WAIT_S = 1.0
SETTLING_S = (0.0, 1.0, 3.0, 8.0)
"""When it is gone through after something has changed, in seconds from then."""
REFRESH_EVERY_S = 120.0
RETRY_S = 1.0

log = logging.getLogger(__name__)


class NetworkCare:
    """Looks in a thread of its own.

    `memory` is the file of the names of ports; `temporary` tells the temporary address. `wait` waits for news
    of the kernel, for some seconds at most, and says whether there were any. `on_link` is called when the
    first management port has got a link.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        memory: Path,
        temporary: Callable[[], Claim | None] = lambda: None,
        on_link: Callable[[], None] = lambda: None,
        *,
        refresh: Callable[[Settings, Path, Claim | None], Interfaces] = configure.refresh,
        wait: Callable[[float], bool] | None = None,
        has_link: Callable[[str], bool] = kernel.has_link,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._temporary = temporary
        self._on_link = on_link
        self._refresh = refresh
        self._wait = wait
        self._has_link = has_link
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
        self._go_through(settings, self._temporary())

    def apply_temporary(self, claim: Claim | None) -> None:
        """Puts a temporary address, or none, into effect now. Raises Unavailable in plain words."""
        self._go_through(self._settings(), claim)

    def reassign(self, changes: Mapping[str, str]) -> None:
        """Gives ports other names (present → wanted). Raises InvalidInput, Unavailable."""
        with self._lock:
            try:
                configure.reassign(self._memory, changes)
            except OSError as error:
                raise _unavailable(error) from error
        self.apply(self._settings())

    def restore_names(self, names: Mapping[str, str]) -> None:
        """Puts back the names of ports (key → name). Raises Unavailable."""
        with self._lock:
            try:
                if configure.known_names(self._memory) == names:
                    return
                configure.restore_names(self._memory, names)
            except OSError as error:
                raise _unavailable(error) from error
        self.apply(self._settings())

    def _go_through(self, settings: Settings, claim: Claim | None) -> None:
        with self._lock:
            try:
                interfaces = self._refresh(settings, self._memory, claim)
                # The first management port may have come late, or have been changed.
                set_host_name(settings.management.host_name, interfaces.management_mac)
            except OSError as error:
                raise _unavailable(error) from error

    def _run(self) -> None:
        wait = self._wait or LinkEvents().wait
        due = [time.monotonic() + delay for delay in SETTLING_S]
        had_link = True  # a claim from before this process started is good
        while not self._stop.is_set():
            try:
                now = time.monotonic()
                if due[0] <= now:
                    due = [moment for moment in due if moment > now] or [now + REFRESH_EVERY_S]
                    self.apply(self._settings())
                    self._problem = ""
                    link = self._has_link(FIRST_MANAGEMENT)
                    if link and not had_link:
                        self._on_link()
                    had_link = link
            except Exception as error:  # the next look may succeed
                if str(error) != self._problem:
                    log.error("%s", error, exc_info=not isinstance(error, Unavailable))
                self._problem = str(error)
                due = [time.monotonic() + RETRY_S]
            if wait(WAIT_S):
                now = time.monotonic()
                due = [now + delay for delay in SETTLING_S]


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(
        f"The network could not be changed ({error.strerror or error}).",
        remedy="It is tried again every second.",
    )
