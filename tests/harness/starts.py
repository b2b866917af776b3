"""What machines this process has started, and how long each took: for the table at the end of a test run."""

import threading
import time
from dataclasses import dataclass, field


@dataclass
class Start:
    """One start of a machine."""

    kind: str
    """From what: "power-on", "saved state", …"""
    began: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    """Until it was ready for what it was started for; None: nobody waited for that."""
    anew: list[str] = field(default_factory=list)
    """Why it was begun anew, once for each time."""
    hopeless: str = ""
    """Why it was given up."""
    _ready: bool = False

    def answers(self) -> None:
        """The guest's agent answers: ready, if nobody waits for more."""
        if self.seconds is None:
            self.seconds = time.monotonic() - self.began

    def ready(self) -> None:
        """The device is ready; only the first time counts."""
        if not self._ready:
            self._ready = True
            self.seconds = time.monotonic() - self.began


class _Log:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starts: list[Start] = []

    def begin(self, kind: str) -> Start:
        start = Start(kind)
        with self._lock:
            self._starts.append(start)
        return start

    def take(self) -> list[Start]:
        with self._lock:
            taken, self._starts = self._starts, []
        return taken


_log = _Log()
begin = _log.begin
"""Notes a start; usable from several threads at once."""
take = _log.take
"""The starts that nobody has taken yet."""
