"""Presenters by way of udev and evdev: their input devices go to this program only."""

import fcntl
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import evdev

from allegro.trigger.input_reader import FoundInput, PresenterReader
from allegro.trigger.keys import PresenterModel
from allegro.trigger.linux_inputs import EvdevInput, UdevInputs, usb_id
from allegro.trigger.press import Press

# _IOW('E', 0xa0, int) of Linux include/uapi/linux/input.h
_EVIOCSCLOCKID: Final = 0x400445A0


class PresenterInputs(UdevInputs):
    """The input devices whose USB device is in the table of presenters, which is asked anew each time.

    Vendor and product of the USB device decide: udev does not flag every presenter as a keyboard (the hwdb of
    systemd changes the keys of the R400), and all input devices of the receiver are wanted, also the ones
    that are no keyboard.
    """

    def __init__(self, table: Callable[[], Sequence[PresenterModel]]) -> None:
        # Not udevd's word: that can come seconds later, and until then the keys reach others.
        super().__init__("kernel")
        self._table = table

    def find(self) -> Iterator[FoundInput]:
        """All event devices of known presenters."""
        table = {(model.vendor, model.product): model for model in self._table()}
        for device, usb in self.event_devices():
            model = table.get(usb_id(usb)) if usb is not None else None
            if usb is not None and model is not None:
                yield FoundInput(device.sys_path, device.device_node, usb.sys_path, model)


def grabbed(node: str) -> EvdevInput:
    """Opens a device for this program alone; its times are CLOCK_BOOTTIME.

    Raises OSError (EBUSY if another program has grabbed it).
    """
    device = evdev.InputDevice(node)
    try:
        device.grab()
        fcntl.ioctl(device.fd, _EVIOCSCLOCKID, struct.pack("i", time.CLOCK_BOOTTIME))
    except OSError:
        device.close()
        raise
    return EvdevInput(device)


def presenter_reader(
    table: Callable[[], Sequence[PresenterModel]],
    debounce_ms: Callable[[], int],
    on_presses: Callable[[Sequence[Press]], None],
) -> PresenterReader:
    """A reader for the presenters of `table`; `table` and `debounce_ms` are asked anew each time."""
    return PresenterReader(PresenterInputs(table), grabbed, debounce_ms, on_presses)
