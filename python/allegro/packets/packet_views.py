"""Packets that somebody is looking at: which dissectors run, for whom, and how long.

Nobody has to open or close one: a view is made for what is asked for, is there for whoever asks for the same,
and goes when nobody has asked for a while, or another one needs its place. One that is missed is made again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from allegro.errors import AllegroError, Conflict, NotFound
from allegro.packets.dissector import Dissector, DissectorGone
from allegro.packets.packet_sources import PacketSources, Source, WindowSource
from allegro.packets.sandbox_contract import Taken, Task
from allegro.packets.sharkd_answers import Details, Row, Stream, Transport

MOST: Final = 3
"""At the same time: each may take 256 MiB (allegro-packets@.service)."""

IDLE_S: Final = 300.0

_WAITING: Final = 4
_TURN_S: Final = 60.0


class TooMany(AllegroError):
    """As many as can be looked at are being looked at just now."""

    status = 429


@dataclass(frozen=True)
class Shown:
    """The table of a view. `notes`: what is missing, in sentences."""

    rows: Sequence[Row]
    digest: str
    more: bool
    notes: Sequence[str]


@dataclass
class _View:
    """`users` ask for it just now; `turn` is had by the one of them who talks to its dissector."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    used_s: float = 0.0
    shown: Shown | None = None
    dissector: Dissector | None = None

    def close(self) -> None:
        if self.dissector is not None:
            self.dissector.close()
            self.dissector = None


class PacketViews:
    """`socket` is where dissectors are had, `zone` the device's time zone. May be called from any thread."""

    def __init__(
        self,
        sources: PacketSources,
        socket: Path,
        zone: Callable[[], str],
        now: Callable[[], float] = time.monotonic,
        idle_s: float = IDLE_S,
    ) -> None:
        self._sources = sources
        self._socket = socket
        self._zone = zone
        self._now = now
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._views: dict[tuple[Source, str], _View] = {}
        self._tidying = False

    def shown(self, source: Source) -> Shown:
        """The table. Raises AllegroError with the reason why there is none."""
        with self._view(source) as (shown, _):
            return shown

    def details(self, source: Source, number: int, digest: str = "") -> tuple[Row, Details]:
        """One packet, from 1 on. With `digest` only if the table is still the one that had it: of the ring
        the first packets may be gone by now (Conflict). Raises NotFound, AllegroError."""
        with self._view(source) as (shown, dissector):
            row = _row(shown, number, digest)
            return row, dissector.details(number)

    def stream(self, source: Source, number: int, transport: Transport, digest: str = "") -> Stream:
        """The stream that a packet is of, as far as the table has it. Raises as `details`."""
        with self._view(source) as (shown, dissector):
            _row(shown, number, digest)
            name = dissector.details(number).streams.get(transport)
            if name is None:
                raise NotFound(f"Packet {number} is not one of {transport}.", place="number")
            return dissector.stream(transport, name)

    @contextlib.contextmanager
    def _view(self, source: Source) -> Iterator[tuple[Shown, Dissector]]:
        key = (source, self._zone())
        view = self._entered(key)
        try:
            if not view.turn.acquire(timeout=_TURN_S):
                raise _too_many()
            try:
                if view.dissector is not None and view.dissector.has_ended:  # it was idle too long, say
                    view.close()
                if view.shown is None or view.dissector is None:
                    self._make(view, *key)
                assert view.shown is not None  # noqa: S101 (just made)
                assert view.dissector is not None  # noqa: S101
                yield view.shown, view.dissector
            except DissectorGone as error:
                view.close()
                error.message = f"{error.message[:-1]} while it read {source.words}."
                if isinstance(source, WindowSource):
                    error.remedy = "Capture it as a file, and look at that with Wireshark."
                raise
            finally:
                view.turn.release()
        finally:
            self._left(key, view)

    def _entered(self, key: tuple[Source, str]) -> _View:
        with self._lock:
            if (view := self._views.get(key)) is None:
                if len(self._views) >= MOST:
                    idle = [each for each, other in self._views.items() if not other.users]
                    if not idle:
                        raise _too_many()
                    self._views.pop(min(idle, key=lambda each: self._views[each].used_s)).close()
                view = self._views[key] = _View()
            if view.users >= _WAITING:
                raise _too_many()
            view.users += 1
            return view

    def _left(self, key: tuple[Source, str], view: _View) -> None:
        with self._lock:
            view.users -= 1
            view.used_s = self._now()
            if view.dissector is None and not view.users:
                self._views.pop(key, None)
            elif not self._tidying:
                self._tidying = True
                self._tidy_later()

    def _tidy_later(self) -> None:
        timer = threading.Timer(self._idle_s, self._tidy)
        timer.daemon = True
        timer.start()

    def _tidy(self) -> None:
        """Closes what nobody has looked at for a while."""
        with self._lock:
            before = self._now() - self._idle_s
            for key, view in list(self._views.items()):
                if not view.users and view.used_s <= before:
                    self._views.pop(key).close()
            self._tidying = bool(self._views)
            if self._tidying:
                self._tidy_later()

    def _make(self, view: _View, source: Source, zone: str) -> None:
        with contextlib.ExitStack() as failed:
            with self._sources.open(source) as capture:
                dissector = Dissector(self._socket)
                failed.callback(dissector.close)
                taken = dissector.take(Task(capture.program, zone=zone, skip=source.skip), capture.descriptor)
            rows = dissector.rows() if taken.packets else []
            failed.pop_all()
        notes = (*capture.notes, *_notes(taken, source))
        view.shown = Shown(rows, taken.digest, taken.more or capture.more, notes)
        view.dissector = dissector


def _notes(taken: Taken, source: Source) -> Iterator[str]:
    if taken.searched:
        size = f"{taken.searched / 1e6:.0f} MB"
        yield f"Only the first {size} of {source.words} were searched: there was no more time."
    if taken.broken:
        yield f"What is behind these packets cannot be read. {taken.broken}"


def _row(shown: Shown, number: int, digest: str) -> Row:
    if digest and digest != shown.digest:
        raise Conflict(
            "These are other packets by now: the ring has gone on.", remedy="Load the list of packets again."
        )
    if not 1 <= number <= len(shown.rows):
        raise NotFound(f"There is no packet {number} here.", place="number")
    return shown.rows[number - 1]


def _too_many() -> TooMany:
    return TooMany(
        "The device is busy with other packets that are being looked at.",
        remedy="Try again in a moment.",
    )
