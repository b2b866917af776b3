"""USB devices with keys or buttons, by way of udev and evdev."""

from collections.abc import Callable, Sequence

import evdev
import pyudev

from allegro.trigger.keys import EV_KEY
from allegro.trigger.learning import Learner, UsbInput, printable_name
from allegro.trigger.linux_inputs import EvdevInput, usb_id


def usb_inputs() -> list[UsbInput]:
    """All that are plugged in, in the order of their places. Raises OSError, LookupError."""
    found: dict[str, tuple[pyudev.Device, list[str]]] = {}
    for device in pyudev.Context().list_devices(subsystem="input", sys_name="event*"):
        usb = device.find_parent("usb", "usb_device")
        if device.device_node is not None and usb is not None and _has_keys(device):
            found.setdefault(usb.sys_path, (usb, []))[1].append(device.device_node)
    return [_named(usb, nodes) for _, (usb, nodes) in sorted(found.items())]


def listening(node: str) -> EvdevInput:
    """Opens an input device along with others. Raises OSError."""
    return EvdevInput(evdev.InputDevice(node))


def learner(used: Callable[[], Sequence[tuple[str, str]]]) -> Learner:
    """For all USB inputs but those whose ids are `used`."""
    return Learner(
        lambda: [each for each in usb_inputs() if (each.vendor, each.product) not in used()], listening
    )


def _has_keys(device: pyudev.Device) -> bool:
    """By the input device's capabilities in sysfs (Documentation/input/event-codes.rst)."""
    parent = device.parent
    kinds = (parent.attributes.get("capabilities/ev") or b"0") if parent is not None else b"0"
    return bool(int(kinds.split()[-1], 16) & (1 << EV_KEY))


def _named(usb: pyudev.Device, nodes: Sequence[str]) -> UsbInput:
    vendor, product = usb_id(usb)
    texts = [
        (usb.attributes.get(name) or b"").decode(errors="replace") for name in ("manufacturer", "product")
    ]
    return UsbInput(
        vendor, product, printable_name(texts, f"USB device {vendor}:{product}"), tuple(sorted(nodes))
    )
