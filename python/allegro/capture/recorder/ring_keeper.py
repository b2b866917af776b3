"""The ring that the recorder writes to: opened in the background, given up when its disk refuses."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from allegro.capture.config import RecorderConfig
from allegro.capture.ring.news import RingOpened
from allegro.capture.ring.stock import RingUnavailable
from allegro.capture.ring.writer import RingWriter
from allegro.system.boottime import Reading

_LOG = logging.getLogger(__name__)

RETRY_S = 10.0


class RingKeeper:
    """`writer` is the ring in use, None without one; `reason` says in plain words why there is none.

    Opening looks at all files of the ring, and closing waits for its disk: so both are done in a thread, one
    after the other.
    """

    def __init__(self, start: Reading, boot_id: bytes) -> None:
        self.writer: RingWriter | None = None
        self.reason = "The packet ring is being opened."
        self.directory: Path | None = None
        """Of the ring in use, or else of the one that is to be opened."""
        self._start = start
        self._boot_id = boot_id.hex()
        self._opening: Future[RingWriter] | None = None
        self._worker = ThreadPoolExecutor(1, "ring keeper")
        self._open_again = 0.0
        self._without_since_ns = 0
        self._failed = ""

    def opening(self) -> bool:
        """Whether a ring is being opened: what comes in meanwhile may wait for it in memory."""
        return self._opening is not None

    def first_opening(self) -> bool:
        """Whether there was no ring yet, and none was refused."""
        return self._opening is not None and not self._failed and not self._without_since_ns

    def look(self, options: RecorderConfig, now: float) -> RingWriter | None:
        """Opens a ring if there is none; returns one that has just been opened, and is not used yet."""
        opened = None
        if self.writer is None:
            self.directory = options.ring_directory
        if self._opening is not None and self._opening.done():
            opening, self._opening = self._opening, None
            error = opening.exception()
            if error is None:
                opened = opening.result()
            else:
                self._refused(error)
                self._open_again = now + RETRY_S
        if opened is not None and opened.directory != options.ring_directory:  # told by SIGHUP meanwhile
            self._worker.submit(opened.close)
            opened = None
        if opened is None and self.writer is None and self._opening is None and now >= self._open_again:
            self._opening = self._worker.submit(
                RingWriter,
                options.ring_directory,
                options.ring_size,
                self._start.wall_ns,
                self._boot_id,
                self._start.boot_ns,
            )
        return opened

    def _refused(self, error: BaseException) -> None:
        """Whatever has kept the ring from being opened: the ports are counted, and it is tried again."""
        known = isinstance(error, RingUnavailable)
        reason = str(error)
        if not known:
            reason = f"The packet ring cannot be opened ({type(error).__name__}: {error})."
        if self.reason != reason:
            _LOG.error("no ring: %s", reason, exc_info=None if known else error)
        self.reason = self._failed = reason

    def use(self, writer: RingWriter, now: Reading) -> RingOpened:
        """Takes an opened ring into use; what is to be told of that."""
        self.writer, self.reason = writer, ""
        told = RingOpened(*now, self._without_since_ns, self._failed)
        self._failed = ""
        return told

    def give_up(self, reason: str, now: Reading, open_again: float) -> None:
        """Lets the ring in use be closed, and tries again at `open_again` (time.monotonic).

        No record may be under way.
        """
        if self.writer is not None:
            self._worker.submit(self.writer.close)
            self._without_since_ns = now.boot_ns
        self.writer = None
        self.reason = self._failed = reason
        self._open_again = open_again

    def try_now(self) -> None:
        """Does not wait any longer before it tries again."""
        self._open_again = 0.0

    def end(self) -> None:
        """Closes everything."""
        if self._opening is not None:
            with contextlib.suppress(Exception):
                self.writer = self._opening.result()
        if self.writer is not None:
            self.writer.close()
        self.writer = None
        self._worker.shutdown()
