"""Input devices by way of udev and evdev (packages python3-pyudev and python3-evdev of the base system)."""

from collections.abc import Iterator
from typing import Literal

import evdev
import pyudev

from allegro.trigger.keys import RawEvent


class EvdevInput:
    """An opened input device."""

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
        """Closes it; the kernel ends a grab with it."""
        self._device.close()


class UdevInputs:
    """All event devices there are, and word of changes by the kernel itself, or by udevd when it is ready."""

    def __init__(self, source: Literal["kernel", "udev"]) -> None:
        self._context = pyudev.Context()
        self._monitor = pyudev.Monitor.from_netlink(self._context, source=source)
        self._monitor.filter_by("input")
        self._monitor.start()

    def fileno(self) -> int:
        """Readable after a change."""
        return int(self._monitor.fileno())

    def clear(self) -> None:
        """Takes note of all changes so far."""
        while self._monitor.poll(timeout=0) is not None:
            pass

    def event_devices(self) -> Iterator[tuple[pyudev.Device, pyudev.Device | None]]:
        """Those that can be opened now, each with the USB device it belongs to."""
        for device in self._context.list_devices(subsystem="input", sys_name="event*"):
            if device.device_node is not None:
                yield device, device.find_parent("usb", "usb_device")


def usb_id(device: pyudev.Device) -> tuple[str, str]:
    """Vendor and product; empty if the device is just being unplugged."""
    vendor, product = (
        (device.attributes.get(name) or b"").decode(errors="replace").strip()
        for name in ("idVendor", "idProduct")
    )
    return vendor, product
