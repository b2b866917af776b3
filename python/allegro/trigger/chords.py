"""Which keys pressed together on a keyboard are a shortcut. No I/O.

Shift with one letter and nothing else, by the place of the key (Linux input-event-codes.h), so that it is the
same on all usual layouts. It counts only if it stands alone: text that somebody types, or a bar code reader
sends, is no shortcut.
"""

from typing import Literal

from allegro.trigger.keys import EV_KEY, PRESSED, RELEASED, RawEvent

Shortcut = Literal["reset", "temporary-address"]

ALONE_BEFORE_S = 1.0
ALONE_AFTER_S = 0.5
"""No other letter within these times before and after."""

KEY_R, KEY_S = 19, 31
SHORTCUTS: dict[int, Shortcut] = {KEY_R: "reset", KEY_S: "temporary-address"}

SHIFTS = frozenset({42, 54})
OTHER_MODIFIERS = frozenset({29, 56, 97, 100, 125, 126})  # Ctrl, Alt, Meta, left and right
NEEDED_KEYS = frozenset({KEY_R, KEY_S, 42})
"""A device that has these is a keyboard."""


class Chords:
    """One keyboard. Times are monotonic, in seconds; they tell when an event was read."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._other_at_s = float("-inf")
        self._pending: tuple[Shortcut, int, float] | None = None

    def feed(self, event: RawEvent, now_s: float) -> None:
        """Takes an event; ask `due` afterwards."""
        if event.type != EV_KEY or event.value not in (PRESSED, RELEASED):
            return
        if event.value == RELEASED:
            self._held.discard(event.code)
            return
        alone = bool(self._held) and self._held <= SHIFTS
        self._held.add(event.code)
        if event.code in SHIFTS | OTHER_MODIFIERS:
            return
        if self._pending is not None and self._pending[1] == event.code:
            return  # pressed twice by an impatient finger
        shortcut = SHORTCUTS.get(event.code)
        if self._pending is None and shortcut and alone and now_s - self._other_at_s >= ALONE_BEFORE_S:
            self._pending = (shortcut, event.code, now_s + ALONE_AFTER_S)
        else:
            self._pending, self._other_at_s = None, now_s

    def due(self, now_s: float) -> Shortcut | None:
        """The shortcut that was pressed and has stood alone until now; it is told once."""
        if self._pending is None or now_s < self._pending[2]:
            return None
        shortcut, _, self._other_at_s = self._pending
        self._pending = None
        return shortcut

    def waits(self) -> bool:
        """Whether `due` should be asked again soon."""
        return self._pending is not None
