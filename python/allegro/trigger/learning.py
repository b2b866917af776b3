"""Learning a presenter: whatever is plugged in and not used yet is read along until somebody presses a key.

Devices are not taken for ourselves: nothing changes for a keyboard that somebody types on meanwhile.
"""

import contextlib
import logging
import selectors
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from allegro.trigger.inputs import Input
from allegro.trigger.keys import Decoder, PresenterModel

_LOOK_S: Final = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UsbInput:
    """A USB device with keys or buttons. `vendor`, `product`: four lower-case hex digits each; `nodes`: its
    input devices."""

    vendor: str
    product: str
    name: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Heard:
    """The device on which a key was pressed, and how the key is called in the names of files."""

    vendor: str
    product: str
    name: str
    key: str


@dataclass(frozen=True)
class Learning:
    """`remaining_s`: None if nobody waits for a key; `heard`: what was pressed when somebody last did."""

    remaining_s: float | None
    heard: Heard | None


class Learner:
    """`unused` finds the devices, `open_source` opens an input device and may raise OSError.

    For use from several threads; one of its own runs only while somebody waits.
    """

    def __init__(
        self,
        unused: Callable[[], Sequence[UsbInput]],
        open_source: Callable[[str], Input],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._unused = unused
        self._open_source = open_source
        self._clock = clock
        self._lock = threading.Lock()
        self._until_s = 0.0
        self._heard: Heard | None = None
        self._thread: threading.Thread | None = None

    def start(self, seconds: float) -> None:
        """Waits for a key from now on, for so long; what was heard before is forgotten."""
        with self._lock:
            self._until_s, self._heard = self._clock() + seconds, None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="learning", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Waits no longer; what was heard is forgotten."""
        with self._lock:
            self._until_s, self._heard = 0.0, None
            thread = self._thread
        if thread is not None:
            thread.join()

    def state(self) -> Learning:
        """Whether a key is waited for, and what was heard."""
        with self._lock:
            remaining_s = self._until_s - self._clock()
            return Learning(remaining_s if remaining_s > 0 else None, self._heard)

    def _run(self) -> None:
        opened: dict[str, _Opened] = {}
        with selectors.DefaultSelector() as selector:
            try:
                while self._waits():
                    self._look(selector, opened)
                    for key, _ in selector.select(_LOOK_S):
                        self._read(selector, opened, key.data)
            finally:
                for each in list(opened.values()):
                    _close(selector, opened, each)

    def _waits(self) -> bool:
        """False once, at the end of this thread: who starts again then gets another one."""
        with self._lock:
            if self._clock() < self._until_s:
                return True
            self._thread = None
            return False

    def _look(self, selector: selectors.BaseSelector, opened: "dict[str, _Opened]") -> None:
        try:
            found = {node: device for device in self._unused() for node in device.nodes}
        except (OSError, LookupError) as error:  # LookupError: unplugged while udev was asked
            log.warning("Input devices cannot be looked for: %s", error)
            return
        for each in [each for node, each in opened.items() if found.get(node) != each.device]:
            _close(selector, opened, each)
        for node in found.keys() - opened.keys():
            device = found[node]
            with contextlib.suppress(OSError):  # it is being plugged in or out
                source = self._open_source(node)
                decoder = Decoder(PresenterModel(device.vendor, device.product, device.name))
                opened[node] = _Opened(node, device, source, decoder)
                selector.register(source.fileno(), selectors.EVENT_READ, opened[node])

    def _read(self, selector: selectors.BaseSelector, opened: "dict[str, _Opened]", from_: "_Opened") -> None:
        try:
            events = from_.source.read()
        except BlockingIOError:
            return
        except OSError:
            _close(selector, opened, from_)
            return
        for event in events:
            key = from_.decoder.feed(event)
            if key is not None and key.down:
                device = from_.device
                with self._lock:
                    if self._clock() < self._until_s:
                        self._until_s = 0.0
                        self._heard = Heard(device.vendor, device.product, device.name, key.key)
                return


@dataclass(frozen=True, eq=False)
class _Opened:
    node: str
    device: UsbInput
    source: Input
    decoder: Decoder


def _close(selector: selectors.BaseSelector, opened: dict[str, _Opened], which: _Opened) -> None:
    selector.unregister(which.source.fileno())
    which.source.close()
    opened.pop(which.node, None)


def printable_name(texts: Sequence[str], otherwise: str) -> str:
    """The name of a device from what it says of itself: at most 64 characters, all of them printable."""
    words = " ".join(dict.fromkeys(" ".join(texts).split()))
    shown = "".join(each for each in words if each.isprintable()).strip()[:64].strip()
    return shown or otherwise
