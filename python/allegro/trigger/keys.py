"""From events of an input device to presses: key names, auto-repeat, contact bounce. No I/O.

Event types and codes: Linux include/uapi/linux/input-event-codes.h, Documentation/input/event-codes.rst.
Scan codes: for a HID device MSC_SCAN carries (usage page << 16 | usage), USB HID Usage Tables, page 0x07
(keyboard) and 0x0c (consumer control). They are used because systemd's hwdb changes the key codes of the R400
and leaves the scan codes alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

EV_SYN, EV_KEY, EV_MSC = 0, 1, 4
SYN_REPORT, SYN_DROPPED = 0, 3
MSC_SCAN = 4

RELEASED, PRESSED, REPEATED = 0, 1, 2

OTHER = "other"

# Keys of the Logitech R400. Its play button sends F5 and Esc in turn. Other presenters send the same ones.
STANDARD_SCAN_CODES: Mapping[int, str] = {
    0x7004B: "prev",  # PageUp
    0x7004E: "next",  # PageDown
    0x7003E: "play",  # F5
    0x70029: "play",  # Esc
    0x70037: "black",  # .
}

# Used when an event carries no scan code; both the codes of the kernel and those that the hwdb makes of them.
STANDARD_KEY_CODES: Mapping[int, str] = {
    104: "prev",  # KEY_PAGEUP
    109: "next",  # KEY_PAGEDOWN
    63: "play",  # KEY_F5
    1: "play",  # KEY_ESC
    0x1A9: "play",  # KEY_PRESENTATION
    52: "black",  # KEY_DOT
    0x1AF: "black",  # KEY_DISPLAYTOGGLE
}

_KEYBOARD_PAGE, _CONSUMER_PAGE = 0x07, 0x0C
_FIRST_KEY_USAGE = 0x04  # below are error codes
_MODIFIER_USAGES = range(0xE0, 0xE8)
_MODIFIER_KEY_CODES = frozenset({29, 42, 54, 56, 97, 100, 125, 126})
_BUTTON_KEY_CODES = range(0x100, 0x160)  # BTN_MISC .. : mouse and joystick buttons


@dataclass(frozen=True)
class PresenterModel:
    """A presenter by its USB id (four lower-case hex digits each), and what its keys are called."""

    vendor: str
    product: str
    name: str
    scan_codes: Mapping[int, str] = field(default_factory=lambda: STANDARD_SCAN_CODES)


class ModelEntry(Protocol):
    """An entry of the table of presenters in the settings."""

    @property
    def vendor(self) -> str:
        """USB vendor id, four hex digits."""

    @property
    def product(self) -> str:
        """USB product id, four hex digits."""

    @property
    def name(self) -> str:
        """Name shown to the user."""


def models(entries: Iterable[ModelEntry]) -> tuple[PresenterModel, ...]:
    """The table of known presenters from that of the settings."""
    return tuple(PresenterModel(entry.vendor.lower(), entry.product.lower(), entry.name) for entry in entries)


class RawEvent(NamedTuple):
    """One `struct input_event`; `time_ns` is CLOCK_REALTIME."""

    time_ns: int
    type: int
    code: int
    value: int


@dataclass(frozen=True)
class KeyEvent:
    """A key goes down or up. `identity` tells apart keys that share the name `other`."""

    time_ns: int
    key: str
    identity: str
    down: bool


class Decoder:
    """Turns the events of one input device into key events, in their order."""

    def __init__(self, model: PresenterModel) -> None:
        self._model = model
        self._scan: int | None = None
        self._held: dict[int, tuple[str, str]] = {}
        self._dropped = False

    def feed(self, event: RawEvent) -> KeyEvent | None:
        """The key event that `event` completes, if any: auto-repeat and what is no key give None."""
        if event.type == EV_SYN:
            self._scan = None
            if event.code == SYN_DROPPED:
                # The kernel's buffer ran over. What follows up to the next SYN_REPORT is to be ignored.
                self._dropped = True
                self._held.clear()
            elif event.code == SYN_REPORT:
                self._dropped = False
            return None
        if self._dropped:
            return None
        if event.type == EV_MSC and event.code == MSC_SCAN:
            self._scan = event.value & 0xFFFFFFFF
            return None
        if event.type != EV_KEY or event.value not in (RELEASED, PRESSED):
            return None
        scan, self._scan = self._scan, None
        if event.value == PRESSED:
            known = self._name(scan, event.code)
            if known is not None:
                self._held[event.code] = known
        else:
            # A release that the kernel makes up when the device is unplugged has no scan code.
            known = self._held.pop(event.code, None)
        if known is None:
            return None
        key, identity = known
        return KeyEvent(event.time_ns, key, identity, event.value == PRESSED)

    def _name(self, scan: int | None, code: int) -> tuple[str, str] | None:
        """(name, identity) of a key that triggers; None for modifiers and mouse buttons."""
        if scan is None:
            name = STANDARD_KEY_CODES.get(code)
            if name is not None:
                return name, name
            if code in _MODIFIER_KEY_CODES or code in _BUTTON_KEY_CODES:
                return None
            return OTHER, f"code {code}"
        name = self._model.scan_codes.get(scan)
        if name is not None:
            return name, name
        page, usage = scan >> 16, scan & 0xFFFF
        is_key = page == _KEYBOARD_PAGE and usage >= _FIRST_KEY_USAGE and usage not in _MODIFIER_USAGES
        return (OTHER, f"scan {scan:x}") if is_key or page == _CONSUMER_PAGE else None


@dataclass
class _Accepted:
    pressed_ns: int
    released_ns: int | None = None


class Debouncer:
    """Decides which presses count. One per presenter, made anew when it is plugged in."""

    def __init__(self) -> None:
        self._last: dict[str, _Accepted] = {}

    def accept(self, event: KeyEvent, debounce_ns: int) -> bool:
        """Whether `event` is a press that counts. `debounce_ns` 0 counts every press.

        A press is a bounce when it comes less than `debounce_ns` after the last press of that key that
        counted, or after the release of that press. A clock that was set back between the two makes no
        bounce: a press too many is better than one lost.
        """
        last = self._last.get(event.identity)
        if not event.down:
            if last is not None and last.released_ns is None:
                last.released_ns = event.time_ns
            return False
        if last is not None and debounce_ns > 0:
            since = [
                event.time_ns - moment for moment in (last.pressed_ns, last.released_ns) if moment is not None
            ]
            if any(0 <= gap < debounce_ns for gap in since):
                return False
        self._last[event.identity] = _Accepted(event.time_ns)
        return True
