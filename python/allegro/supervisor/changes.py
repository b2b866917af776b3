"""Changed settings are checked and saved, then each part that they concern is told."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from allegro.errors import AllegroError
from allegro.settings.masks import without_masks
from allegro.settings.model import Settings
from allegro.settings.store import SettingsStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Applier:
    """Puts changed settings of some sections into effect; `apply` raises AllegroError if that fails."""

    sections: tuple[str, ...]
    apply: Callable[[Settings], None]


Check = Callable[[Settings, Settings], None]
"""Compares old and new settings; raises InvalidInput for what this device, as it is, cannot do."""


class SettingsChanger:
    """The only way to change settings. May be called from several threads; one change at a time."""

    def __init__(
        self, store: SettingsStore, appliers: Sequence[Applier], checks: Sequence[Check] = ()
    ) -> None:
        self._store = store
        self._appliers = appliers
        self._checks = checks
        self._lock = threading.Lock()

    def __call__(self, patch: Mapping[str, Any]) -> tuple[Settings, list[str]]:
        """Merges a nested patch, saves and applies it; answers with what could not be applied, in words.

        Raises InvalidInput or Unavailable if nothing was saved.
        """
        with self._lock:
            old, new = self._store.change(without_masks(patch), self._check)
            warnings: list[str] = []
            for applier in self._appliers:
                if any(getattr(old, section) != getattr(new, section) for section in applier.sections):
                    try:
                        applier.apply(new)
                    except AllegroError as error:
                        log.warning("Settings are saved, but: %s", error)
                        warnings.append(str(error))
            return new, warnings

    def _check(self, old: Settings, new: Settings) -> None:
        for check in self._checks:
            check(old, new)
