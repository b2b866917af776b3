"""The last time known, kept on the data partition: the device never starts with its clock before it.

A machine whose clock has no battery starts in the past. Until a server has answered, file names, captures and
certificates would bear times that have been. systemd-timesyncd keeps the time for that, but in /var, which is
empty after each start here. In the same form: the time is when the file was last changed.

A clock that had to be set that way is late by the time for which the device was off. Until a server, or
somebody by hand, has set it, nothing that is due at a time of day is done by it, for ten minutes at most.
"""

import logging
import threading
import time
from pathlib import Path

from allegro.system import boottime

SAVE_EVERY_S = 60.0
DOUBTED_FOR_S = 600.0
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
"""There once a time server has set the clock (systemd-timesyncd.service(8))."""

log = logging.getLogger(__name__)


def save(path: Path) -> None:
    """Keeps the present time. Raises OSError."""
    path.touch(mode=0o644)


def restore(path: Path) -> float:
    """Sets the clock to the time that was kept, if it is behind; returns by how many seconds, 0 if it is not.

    Raises OSError.
    """
    try:
        kept_ns = path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0.0
    behind_ns = kept_ns - time.time_ns()
    if behind_ns <= 0:
        return 0.0
    time.clock_settime_ns(time.CLOCK_REALTIME, kept_ns)
    return behind_ns / 1e9


def is_believable(was_behind: Path, synchronised: Path = SYNCHRONISED) -> bool:
    """Whether what is due at a time of day may be done; `was_behind` is there if the clock had to be set."""
    return not was_behind.exists() or synchronised.exists() or boottime.now_ns() > DOUBTED_FOR_S * 1e9


class TimeKeeper:
    """Keeps the time every minute, and when it is stopped: at most a minute is lost in a power cut."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stop = threading.Event()
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="kept-time", daemon=True)

    def start(self) -> None:
        """Begins to keep it."""
        self._thread.start()

    def stop(self) -> None:
        """Keeps it once more, and ends."""
        self._stop.set()
        self._thread.join()

    def keep(self) -> None:
        """Keeps the present time now, as after it was set. What fails is logged, not once a minute."""
        try:
            save(self._path)
            self._problem = ""
        except OSError as error:
            if str(error) != self._problem:
                log.warning("The time could not be kept: %s", error.strerror)
            self._problem = str(error)

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._stop.wait(SAVE_EVERY_S)
            self.keep()
