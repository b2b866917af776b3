"""Where the packet ring lies: on the disk that was chosen for it while that works, else on the device's own.

The recorder is told by its configuration; it changes rings without a restart, and what comes in meanwhile
waits in its memory. Where the ring is, everybody reads in its status.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from allegro.capture import space
from allegro.capture.ring.segments import SMALLEST_RING
from allegro.capture.status import RecorderStatus
from allegro.errors import AllegroError, Conflict, InvalidInput, Unavailable
from allegro.settings.model import Settings
from allegro.storage.used_disk import UsedDisk
from allegro.system.health import MIB

_LOOK_EVERY_S: Final = 1.0
_REFUSED_AFTER_S: Final = 25.0
"""So long the recorder may have no ring there, and open none, before the device's own is taken instead: it
waits ten seconds for what the present disk still has to write, and as long before it tries again."""

_IN_MEMORY_FOR_S: Final = 3.0
"""The same while it has one in memory only, because the disk has failed."""

_AWAITED_S: Final = 60.0
"""So long after a start captures of before may wait for the chosen disk to be found."""

_LEAVES_WITHIN_S: Final = 10.0
_LEFT_WITHIN_S: Final = 30.0
_OPENS_WITHIN_S: Final = 60.0
"""A ring that takes longer to be opened is told as a problem; it is waited for all the same."""

_SHOWN_WITHIN_S: Final = 5.0
"""Who chooses a disk waits so long for the ring to be there, which mostly takes a moment."""

_ENDS_WITHIN_S: Final = 5.0

log = logging.getLogger(__name__)


class RingCare:
    """`tell` has the recorder told its settings with the present `directory`, `recorder` is what it says
    (None: nothing), `unfinished` is how many captures may need what the ring holds, `waits` for
    how many of them the recorder is told later.

    May be called from any thread.
    """

    def __init__(
        self,
        disk: UsedDisk,
        settings: Callable[[], Settings],
        tell: Callable[[], None],
        recorder: Callable[[], RecorderStatus | None],
        unfinished: Callable[[], int],
        waits: Callable[[], int] = int,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.disk = disk
        self._settings = settings
        self._tell = tell
        self._recorder = recorder
        self._unfinished = unfinished
        self._waits = waits
        self._now_s = now_s
        self._given_up = ""
        self._reason = ""
        self._told: Path | None = None
        self._told_s = self._since_s = 0.0
        self._began_s = now_s()
        self._changing = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ring disk", daemon=True)

    def start(self) -> None:
        """Begins to look for the disk."""
        if self.disk.place.is_mount():  # this program was started again: the recorder has its ring there
            self._look()
        self._thread.start()

    def stop(self) -> None:
        """Ends that; the ring stays where it is, because the recorder goes on."""
        self._stop.set()
        self._thread.join(_ENDS_WITHIN_S)

    def directory(self) -> Path | None:
        """Where the ring is to be on the chosen disk; None: on the device's own."""
        mounted = self.disk.mounted
        in_force = mounted and mounted == self.disk.wanted() and mounted != self._given_up
        return self.disk.folder if in_force and self.disk.is_usable() else None

    def choose(self, uuid: str, size_mib: int | None, keep: Callable[[int], None]) -> None:
        """Records there from now on (empty: on the device's own disk). `keep` keeps the choice and its size
        in MiB, and has the recorder told; without a size the ring gets what is free.

        Raises NotFound, Conflict with what speaks against it, Unavailable; the ring stays where it is then.
        """
        with self._changing:
            if self.disk.mounted == uuid:
                self._given_up = ""
            with self._left() if self.disk.mounted not in ("", uuid) else contextlib.nullcontext():
                self.disk.choose(uuid, lambda: keep(self._size(size_mib)))
            self._given_up = self._reason = ""
            self._note(self.directory())
        until = self._now_s() + _SHOWN_WITHIN_S
        while self.pending() and not self._waits() and self._now_s() < until:
            self._stop.wait(0.1)

    def remove(self) -> None:
        """Lets the recorder leave the disk, and lets it go, so that it can be pulled.

        Raises Conflict while captures need it, or if there is none, Unavailable.
        """
        with self._changing:
            if not self.disk.mounted:
                raise Conflict("No disk is in use for the packet ring buffer.")
            with self._left():
                self.disk.remove()

    def problem(self) -> str:
        """Why the ring is not on the disk that was chosen for it, in plain words."""
        if not self.disk.wanted():
            return ""
        if self.directory() is None:
            return self._reason or self.disk.reason
        late = self._now_s() - self._told_s > _OPENS_WITHIN_S
        return self.pending() if late and self._is_opening(self._recorder()) else ""

    def is_there(self) -> bool:
        """Whether the recorder has its ring on the chosen disk."""
        said = self._recorder()
        return self.directory() is not None and said is not None and self._is_there(said)

    def pending(self) -> str:
        """Why it is not there yet although it is to be, in plain words; empty also if nobody knows."""
        said = self._recorder()
        if self.directory() is None or said is None or self._is_there(said):
            return ""
        if count := self._waits():
            captures = "a capture" if count == 1 else f"{count} captures"
            return f"It goes there when {captures} accepted before no longer need the present ring."
        if self._is_opening(said):
            return "The ring there is being opened; until then recording goes on where it is."
        return "The recorder has no ring there yet."

    def is_awaited(self) -> bool:
        """Whether the ring may still go on on the chosen disk: until then, what was recorded there before
        cannot be read. A disk that is there is awaited until it is given up, as its ring may take long to be
        opened, or wait for captures that need the present one; one that is not, for a while after the start
        of this program."""
        if self.disk.wanted() in ("", self._given_up):
            return False
        said = self._recorder()
        if said is not None and self._is_there(said):
            return False
        comes = said is not None and self.directory() is not None
        return comes or self._now_s() - self._began_s <= _AWAITED_S

    def step(self) -> None:
        """Looks for the disk; has the recorder told when it has come or gone."""
        with self._changing:
            self.disk.look()
            if self.disk.mounted != self._given_up:
                self._given_up = self._reason = ""
            said = self._recorder()
            self._give_up_what_does_not_work(said)
            if self.directory() != self._told or self._is_left_behind(said):
                self._note(self.directory())
                self._tell()

    def _note(self, directory: Path | None) -> None:
        self._told, self._told_s = directory, self._now_s()
        self._since_s = self._told_s

    def _is_left_behind(self, said: RecorderStatus | None) -> bool:
        """Whether the recorder has not left the disk yet although it was told: that hung, and it refused."""
        there = said is not None and said.ring_directory == str(self.disk.folder)
        late = self._now_s() - self._since_s > _LEAVES_WITHIN_S
        return self._told is None and there and late and not self._waits()

    def _give_up_what_does_not_work(self, said: RecorderStatus | None) -> None:
        """A disk that is there, and on which the recorder has no ring although it was told."""
        if self._told is None:
            return
        if said is None or self._is_there(said) or self._is_opening(said) or self._waits():
            self._since_s = self._now_s()
            return
        patience_s = _IN_MEMORY_FOR_S if said.memory_reason else _REFUSED_AFTER_S
        if self._now_s() - self._since_s > patience_s:
            self._given_up = self.disk.mounted
            self._reason = f"The recorder cannot use it. {said.memory_reason or said.message}".strip()
            log.warning("The packet ring goes back to the device's own disk: %s", self._reason)

    def _is_there(self, said: RecorderStatus) -> bool:
        return said.ring is not None and said.ring.directory == str(self.disk.folder)

    def _is_opening(self, said: RecorderStatus | None) -> bool:
        return said is not None and said.ring_opening == str(self.disk.folder)

    @contextmanager
    def _left(self) -> Iterator[None]:
        """The recorder has gone on on the device's own disk; if the block fails, it comes back."""
        if self._unfinished():
            raise Conflict(
                "Captures that were accepted need what the packet ring buffer holds.",
                remedy="Wait for their end, or cancel them.",
            )
        self._given_up = self.disk.mounted
        self._note(None)
        try:
            self._tell()
            self._wait_until_left(str(self.disk.folder))
            yield
        except AllegroError:
            self._given_up = ""  # the next look has the recorder told
            raise

    def _wait_until_left(self, folder: str) -> None:
        """Until the recorder has another ring, or none. What it, and readers, still have to do with this one
        is waited for when the disk is let go. Raises Conflict where it stays here, as it gets no ring on the
        device."""
        until = self._now_s() + _LEFT_WITHIN_S
        while (said := self._recorder()) is not None:
            there = said.ring_directory == folder
            late = self._now_s() > until
            if there and late:
                raise Conflict(
                    "The recorder does not leave the disk.",
                    remedy="Try again later; if the device's own disk is broken, switch the device off before"
                    " you pull it.",
                )
            if late or (not there and said.ring is not None):
                return
            self._stop.wait(0.1)

    def _size(self, wanted: int | None) -> int:
        """In MiB; without a wish what fits there beside what else lies there. Raises InvalidInput."""
        if not self.disk.mounted:
            return self._settings().recording.ring_disk_mib
        folder = self.disk.folder
        try:
            fits, largest = self.disk.ask(lambda: _room(folder))
        except OSError as error:
            raise Unavailable(f"The disk does not answer ({error.strerror}).") from error
        if (wanted or 0) * MIB > largest or fits < SMALLEST_RING:
            raise InvalidInput(
                f"The packet ring buffer does not fit there (got {wanted or 'no size'}).",
                place="size_mib",
                remedy=f"{min(fits, largest) // MIB} MiB are free for it.",
            )
        return wanted or fits // MIB

    def _work(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            self._look()

    def _look(self) -> None:
        try:
            self.step()
        except AllegroError as error:
            log.warning("The disk for the packet ring: %s", error)
        except Exception:  # the next look may succeed
            log.exception("The disk for the packet ring could not be looked at")


def _room(folder: Path) -> tuple[int, int]:
    """Bytes that fit beside what else lies on the disk, and that a ring can have there. Raises OSError."""
    present = sum(path.stat().st_size for path in folder.glob("*.blocks"))
    return space.available(folder) + present, space.largest_ring(folder)
