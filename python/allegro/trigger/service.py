"""A press comes in, from wherever: checked, made durable, confirmed by a tone, handed to the cutter."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from allegro.capture.extraction.shape import NO_WISHES, Format, Shape, ShapeWishes
from allegro.errors import AllegroError
from allegro.filters.device import GroupTexts
from allegro.trigger.beep import Signal
from allegro.trigger.content import EVERYTHING, Content, Target, WantedRow, groups_kept
from allegro.trigger.cutter import Cutter
from allegro.trigger.job import Job
from allegro.trigger.jobs import JobStore
from allegro.trigger.press import SOURCE_PRESENTER, Press
from allegro.trigger.surroundings import Recorder, Surroundings
from allegro.trigger.windows import Span, checked_span, checked_time
from allegro.words import harmless

_NO_ROW = "No row of the filter table that is in use is for the key {}."

log = logging.getLogger(__name__)


class FileSettings(Protocol):
    """What a file looks like, in the settings."""

    @property
    def format(self) -> Format:
        """Of the file."""

    @property
    def packet_length(self) -> int:
        """Bytes that are kept of a packet; 0: all."""

    @property
    def size_limit_mib(self) -> int:
        """MiB that the file has at most; 0: no limit."""


class TableRow(FileSettings, Protocol):
    """A row of the filter table in the settings."""

    @property
    def enabled(self) -> bool:
        """Whether it counts."""

    @property
    def key(self) -> str:
        """The key whose presses it is for; any: of all."""

    @property
    def name(self) -> str:
        """For the name of the file."""

    @property
    def filter(self) -> str:
        """What packets have to match; empty: all."""


class TriggerDefaults(FileSettings, Protocol):
    """The part of the settings that a press needs."""

    @property
    def before_s(self) -> int:
        """Seconds before the press."""

    @property
    def after_s(self) -> int:
        """Seconds after the press."""

    @property
    def filter(self) -> str:
        """What packets have to match; empty: all are saved."""

    @property
    def rows(self) -> Sequence[TableRow]:
        """The filter table."""


def ring_problem(recorder: Recorder | None, ring: Path) -> str:
    """Why there is nothing to cut from, in plain words; empty if there is a ring.

    A recorder that is just being restarted is no reason: what it has recorded is on disk.
    """
    if recorder is not None and recorder.state == "no-ring":
        return recorder.message or "There is no packet ring buffer."
    if recorder is not None and recorder.state == "recording":
        return ""
    if any(ring.glob("*.blocks")):
        return ""
    return "There is no packet ring buffer yet: the recorder has not started."


def content_for(
    key: str, defaults: TriggerDefaults, groups: GroupTexts, wishes: ShapeWishes = NO_WISHES
) -> Content | None:
    """What a press of a key wants by the settings; None: no row of the filter table is for it. The wishes
    hold for each of its files."""
    in_use = [row for row in defaults.rows if row.enabled]
    if not in_use:
        return content_of(defaults.filter, defaults, groups, wishes)
    rows = tuple(
        WantedRow(row.name, row.filter, wishes.over(_shape(row))) for row in in_use if row.key in ("any", key)
    )
    return Content(rows=rows, groups=groups_kept(groups, *(row.filter for row in rows))) if rows else None


def content_of(
    filter_text: str, defaults: TriggerDefaults, groups: GroupTexts, wishes: ShapeWishes
) -> Content:
    """One file, of what matches a filter."""
    return Content(filter_text, groups_kept(groups, filter_text), shape=wishes.over(_shape(defaults)))


def _shape(settings: FileSettings) -> Shape:
    return Shape(settings.format, settings.packet_length, settings.size_limit_mib)


def checked_filter(text: str, ports: Sequence[str], groups: GroupTexts, place: str = "filter") -> str:
    """The filter in its canonical form. Raises InvalidInput with the place of a mistake in it."""
    if not text.strip():
        return ""
    from allegro.filters.translate import checked  # with the first filter: a start does not need it

    return checked(text, ports or None, groups=groups, place=place)


class Triggers:
    """Where presses go. May be called from any thread."""

    def __init__(
        self, store: JobStore, cutter: Cutter, around: Surroundings, defaults: Callable[[], TriggerDefaults]
    ) -> None:
        self._store = store
        self._cutter = cutter
        self._around = around
        self._defaults = defaults

    def accept(
        self,
        press: Press,
        before_s: float | None = None,
        after_s: float | None = None,
        filter_text: str | None = None,
        wishes: ShapeWishes = NO_WISHES,
        target: Target = "",
        note: str = "",
    ) -> Job:
        """Makes a job of a press. Its state is accepted, or refused with the reason in `message`.

        Without `before_s`, `after_s` (seconds), `filter_text` and `wishes` the settings apply; with a filter
        there is one file, whatever the filter table says. When this returns, the job survives a power cut.
        Raises InvalidInput for a window that cannot be, or a mistake in the filter, Unavailable if the job
        cannot be stored.
        """
        defaults, groups = self._defaults(), self._around.groups()
        content: Content | None
        if filter_text is None:
            content = content_for(press.key, defaults, groups, wishes)
        else:
            filter_text = checked_filter(filter_text, self._around.ports(), groups)
            content = content_of(filter_text, defaults, groups, wishes)
        content = content and replace(content, target=target, note=harmless(note.strip()))
        span = checked_span(
            defaults.before_s if before_s is None else before_s,
            defaults.after_s if after_s is None else after_s,
        )
        if (
            press.source != SOURCE_PRESENTER
        ):  # the kernel's time of a key holds, also when the clock was just set
            checked_time(press.time_ns, span, self._around.now_ns())
        return self._take([press], span, lambda _: content)[0]

    def on_keys(self, presses: Sequence[Press]) -> None:
        """`accept` for the presenter, where nobody is there to be told but by the tone and the log.

        Presses that have queued up become durable together: a slow disk is waited for once.
        """
        try:
            defaults, groups = self._defaults(), self._around.groups()
            span = checked_span(defaults.before_s, defaults.after_s)
            self._take(presses, span, lambda press: content_for(press.key, defaults, groups))
        except AllegroError as error:
            for press in presses:
                log.error("The press of %s on %s could not be stored: %s", press.key, press.device, error)

    def _take(
        self, presses: Sequence[Press], span: Span, content: Callable[[Press], Content | None]
    ) -> list[Job]:
        problem = (
            self._store.refuses
            or self._around.space_problem()
            or ring_problem(self._around.recorder(), self._around.ring_now())
        )

        def why_not(press: Press) -> str:
            return problem or ("" if content(press) else _NO_ROW.format(press.key))

        jobs: list[Job] = []
        for reason, some in itertools.groupby(presses, why_not):
            jobs += self._stored(list(some), span, lambda press: content(press) or EVERYTHING, reason)
        self._cutter.wake()
        return jobs

    def _stored(
        self, presses: Sequence[Press], span: Span, content: Callable[[Press], Content], reason: str
    ) -> list[Job]:
        """Jobs of presses that are refused with `reason`, or accepted without."""
        now_ns = self._around.now_ns()
        try:
            if reason:
                jobs = self._store.refuse(presses, span, reason, now_ns=now_ns, content=content)
            else:
                boot_id = self._around.boot_id
                jobs = self._store.accept(presses, span, now_ns=now_ns, boot_id=boot_id, content=content)
        except AllegroError:
            for _ in presses:
                self._around.play(Signal.REFUSED)
            raise
        for job in jobs:
            if reason:
                log.warning("Capture %d refused: %s", job.id, reason)
                self._around.play(Signal.REFUSED)
            else:
                log.info("Capture %d accepted: %s %s", job.id, job.source, job.key)
                self._around.play(Signal.ACCEPTED)
        return jobs
