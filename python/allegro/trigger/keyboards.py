"""Keyboards by way of udev and evdev (packages python3-pyudev and python3-evdev of the base system)."""

from collections.abc import Callable, Iterator, Sequence

import evdev
import pyudev

from allegro.trigger.chords import NEEDED_KEYS, Shortcut
from allegro.trigger.devices import attribute
from allegro.trigger.keys import EV_KEY, PresenterModel, RawEvent
from allegro.trigger.shortcuts import ShortcutReader


class EvdevKeyboard:
    """An opened keyboard; others get its keys as well."""

    def __init__(self, device: evdev.InputDevice) -> None:
        self._device = device

    def fileno(self) -> int:
        """For select."""
        return int(self._device.fd)

    def read(self) -> list[RawEvent]:
        """What has come in. Raises OSError: EAGAIN when there is nothing, ENODEV when it was unplugged."""
        return [
            RawEvent(event.sec * 1_000_000_000 + event.usec * 1000, event.type, event.code, event.value)
            for event in self._device.read()
        ]

    def close(self) -> None:
        """Closes it."""
        self._device.close()


class UdevKeyboards:
    """All input devices but those of presenters; `table` is asked anew each time."""

    def __init__(self, table: Callable[[], Sequence[PresenterModel]]) -> None:
        self._table = table
        self._context = pyudev.Context()
        self._monitor = pyudev.Monitor.from_netlink(self._context)
        self._monitor.filter_by("input")
        self._monitor.start()

    def fileno(self) -> int:
        """Readable after a change."""
        return int(self._monitor.fileno())

    def clear(self) -> None:
        """Takes note of all changes so far."""
        while self._monitor.poll(timeout=0) is not None:
            pass

    def find(self) -> Iterator[tuple[str, str]]:
        """All event devices that do not belong to a presenter."""
        presenters = {(model.vendor, model.product) for model in self._table()}
        for device in self._context.list_devices(subsystem="input", sys_name="event*"):
            usb = device.find_parent("usb", "usb_device")
            ids = (attribute(usb, "idVendor"), attribute(usb, "idProduct")) if usb is not None else None
            if device.device_node is not None and ids not in presenters:
                yield device.sys_path, device.device_node

    def open(self, node: str) -> EvdevKeyboard | None:
        """Opens it; None if it lacks letters. Raises OSError."""
        device = evdev.InputDevice(node)
        if set(device.capabilities().get(EV_KEY, ())) >= NEEDED_KEYS:
            return EvdevKeyboard(device)
        device.close()
        return None


def shortcut_reader(
    table: Callable[[], Sequence[PresenterModel]], on_shortcut: Callable[[Shortcut], None]
) -> ShortcutReader:
    """A reader for all keyboards."""
    return ShortcutReader(UdevKeyboards(table), on_shortcut)
