"""Changed settings are checked and saved, then each part that they concern is told."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from allegro.errors import AllegroError
from allegro.settings.masks import without_masks
from allegro.settings.model import Settings
from allegro.settings.patches import differing, merged
from allegro.settings.settings_file import SettingsStore, validated
from allegro.supervisor.safe_change import SafeChange

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Applier:
    """Puts changed settings of some sections into effect; `apply` raises AllegroError if that fails."""

    sections: tuple[str, ...]
    apply: Callable[[Settings], None]


Check = Callable[[Settings, Settings], None]
"""Compares old and new settings; raises InvalidInput for what this device, as it is, cannot do."""


class SettingsChanger:
    """The only way to change settings. May be called from several threads; one change at a time.

    With `safe`, changes that could lock the user out wait for confirmation there. `note` is told of each
    change that is saved (old, new, who), and raises nothing.
    """

    def __init__(
        self,
        store: SettingsStore,
        appliers: Sequence[Applier],
        checks: Sequence[Check] = (),
        safe: SafeChange | None = None,
        note: Callable[[Settings, Settings, str], None] = lambda _old, _new, _who: None,
    ) -> None:
        self._store = store
        self._appliers = appliers
        self._checks = checks
        self._safe = safe
        self._note = note
        self._lock = safe.lock if safe else threading.RLock()

    def __call__(
        self,
        patch: Mapping[str, Any],
        before: Callable[[Settings], None] = lambda _present: None,
        later_s: float = 0.0,
        *,
        who: str = "",
    ) -> tuple[Settings, list[str]]:
        """Merges a nested patch, saves and applies it; answers with what could not be applied, in words.

        `before` is given the present settings, which nobody else changes meanwhile, and may raise
        AllegroError. Raises that, InvalidInput or Unavailable if nothing was saved. With `later_s` it is
        saved now and applied after so many seconds: what cannot be applied is in the log only. `who`: the
        user who asked for it; empty: the device itself.
        """
        with self._lock:
            before(self._store.current)
            waiting = self._safe.waiting if self._safe else None
            try:
                old, new = self._store.change(without_masks(patch), self._check)
            except AllegroError:
                if self._safe and self._safe.waiting is not waiting:
                    self._safe.undo(waiting)
                raise
            if self._safe:
                self._safe.after_saving(new)
            self._note(old, new, who)
            if later_s:
                self._apply_later(old, later_s)
                return new, []
            return self._changed(old, new)

    def tried(self, patch: Mapping[str, Any]) -> tuple[Settings, Settings]:
        """The present settings, and those with a patch; raises InvalidInput as the change would."""
        old = self._store.current
        new = validated(merged(old.model_dump(mode="json"), without_masks(patch)))
        for check in self._checks:
            check(old, new)
        return old, new

    def _apply_later(self, old: Settings, seconds: float) -> None:
        def apply() -> None:
            with self._lock:  # others may have changed something, or taken this back
                self._changed(old, self._store.current)

        timer = threading.Timer(seconds, apply)
        timer.daemon = True  # what is saved holds after a restart in any case
        timer.start()

    def _check(self, old: Settings, new: Settings) -> None:
        for check in self._checks:
            check(old, new)
        if self._safe:
            self._safe.before_saving(old, new)

    def put_back(self, patch: Mapping[str, Any]) -> list[str]:
        """Saves and applies settings that were in force before: nothing waits for confirmation then.

        Answers with what could not be applied. Raises as a change does.
        """
        with self._lock:
            back = differing(patch, self._store.current.model_dump(mode="json"))
            old, new = self._store.change(back)
            self._note(old, new, "")
            return self._changed(old, new)[1]

    def _changed(self, old: Settings, new: Settings) -> tuple[Settings, list[str]]:
        warnings: list[str] = []
        for applier in self._appliers:
            if any(getattr(old, section) != getattr(new, section) for section in applier.sections):
                try:
                    applier.apply(new)
                except AllegroError as error:
                    log.warning("Settings are saved, but: %s", error)
                    warnings.append(str(error))
        return new, warnings
