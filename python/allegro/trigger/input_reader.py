"""Reads all input devices of all presenters in one thread, and hands on the presses that count from another.

What exists is looked up anew at every change; the notice of a change only wakes the thread. So a lost or
doubled notice does no harm. The thread that reads never waits for a disk: the kernel's buffer of an input
device is small.
"""

import contextlib
import errno
import logging
import os
import queue
import selectors
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from allegro.system import boottime
from allegro.trigger.inputs import Input, Inputs
from allegro.trigger.keys import Debouncer, Decoder, PresenterModel
from allegro.trigger.press import SOURCE_PRESENTER, Press

_RETRY_S: Final = 1.0
_TURN_S: Final = 5.0
_HUNG_AFTER_S: Final = 30.0
_MOST_AT_ONCE: Final = 1000
MILLISECOND_NS: Final = 1_000_000

_GONE: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO})
_UNPLUGGED: Final = "it is being unplugged"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoundInput:
    """An input device of a presenter. `path` (sysfs) is never used twice while the system runs, `node` is.

    `receiver` is the sysfs path of the USB device it belongs to.
    """

    path: str
    node: str
    receiver: str
    model: PresenterModel


@dataclass(frozen=True)
class ConnectedPresenter:
    """For the status: a presenter that is plugged in. `problem` is empty when all its keys are read."""

    name: str
    vendor: str
    product: str
    problem: str


class PresenterReader:
    """Calls `on_presses` with the presses that count, in their order, in a thread of its own: with one, or
    with all that have come in while it was busy. Times of inputs are of `allegro.system.boottime`, and
    `wall_ns` says what the clock shows at one."""

    def __init__(
        self,
        inputs: Inputs[FoundInput],
        open_source: Callable[[str], Input],
        debounce_ms: Callable[[], int],
        on_presses: Callable[[Sequence[Press]], None],
        wall_ns: Callable[[int], int] = boottime.wall_ns,
    ) -> None:
        self._inputs = inputs
        self._open_source = open_source
        self._debounce_ms = debounce_ms
        self._on_presses = on_presses
        self._wall_ns = wall_ns
        self._opened: dict[str, _Opened] = {}
        self._failed: dict[str, tuple[FoundInput, str]] = {}
        self._debouncers: dict[str, Debouncer] = {}
        self._connected: tuple[ConnectedPresenter, ...] = ()
        self._presses: queue.SimpleQueue[Press | None] = queue.SimpleQueue()
        self._stopping = False
        self._turned_s = time.monotonic()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._reading = threading.Thread(target=self._run, name="presenter", daemon=True)
        self._handing_on = threading.Thread(target=self._hand_on, name="presses", daemon=True)

    def start(self) -> None:
        """Starts both threads; presenters that are already plugged in are found too."""
        self._handing_on.start()
        self._reading.start()

    def stop(self) -> None:
        """Ends both threads after what was pressed before has been handed on. The presenters are released."""
        self._stopping = True
        self.refresh()
        self._reading.join()
        self._presses.put(None)
        self._handing_on.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def refresh(self) -> None:
        """The table of known presenters has changed."""
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            return  # the pipe is full: it will wake up anyway

    def connected(self) -> tuple[ConnectedPresenter, ...]:
        """The presenters that are plugged in, from any thread."""
        return self._connected

    def hung(self) -> bool:
        """Whether the thread that reads, or the one that hands on, has ended or has stood still for long."""
        both = self._reading.is_alive() and self._handing_on.is_alive()
        return not both or time.monotonic() - self._turned_s > _HUNG_AFTER_S

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            selector.register(self._inputs.fileno(), selectors.EVENT_READ)
            look_again = self._look(selector)
            while not self._stopping:
                self._turned_s = time.monotonic()
                ready = selector.select(_RETRY_S if look_again else _TURN_S)
                changed = look_again
                # Devices first: one that is gone is closed before its successor is looked for.
                for key, _ in ready:
                    if isinstance(key.data, _Opened) and not self._read(key.data):
                        self._close(selector, key.data)
                        changed = True
                for key, _ in ready:
                    if key.fd == self._wake_read:
                        os.read(self._wake_read, 4096)
                        changed = True
                    elif key.data is None:
                        self._inputs.clear()
                        changed = True
                if changed:
                    look_again = self._look(selector)
            for opened in list(self._opened.values()):
                self._close(selector, opened)

    def _look(self, selector: selectors.BaseSelector) -> bool:
        """Opens what is new and closes what is no longer wanted. True if it should be tried again soon."""
        try:
            found = {entry.path: entry for entry in self._inputs.find()}
        except (OSError, LookupError) as error:  # LookupError: unplugged while udev was asked
            log.warning("Presenters cannot be looked for: %s", error)
            return True
        for path, opened in list(self._opened.items()):
            if found.get(path) != opened.found:
                self._close(selector, opened)
        failed: dict[str, tuple[FoundInput, str]] = {}
        for path, entry in found.items():
            if path not in self._opened:
                problem = self._open(selector, entry)
                if problem:
                    failed[path] = (entry, problem)
                    if path not in self._failed and problem != _UNPLUGGED:
                        log.warning("%s: %s cannot be used: %s", entry.model.name, entry.node, problem)
        self._failed = failed
        self._take_stock()
        return bool(failed)

    def _open(self, selector: selectors.BaseSelector, entry: FoundInput) -> str:
        try:
            source = self._open_source(entry.node)
        except OSError as error:
            if error.errno in _GONE:
                return _UNPLUGGED
            if error.errno == errno.EBUSY:
                return "another program has taken it for itself"
            return error.strerror or str(error)
        opened = _Opened(entry, source, Decoder(entry.model))
        self._opened[entry.path] = opened
        selector.register(source.fileno(), selectors.EVENT_READ, opened)
        return ""

    def _close(self, selector: selectors.BaseSelector, opened: "_Opened") -> None:
        selector.unregister(opened.source.fileno())
        opened.source.close()
        del self._opened[opened.found.path]

    def _read(self, opened: "_Opened") -> bool:
        """False if the device is gone."""
        try:
            events = opened.source.read()
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno != errno.ENODEV:
                log.warning("%s: %s cannot be read: %s", opened.found.model.name, opened.found.node, error)
            return False
        debouncer = self._debouncers.setdefault(opened.found.receiver, Debouncer())
        for event in events:
            key = opened.decoder.feed(event)
            if key is not None and debouncer.accept(key, self._debounce_ms() * MILLISECOND_NS):
                model = opened.found.model
                pressed_ns = self._wall_ns(key.time_ns)
                self._presses.put(Press(pressed_ns, SOURCE_PRESENTER, key.key, model.name, key.time_ns))
        return True

    def _take_stock(self) -> None:
        """Updates what `connected` tells, and forgets the debouncing of receivers that are gone."""
        models = {opened.found.receiver: opened.found.model for opened in self._opened.values()}
        models |= {entry.receiver: entry.model for entry, _ in self._failed.values()}
        problems = {entry.receiver: problem for entry, problem in self._failed.values()}
        self._debouncers = {name: kept for name, kept in self._debouncers.items() if name in models}
        connected = tuple(
            ConnectedPresenter(model.name, model.vendor, model.product, problems.get(receiver, ""))
            for receiver, model in sorted(models.items(), key=lambda item: item[0])
        )
        before = [presenter.name for presenter in self._connected]
        after = [presenter.name for presenter in connected]
        if before != after:
            log.info("Presenters plugged in: %s", ", ".join(after) or "none")
        self._connected = connected

    def _hand_on(self) -> None:
        ending = False
        while not ending:
            presses = [self._presses.get()]
            with contextlib.suppress(queue.Empty):
                while len(presses) < _MOST_AT_ONCE:
                    presses.append(self._presses.get_nowait())
            ending = None in presses  # always the last one
            pressed = [press for press in presses if press is not None]
            try:
                if pressed:
                    self._on_presses(pressed)
            except Exception:  # the next press must still be handed on
                for press in pressed:
                    log.exception("The press of %s on %s was lost", press.key, press.device)


@dataclass(frozen=True, eq=False)
class _Opened:
    found: FoundInput
    source: Input
    decoder: Decoder
