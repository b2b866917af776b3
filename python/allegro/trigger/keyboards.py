"""Keyboards by way of udev and evdev: others get their keys as well."""

from collections.abc import Callable, Iterator, Sequence

import evdev

from allegro.trigger.chords import NEEDED_KEYS, Shortcut
from allegro.trigger.keys import EV_KEY, PresenterModel
from allegro.trigger.linux_inputs import EvdevInput, UdevInputs, usb_id
from allegro.trigger.shortcuts import ShortcutReader


class KeyboardInputs(UdevInputs):
    """All input devices but those of presenters; `table` is asked anew each time."""

    def __init__(self, table: Callable[[], Sequence[PresenterModel]]) -> None:
        super().__init__("udev")
        self._table = table

    def find(self) -> Iterator[tuple[str, str]]:
        """All event devices that do not belong to a presenter."""
        presenters = {(model.vendor, model.product) for model in self._table()}
        for device, usb in self.event_devices():
            if usb is None or usb_id(usb) not in presenters:
                yield device.sys_path, device.device_node

    def open(self, node: str) -> EvdevInput | None:
        """Opens it; None if it lacks letters. Raises OSError."""
        device = evdev.InputDevice(node)
        if set(device.capabilities().get(EV_KEY, ())) >= NEEDED_KEYS:
            return EvdevInput(device)
        device.close()
        return None


def shortcut_reader(
    table: Callable[[], Sequence[PresenterModel]], on_shortcut: Callable[[Shortcut], None]
) -> ShortcutReader:
    """A reader for all keyboards."""
    return ShortcutReader(KeyboardInputs(table), on_shortcut)
