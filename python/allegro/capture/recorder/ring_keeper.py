"""The ring that the recorder writes to: opened in the background, given up when its disk refuses.

While its disk gives none, a small one in memory takes its place, from which the recorder goes back to the
disk as soon as that can be used again.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from allegro.capture.config import RecorderConfig
from allegro.capture.ring.news import KEPT_IN_MEMORY, KEPT_ON_ANOTHER_DISK_AND_IN_MEMORY, RingOpened
from allegro.capture.ring.stock import RingUnavailable
from allegro.capture.ring.writer import RingWriter
from allegro.system.boottime import Reading

_LOG = logging.getLogger(__name__)

RETRY_S = 10.0
LONGEST_RETRY_S = 600.0
"""A disk that is opened and refuses again and again takes no packets for ten seconds each time."""

KEPT_S = 600.0
"""For so long the ring in memory outlives the return of the disk: captures may be reading it, and a disk
that has just failed may fail again."""

_KEPT_ON_DISK = "What came in meanwhile was kept on the disk."


class _Place:
    """Where a ring can lie. Opening looks at all files of the ring, and closing waits for its disk: so both
    are done in a thread, one after the other; each place has its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.worker = ThreadPoolExecutor(1, name)
        self.opening: Future[RingWriter] | None = None
        self.directory = Path()
        """Of the ring that is being opened."""
        self.open_again = 0.0
        self.failed = ""
        """Why there is no ring here, once it was refused or given up."""

    def opened(self, directory: Path, now: float) -> RingWriter | None:
        """The ring that has been opened here, if that has just ended; notes why there is none."""
        if self.opening is None:
            return None
        if not self.opening.done():
            if self.directory != directory:  # another disk, for which a slow one is not waited for
                self._leave_alone(self.opening)
            return None
        opening, self.opening = self.opening, None
        if error := opening.exception():
            self._refused(error)
            self.open_again = now + RETRY_S
            return None
        opened = opening.result()
        if opened.directory != directory:  # told by SIGHUP meanwhile
            self.worker.submit(_close_unused, opened)
            return None
        return opened

    def open(self, now: float, directory: Path, make: Callable[[], RingWriter]) -> None:
        """Begins to open a ring, unless that is under way, or it is too early to try again."""
        if self.opening is None and now >= self.open_again:
            self.directory = directory
            self.opening = self.worker.submit(make)

    def _leave_alone(self, opening: Future[RingWriter]) -> None:
        """Whenever it has been opened, the ring is closed; a new thread opens the next one."""
        self.worker.submit(_close_opened, opening)
        self.worker.shutdown(wait=False)
        self.worker = ThreadPoolExecutor(1, self._name)
        self.opening = None

    def _refused(self, error: BaseException) -> None:
        """Whatever has kept the ring from being opened: it is tried again."""
        known = isinstance(error, RingUnavailable)
        reason = str(error)
        if not known:
            reason = f"The packet ring cannot be opened ({type(error).__name__}: {error})."
        if self.failed != reason:
            _LOG.error("no ring: %s", reason, exc_info=None if known else error)
        self.failed = reason

    def end(self) -> RingWriter | None:
        """Waits for what is being opened, and returns it."""
        opened = None
        if self.opening is not None:
            with contextlib.suppress(Exception):
                opened = self.opening.result()
        self.worker.shutdown()
        return opened


class RingKeeper:
    """`writer` is the ring in use, None without one; `reason` says in plain words why there is none.

    A ring in memory has been in use since `in_memory_since_ns` (ns since 1970; 0: the one in use is none).
    """

    def __init__(self, start: Reading, boot_id: bytes) -> None:
        self.writer: RingWriter | None = None
        self.reason = "The packet ring is being opened."
        self.directory: Path | None = None
        """Of the ring in use, or else of the one that is to be opened."""
        self.in_memory_since_ns = 0
        self._start = start
        self._boot_id = boot_id.hex()
        self._disk = _Place("ring keeper")
        self._memory = _Place("ring in memory")
        self._memory_directory: Path | None = None
        self._wanted: Path | None = None
        """Directory of the ring that the configuration asks for."""
        self._why = ""
        """Why the ring that was in use before is in use no more."""
        self._memory_boot_ns = 0
        """When one in memory was taken into use, since that on the disk was; 0: none was."""
        self._forget_memory_at = 0.0
        self._given_up = 0
        self._left_ns: dict[bytes, int] = {}
        """When this recorder has left a ring, by its id: the next one in its directory may be another one."""
        self._left_on_disk = b""
        """Id of the ring on a disk that was left last; empty: none was."""

    def opening(self) -> bool:
        """Whether a ring is being opened: what comes in meanwhile may wait for it in memory."""
        return self._disk.opening is not None or self._memory.opening is not None

    def expected(self) -> bool:
        """Whether a ring is being opened, and none was refused but for one in memory to take its place."""
        refused = self._disk.failed and self._memory.opening is None
        return self.opening() and not refused

    def opening_on_disk(self) -> Path | None:
        """Where a ring is being opened on a disk, also while another one is in use."""
        return self._disk.directory if self._disk.opening is not None else None

    def message(self) -> str:
        """What is wrong, in plain words; empty if nothing is."""
        if why := self.memory_reason():
            return f"Packets are kept in memory only: {why}"
        if self.moves() and self._disk.failed:
            return f"The ring on the other disk cannot be opened: {self._disk.failed}"
        return self.reason

    def moves(self) -> bool:
        """Whether the ring in use, which is on a disk, is to be left for one in another directory."""
        in_use = self.writer is not None and not self.in_memory_since_ns
        return in_use and self.directory != self._wanted

    def kept_beside(self) -> Path | None:
        """Where a ring in memory may still lie while that on the disk is in use again."""
        on_disk = self.writer is not None and not self.in_memory_since_ns
        return self._memory_directory if on_disk and self._forget_memory_at else None

    def memory_reason(self) -> str:
        """Why the ring in use is in memory, in plain words; empty if it is not."""
        return self._disk.failed if self.in_memory_since_ns else ""

    def look(self, options: RecorderConfig, now: float) -> RingWriter | None:
        """Opens a ring if there is none, only one in memory, or one in another directory than is asked for;
        returns one that has just been opened, and is not used yet. Until it is, the one in use goes on."""
        self._memory_directory = options.memory_directory
        self._wanted = options.ring_directory
        if self.writer is None:
            self.directory = options.ring_directory
        elif not self.in_memory_since_ns and not self.moves():
            self._disk.failed = ""  # of another directory, which is not asked for any more
        opened = self._disk.opened(options.ring_directory, now)
        if opened is not None:
            return opened
        if self.writer is None or self.in_memory_since_ns or self.moves():
            directory, size = options.ring_directory, options.ring_size
            self._disk.open(now, directory, lambda: self._open(directory, size))
        if self.writer is None and self._disk.failed:
            self.reason = self._disk.failed
        return self._look_at_memory(options.memory_directory, options.memory_size, now)

    def _look_at_memory(self, directory: Path | None, size: int, now: float) -> RingWriter | None:
        """The same for the ring in memory, which is wanted while the disk refuses."""
        if directory is None:
            return None
        opened = self._memory.opened(directory, now)
        if opened is not None and self.writer is None:
            return opened
        if opened is not None:  # the disk was faster
            self._memory.worker.submit(_close_unused, opened)
        if self.writer is None and self._disk.failed:
            self._memory.open(now, directory, lambda: self._open(directory, size))
        elif self.writer is not None and not self.in_memory_since_ns and now >= self._forget_memory_at > 0:
            self._forget_memory_at, self._given_up = 0.0, 0
            self._memory.worker.submit(_remove_files, directory)
        return None

    def _open(self, directory: Path, size: int) -> RingWriter:
        start = self._start
        return RingWriter(directory, size, start.wall_ns, self._boot_id, start.boot_ns)

    def use(self, writer: RingWriter, now: Reading) -> RingOpened:
        """Takes an opened ring into use; what is to be told of that."""
        in_memory = writer.directory == self._memory_directory
        since_ns = self._left_ns.get(writer.ring_id, 0)
        begun = writer.begun and not since_ns and (in_memory or bool(self._left_ns))
        reason = self._disk.failed or self._why
        if in_memory and since_ns:
            reason = f"{reason} {_KEPT_ON_DISK}"
        elif self._memory_boot_ns and not in_memory:
            elsewhere = self._left_on_disk not in (b"", writer.ring_id)
            reason = f"{reason} {KEPT_ON_ANOTHER_DISK_AND_IN_MEMORY if elsewhere else KEPT_IN_MEMORY}"
        self.writer, self.directory, self.reason, self._why = writer, writer.directory, "", ""
        self.in_memory_since_ns = now.wall_ns if in_memory else 0
        memory_boot_ns, self._memory_boot_ns = self._memory_boot_ns, now.boot_ns if in_memory else 0
        if not in_memory:
            self._disk.failed = ""
            self._forget_memory_at = time.monotonic() + KEPT_S
        return RingOpened(*now, since_ns, reason, int(begun), 0 if in_memory else memory_boot_ns)

    def give_up(self, reason: str, now: Reading, pause_s: float) -> None:
        """Lets the ring in use be closed, and tries again after so many seconds; 0: at once, and then that it
        is given up is no failure. No record may be under way.
        """
        if self.writer is not None:
            place = self._memory if self.in_memory_since_ns else self._disk
            if place is self._disk:
                self._left_on_disk = self.writer.ring_id
            self.writer.left()
            place.worker.submit(self.writer.close)
            self._left_ns[self.writer.ring_id] = now.boot_ns
            place.failed = reason if pause_s else place.failed
            if pause_s and place is self._disk and self._memory_directory is not None:
                pause_s = min(pause_s * 2**self._given_up, LONGEST_RETRY_S)
                self._given_up += 1
            place.open_again = time.monotonic() + pause_s
        self.writer = None
        self.in_memory_since_ns = 0
        self.reason = self._why = reason

    def not_now(self, writer: RingWriter) -> None:
        """Closes an opened ring on the disk, which is opened again after a while."""
        self._disk.worker.submit(_close_unused, writer)
        self._disk.open_again = time.monotonic() + RETRY_S

    def try_now(self) -> None:
        """Does not wait any longer before it tries again."""
        self._disk.open_again = self._memory.open_again = 0.0

    def end(self) -> None:
        """Closes everything. A ring that is just being opened is not called left where none was in use: what
        came in is in none."""
        close = _close_unused if self.writer is not None else RingWriter.close
        if self.writer is not None:
            self.writer.close()
        self.writer = None
        for place in (self._disk, self._memory):
            if (opened := place.end()) is not None:
                close(opened)


def _close_opened(opening: Future[RingWriter]) -> None:
    """Closes a ring that nobody waits for any more."""
    with contextlib.suppress(Exception):
        _close_unused(opening.result())


def _close_unused(writer: RingWriter) -> None:
    """Closes an opened ring that is not used, so that nothing of this run is looked for in it."""
    writer.left()
    writer.close()


def _remove_files(directory: Path) -> None:
    """Gives the memory of a ring that is not in use any more back to the machine."""
    for path in directory.iterdir():
        path.unlink(missing_ok=True)
