"""A disk that was chosen for something (captures, the packet ring), other than the device's own: mounted when
it is there.

It may be pulled at any moment, and come back. Nothing is mounted that nobody has chosen by its id.
"""

import contextlib
import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from allegro.atomic import SUFFIX
from allegro.errors import AllegroError, Conflict, NotFound, Unavailable
from allegro.storage.answering import Answering
from allegro.storage.volumes import Volume, objection

FOLDER: Final = "allegro"
"""Captures lie in this folder of the disk: whatever else is on it is neither shown nor touched."""

MOVING: Final = f".allegro-moving{SUFFIX}"
"""What is being moved there: one file at a time. A name made of its own could be too long."""

_ANSWERS_WITHIN_S = 15.0
"""A slow stick may take so long for what it has to write before it is let go; the end of the supervisor waits
no longer either."""

_SILENT = "It does not answer."
_FREE = "It can be pulled."

_LOOKS_AFTER_OBJECTION = 30
_LOOK_WHETHER_FREE_S = 0.2

log = logging.getLogger(__name__)

T = TypeVar("T")


def new_file(path: Path) -> int:
    """Descriptor of a new file, instead of whatever a stranger has left there: a pipe would wait for ever.

    Raises OSError.
    """
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)


class Mounts(Protocol):
    """As the module `mounting` does it."""

    def mount(self, device: str, kind: str, place: Path) -> None:
        """Raises Unavailable."""

    def unmount(self, place: Path, *, at_once: bool = False) -> None:
        """Raises Conflict, Unavailable."""


def make_folder(top: Path) -> None:
    """Makes the folder for captures, if there is none, and removes what a power cut has left of a move.

    Raises OSError.
    """
    with contextlib.suppress(FileExistsError):
        (top / FOLDER).mkdir(mode=0o750)
    with contextlib.suppress(OSError):  # of no use, and in nobody's way
        (top / FOLDER / MOVING).unlink()


class Objection(Protocol):
    """As `volumes.objection`."""

    def __call__(self, volume: Volume, others: Collection[Volume], own_place: str) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Use:
    """What a disk is used for: `what` in words, in its `folder`.

    `prepare` makes that usable where the disk is mounted; it raises AllegroError with what speaks against it,
    and OSError.
    """

    what: str
    folder: str
    prepare: Callable[[Path], None]
    objection: Objection


CAPTURES: Final = Use("captures", FOLDER, make_folder, objection)


class UsedDisk:
    """One disk at `place` at a time, for one use. May be called from any thread.

    `wanted` is the id of the chosen one (empty: none), `volumes` what there is, `present` whether there is a
    file system with an id (another true value each time it is plugged in), `still_there` whether the device
    with that number (st_dev) is. While `changes` answers the same, `volumes`, which costs time, is rarely
    asked for a disk that could not be used. Whoever reads it has `readers_leave_s` seconds for that when it
    is let go. A disk that stands still keeps nobody waiting for longer than `answers_within_s` seconds;
    nothing is done with any until it has answered.
    """

    def __init__(
        self,
        place: Path,
        wanted: Callable[[], str],
        volumes: Callable[[], Sequence[Volume]],
        mounts: Mounts,
        present: Callable[[str], object],
        still_there: Callable[[int], bool],
        changes: Callable[[], object] = object,
        use: Use = CAPTURES,
        readers_leave_s: float = 0.0,
        answers_within_s: float = _ANSWERS_WITHIN_S,
    ) -> None:
        self.place = place
        self._use_for = use
        self.wanted = wanted
        self.volumes = volumes
        self._mounts = mounts
        self._present = present
        self._still_there = still_there
        self._changes = changes
        self._readers_leave_s = readers_leave_s
        self._answering = Answering(answers_within_s)
        self._seen: object = None
        self._wait_looks = 0
        self._changing = threading.Lock()
        self._mounted = ""
        self._device = 0
        self._left_alone: tuple[str, object] = ("", None)
        """Which one is not to be used, and as what it was `present` then."""
        self._being_formatted = ""
        self.reason = ""

    @property
    def mounted(self) -> str:
        """The id of the one that is in use; empty: none."""
        return self._mounted

    @property
    def folder(self) -> Path:
        """What is of ours on it while it is mounted."""
        return self.place / self._use_for.folder

    def objection(self, volume: Volume, others: Collection[Volume]) -> str:
        """Why this file system cannot be used, in plain words; empty if it can. `others` are all."""
        return self._use_for.objection(volume, others, str(self.place))

    def is_usable(self) -> bool:
        """Whether files can be written there now. Never waits for the disk."""
        return bool(self._mounted) and not self._answering.is_silent() and self._still_there(self._device)

    def ask(self, question: Callable[[], T]) -> T:
        """Answers as `question`, which asks the disk. Raises what it raises, and OSError (ETIMEDOUT) if there
        is no answer in time."""
        return self._answering.ask(question)

    def look(self) -> None:
        """Mounts what is wanted and there, lets go what is not. To be called every few seconds."""
        with self._changing:
            wanted = self.wanted()
            if self._answering.is_silent():
                self.reason = _SILENT
                return
            try:
                if self._mounted and not self._still_there(self._device):
                    log.warning("The disk for %s was pulled", self._use_for.what)
                    self._let_go(at_once=True)
                elif self._mounted and self._mounted != wanted:
                    self._let_go()
            except AllegroError as error:
                self.reason = str(error)
                return
            if not wanted or self._mounted:
                self.reason = ""
            elif not (present := self._present(wanted)):
                self._left_alone, self._seen = ("", None), None
                self.reason = "It is not plugged in."
            elif (wanted, present) == self._left_alone:
                if self.reason == _SILENT:  # it has been let go at last
                    self.reason = _FREE
            elif self._is_due():
                self._try(wanted)

    def choose(self, uuid: str, keep: Callable[[], None]) -> None:
        """Uses this one from now on (empty: none), and has that kept.

        Raises NotFound, Conflict with what speaks against it, Unavailable; what was used before then stays.
        """
        with self._changing:
            before = self._mounted
            if uuid != before:
                volume = self._usable(uuid) if uuid else None
                self._let_go()
                try:
                    if volume:
                        self._use(volume)
                except AllegroError:
                    if before:
                        with contextlib.suppress(AllegroError):
                            self._use(self._usable(before))
                    raise
            self._left_alone, self.reason = ("", None), ""
            keep()

    def remove(self) -> None:
        """Lets it go, so that it can be pulled; it is used again when it has been plugged in again.

        Raises Conflict while it is used, or if there is none, Unavailable.
        """
        with self._changing:
            if not self._mounted:
                raise Conflict(f"No disk is in use for {self._use_for.what}.")
            self._leave(self._mounted)  # also if it is let go later than this waits
            self._let_go()
            self.reason = _FREE

    def leave_alone(self, disk: str) -> None:
        """Nothing on the disk with this name (as `sda`; empty: none any more) is mounted from now on.

        Raises Conflict while that holds for another disk.
        """
        with self._changing:
            if disk and self._being_formatted:
                raise Conflict(f"{self._being_formatted} is being formatted.", remedy="Wait for its end.")
            self._being_formatted = disk

    @contextmanager
    def apart(self, uuid: str) -> Iterator[Volume]:
        """This one, and nobody uses it while the block lasts; if it was in use, it is again afterwards.

        Raises NotFound, Conflict with what speaks against it, Unavailable.
        """
        with self._changing:
            volume = self._usable(uuid)
            was_used = self._mounted == uuid
            if was_used:
                self._let_go()
            try:
                yield volume
            finally:
                if was_used:
                    with contextlib.suppress(AllegroError):  # else the next look tries it, and tells
                        self._use(volume)

    def stop(self) -> None:
        """Lets it go at the end of the program."""
        with self._changing:
            self._let_go(at_once=True)

    def _leave(self, uuid: str) -> None:
        """It is not used until it is plugged in again, be that so soon that no look comes in between."""
        self._left_alone = uuid, self._present(uuid)

    def _usable(self, uuid: str) -> Volume:
        volumes = self.volumes()
        found = next((volume for volume in volumes if volume.uuid == uuid), None)
        if found is None:
            raise NotFound(f"There is no disk with the id {uuid}.", place="uuid")
        if against := self.objection(found, volumes):
            raise Conflict(against, place="uuid")
        if found.disk.name == self._being_formatted:
            raise Conflict("It is being formatted.", place="uuid")
        return found

    def _is_due(self) -> bool:
        """Whether anything has changed since the last try, or it is time for another one all the same."""
        before, self._seen = self._seen, self._changes()
        self._wait_looks -= 1
        return self._seen != before or self._wait_looks <= 0

    def _try(self, uuid: str) -> None:
        """Uses it if that can be. What only speaks against it at the moment is looked at again."""
        try:
            volume = self._usable(uuid)
        except AllegroError as error:
            reason = " ".join(filter(None, (error.message, error.remedy)))
            if self.reason != reason:
                log.warning("The disk for %s cannot be used yet: %s", self._use_for.what, reason)
            self.reason = reason
            self._wait_looks = _LOOKS_AFTER_OBJECTION
            return
        try:
            self._use(volume)
            self.reason = ""
        except AllegroError as error:
            log.warning("The disk for %s cannot be used: %s", self._use_for.what, error)
            self._leave(uuid)
            self.reason = str(error)

    def _use(self, volume: Volume) -> None:
        try:
            self._answering.ask(lambda: self._mount(volume))
        except OSError as error:
            if error.errno != errno.ETIMEDOUT:
                raise Conflict(f"Nothing can be written to it ({error.strerror}).") from error
            raise Unavailable(
                "The disk, or the one that was in use before, does not answer.",
                remedy="Pull it, or try again later.",
            ) from None
        log.info("In use for %s: %s", self._use_for.what, volume.disk.title)

    def _mount(self, volume: Volume) -> None:
        self._mounts.mount(volume.path, volume.kind, self.place)
        try:
            self._use_for.prepare(self.place)
            self._try_to_write()
            self._device = self.place.stat().st_dev
        except (OSError, AllegroError):
            with contextlib.suppress(AllegroError):
                self._mounts.unmount(self.place, at_once=True)
            raise
        self._mounted = volume.uuid

    def _try_to_write(self) -> None:
        probe = self.folder / ".allegro-probe"
        os.close(new_file(probe))
        probe.unlink()

    def _let_go(self, *, at_once: bool = False) -> None:
        until = time.monotonic() + self._readers_leave_s
        while self._mounted:
            try:
                self._answering.ask(lambda: self._unmount(at_once=at_once))
            except Conflict:
                if time.monotonic() >= until:
                    raise
                time.sleep(_LOOK_WHETHER_FREE_S)
            except OSError:
                raise Unavailable(
                    "The disk does not answer: what it has not written yet is lost if it is pulled now.",
                    remedy="Wait until it is said that it can be pulled; if that is never said, pull it.",
                ) from None

    def _unmount(self, *, at_once: bool) -> None:
        self._mounts.unmount(self.place, at_once=at_once)
        self._mounted = ""
