"""Shortcuts on any keyboard that is plugged in. Keyboards are read along, never taken for ourselves.

Presenters are keyboards too, but their keys mean something else; they are left out by their USB id.
"""

import logging
import os
import selectors
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from allegro.trigger.chords import Chords, Shortcut
from allegro.trigger.inputs import Input, Inputs

_RETRY_S: Final = 1.0
_DUE_S: Final = 0.1

log = logging.getLogger(__name__)


class Keyboards(Inputs[tuple[str, str]], Protocol):
    """Input devices that may be keyboards: path in sysfs and device node of each; presenters left out."""

    def open(self, node: str) -> Input | None:
        """Opens a device; None if it is no keyboard after all. Raises OSError."""


@dataclass(eq=False)
class _Opened:
    path: str
    keyboard: Input
    chords: Chords = field(default_factory=Chords)


class ShortcutReader:
    """Calls `on_shortcut` in a thread of its own; one after the other."""

    def __init__(self, keyboards: Keyboards, on_shortcut: Callable[[Shortcut], None]) -> None:
        self._keyboards = keyboards
        self._on_shortcut = on_shortcut
        self._opened: dict[str, _Opened] = {}
        self._others: set[str] = set()
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="shortcuts", daemon=True)

    def start(self) -> None:
        """Starts reading; keyboards that are plugged in already are found too."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping = True
        os.write(self._wake_write, b"\0")
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            selector.register(self._keyboards.fileno(), selectors.EVENT_READ)
            look_again = self._look(selector)
            while not self._stopping:
                waiting = any(opened.chords.waits() for opened in self._opened.values())
                ready = selector.select(_DUE_S if waiting else _RETRY_S if look_again else None)
                changed = look_again
                for key, _ in ready:
                    if isinstance(key.data, _Opened) and not self._read(key.data):
                        self._close(selector, key.data)
                        changed = True
                    elif key.fd == self._keyboards.fileno():
                        self._keyboards.clear()
                        changed = True
                self._call()
                if changed:
                    look_again = self._look(selector)
            for opened in list(self._opened.values()):
                self._close(selector, opened)

    def _look(self, selector: selectors.BaseSelector) -> bool:
        """Opens what is new and closes what is gone. True if it should be tried again soon."""
        try:
            found = dict(self._keyboards.find())
        except (OSError, LookupError) as error:  # LookupError: unplugged while udev was asked
            log.warning("Keyboards cannot be looked for: %s", error)
            return True
        for path, opened in list(self._opened.items()):
            if path not in found:
                self._close(selector, opened)
        self._others &= found.keys()
        again = False
        for path, node in found.items():
            if path in self._opened or path in self._others:
                continue
            try:
                keyboard = self._keyboards.open(node)
            except OSError:
                again = True  # udev makes the node a moment later
                continue
            if keyboard is None:
                self._others.add(path)
            else:
                self._opened[path] = opened = _Opened(path, keyboard)
                selector.register(keyboard.fileno(), selectors.EVENT_READ, opened)
                log.info("Keyboard plugged in: %s", node)
        return again

    def _close(self, selector: selectors.BaseSelector, opened: _Opened) -> None:
        selector.unregister(opened.keyboard.fileno())
        opened.keyboard.close()
        del self._opened[opened.path]

    def _read(self, opened: _Opened) -> bool:
        """False if the keyboard is gone."""
        try:
            events = opened.keyboard.read()
        except BlockingIOError:
            return True
        except OSError:
            return False
        now_s = time.monotonic()
        for event in events:
            opened.chords.feed(event, now_s)
        return True

    def _call(self) -> None:
        now_s = time.monotonic()
        for opened in self._opened.values():
            if shortcut := opened.chords.due(now_s):
                try:
                    self._on_shortcut(shortcut)
                except Exception:  # the next one must still be heard
                    log.exception("The shortcut %s could not be carried out", shortcut)
