"""Looks at the system that may take long, or never end: whoever asks waits for a moment, and is told."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

WAIT_S = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen(Generic[T]):
    """`value` is the last that was seen, None if nothing was yet. With `unknown_since_ns` (ns since 1970)
    nothing has been seen since then."""

    value: T | None
    unknown_since_ns: int | None = None


class SlowLook(Generic[T]):
    """One look at a time, for all who ask meanwhile. May be called from several threads.

    `look` raises OSError, RuntimeError or ValueError if it fails. After a look that failed, or that takes
    longer than `wait_s`, nobody waits until one has come to an end again. What was seen, or that it
    failed, is kept for `kept_s`.
    """

    def __init__(
        self,
        name: str,
        look: Callable[[], T],
        wait_s: float = WAIT_S,
        kept_s: float = 0.0,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._look = look
        self._wait_s = wait_s
        self._kept_s = kept_s
        self._now_ns = now_ns
        self._now_s = now_s
        self._until_s = float("-inf")
        self._lock = threading.Lock()
        self._seen: Seen[T] = Seen(None)
        self._running: tuple[threading.Event, int] | None = None

    def latest(self) -> Seen[T]:
        """What is seen now, or was last."""
        with self._lock:
            if self._running is None and self._now_s() < self._until_s:
                return self._seen
            running = self._running = self._running or self._begun()
            waits = self._seen.unknown_since_ns is None
        ended, began_ns = running
        if not ended.wait(self._wait_s if waits else 0):
            with self._lock:
                if self._running is running:
                    self._missed(began_ns, "no answer yet")
        return self._seen

    def _begun(self) -> tuple[threading.Event, int]:
        running = threading.Event(), self._now_ns()
        threading.Thread(target=self._run, args=running, name=self._name, daemon=True).start()
        return running

    def _run(self, ended: threading.Event, began_ns: int) -> None:
        try:
            value = self._look()
        except (OSError, RuntimeError, ValueError) as error:
            with self._lock:
                self._running = None
                self._until_s = self._now_s() + self._kept_s
                self._missed(began_ns, str(error))
        else:
            with self._lock:
                self._running = None
                self._seen = Seen(value)
                self._until_s = self._now_s() + self._kept_s
        ended.set()

    def _missed(self, began_ns: int, why: str) -> None:
        if self._seen.unknown_since_ns is None:
            log.warning("%s: %s", self._name, why)
            self._seen = Seen(self._seen.value, began_ns)
