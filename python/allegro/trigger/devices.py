"""Finds the input devices of known presenters by way of udev (package python3-pyudev of the base system)."""

from collections.abc import Callable, Iterator, Sequence

import pyudev

from allegro.trigger.keys import PresenterModel
from allegro.trigger.reader import FoundInput


class InputDevices:
    """The input devices whose USB device is in the table of presenters, and word of changes.

    Vendor and product of the USB device decide: udev does not flag every presenter as a keyboard (the hwdb of
    systemd changes the keys of the R400), and all input devices of the receiver are wanted, also the ones
    that are no keyboard.
    """

    def __init__(self, table: Callable[[], Sequence[PresenterModel]]) -> None:
        self._table = table
        self._context = pyudev.Context()
        # The kernel's word, not udevd's: that can come seconds later, and until then the keys reach others.
        self._monitor = pyudev.Monitor.from_netlink(self._context, source="kernel")
        self._monitor.filter_by("input")
        self._monitor.start()

    def fileno(self) -> int:
        """Readable after a change."""
        return int(self._monitor.fileno())

    def clear(self) -> None:
        """Takes note of all changes so far."""
        while self._monitor.poll(timeout=0) is not None:
            pass

    def find(self) -> Iterator[FoundInput]:
        """All event devices of known presenters."""
        table = {(model.vendor, model.product): model for model in self._table()}
        for device in self._context.list_devices(subsystem="input", sys_name="event*"):
            usb = device.find_parent("usb", "usb_device")
            if usb is None or device.device_node is None:
                continue
            model = table.get((attribute(usb, "idVendor"), attribute(usb, "idProduct")))
            if model is not None:
                yield FoundInput(device.sys_path, device.device_node, usb.sys_path, model)


def attribute(device: pyudev.Device, name: str) -> str:
    """A sysfs attribute; empty if the device is just being unplugged."""
    return (device.attributes.get(name) or b"").decode(errors="replace").strip()
