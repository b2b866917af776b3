"""An emulated Logitech R400 presenter: its USB receiver, and the four keys of the remote.

Vendor, product and the two HID interfaces (boot keyboard; boot mouse with multimedia and system keys) are
those of the receiver. The report descriptors follow its sibling 046d:c534: a dump of this very one is not
published. Structure of the descriptors: USB 2.0 chapter 9; Device Class Definition for HID 1.11.
"""

import struct
import time
from pathlib import Path

from tests.harness.bench_errors import BenchError
from tests.harness.usbredir import Interface, UsbRedirector

KEYBOARD_ENDPOINT = 0x81
KEY_USAGES = {  # HID usage page 7; the real remote's "play" key sends F5 and Esc in turn
    "next": 0x4E,
    "prev": 0x4B,
    "play": 0x3E,
    "stop": 0x29,
    "black": 0x37,
}

_KEYBOARD_REPORT = bytes.fromhex(
    "0501 0906 a101"  # generic desktop, keyboard
    "0507 19e0 29e7 1500 2501 7501 9508 8102"  # eight modifier bits
    "7508 9501 8103"  # reserved byte
    "1900 29ff 1500 26ff00 7508 9506 8100"  # six key codes
    "0508 1901 2905 1500 2501 7501 9505 9102"  # five LEDs
    "7503 9501 9103"  # padding
    "c0"
)
_MOUSE_REPORT = bytes.fromhex(
    "0501 0902 a101 8502 0901 a100"  # report 2: mouse
    "0509 1901 2910 1500 2501 7501 9510 8102"  # 16 buttons
    "0501 0930 0931 1601f8 26ff07 750c 9502 8106"  # x, y: 12 bit relative
    "0938 1581 257f 7508 9501 8106"  # wheel
    "050c 0a3802 9501 8106"  # tilt
    "c0 c0"
    "050c 0901 a101 8503"  # report 3: two consumer control usages
    "1501 268c02 1901 2a8c02 7510 9502 8100 c0"
    "0501 0980 a101 8504"  # report 4: power down, sleep, wake up
    "1501 2503 1981 2983 7502 9501 8100 7506 8103 c0"
)
_INTERFACES = (
    Interface(3, 1, 1, KEYBOARD_ENDPOINT, 8, 8),
    Interface(3, 1, 2, 0x82, 20, 8),
)
_REPORTS = (_KEYBOARD_REPORT, _MOUSE_REPORT)
_STRINGS = {1: "Logitech", 2: "USB Receiver"}

_DEVICE, _CONFIGURATION, _STRING, _HID, _REPORT = 1, 2, 3, 0x21, 0x22
_GET_STATUS, _CLEAR_FEATURE, _SET_FEATURE, _GET_DESCRIPTOR = 0, 1, 3, 6
_GET_REPORT, _GET_IDLE, _GET_PROTOCOL, _SET_REPORT, _SET_IDLE, _SET_PROTOCOL = 1, 2, 3, 9, 10, 11


def _hid_descriptor(number: int) -> bytes:
    return struct.pack("<BBHBBBH", 9, _HID, 0x0111, 0, 1, _REPORT, len(_REPORTS[number]))


class Receiver:
    """The receiver's descriptors and its answers to control transfers."""

    vendor = 0x046D
    product = 0xC52D
    version = 0x0501
    interfaces: tuple[Interface, ...] = _INTERFACES

    def __init__(self) -> None:
        self._idle = [0, 0]
        self._protocol = [1, 1]
        self.device_descriptor = struct.pack(
            "<BBHBBBBHHHBBBB",
            *(18, _DEVICE, 0x0200, 0, 0, 0, 8, self.vendor, self.product, self.version, 1, 2, 0, 1),
        )
        parts = b"".join(
            struct.pack("<9B", 9, 4, number, 0, 1, *interface[:3], 0)
            + _hid_descriptor(number)
            + struct.pack("<BBBBHB", 7, 5, interface.endpoint, 3, interface.max_packet, interface.interval)
            for number, interface in enumerate(_INTERFACES)
        )
        # bus powered with remote wake-up, 98 mA
        self.configuration_descriptor = (
            struct.pack("<BBHBBBBB", 9, _CONFIGURATION, 9 + len(parts), len(_INTERFACES), 1, 0, 0xA0, 49)
            + parts
        )

    def _descriptor(self, kind: int, number: int) -> bytes | None:
        if kind == _DEVICE:
            return self.device_descriptor
        if kind == _CONFIGURATION and number == 0:
            return self.configuration_descriptor
        if kind == _STRING:
            if number == 0:
                return struct.pack("<BBH", 4, _STRING, 0x0409)  # English (United States)
            if number in _STRINGS:
                text = _STRINGS[number].encode("utf-16-le")
                return bytes([len(text) + 2, _STRING]) + text
        return None  # also the device qualifier: a full speed device has none

    def control(self, request_type: int, request: int, value: int, index: int, data: bytes) -> bytes | None:
        """Answer a control transfer as the receiver would; None = stall."""
        kind = value >> 8
        match request_type, request:
            case 0x80, _ if request == _GET_DESCRIPTOR:
                return self._descriptor(kind, value & 255)
            case ((0x80 | 0x81 | 0x82), _) if request == _GET_STATUS:
                return b"\0\0"
            case ((0x00 | 0x01 | 0x02), _) if request in (_CLEAR_FEATURE, _SET_FEATURE):
                return b""
        if index >= len(_INTERFACES):
            return None
        match request_type, request:
            case 0x81, _ if request == _GET_DESCRIPTOR and kind == _REPORT:
                return _REPORTS[index]
            case 0x81, _ if request == _GET_DESCRIPTOR and kind == _HID:
                return _hid_descriptor(index)
            case 0x21, _ if request == _SET_IDLE:
                self._idle[index] = kind
                return b""
            case 0x21, _ if request == _SET_PROTOCOL:
                self._protocol[index] = value
                return b""
            case 0x21, _ if request == _SET_REPORT:  # the LEDs of a keyboard; the receiver has none
                return b""
            case 0xA1, _ if request == _GET_REPORT:
                return bytes(8) if index == 0 else bytes([value & 255]) + bytes(7)
            case 0xA1, _ if request == _GET_IDLE:
                return bytes([self._idle[index]])
            case 0xA1, _ if request == _GET_PROTOCOL:
                return bytes([self._protocol[index]])
        return None


class Presenter:
    """Plug it in, press its keys, pull it out."""

    def __init__(self, path: Path) -> None:
        """`path`: unix socket of the chardev behind QEMU's usb-redir device."""
        self._redirector = UsbRedirector(path, Receiver())

    @property
    def plugged(self) -> bool:
        """Whether the receiver is plugged in."""
        return self._redirector.plugged

    def plug(self) -> None:
        """Plug the receiver in."""
        self._redirector.plug()

    def unplug(self) -> None:
        """Pull the receiver out; a key that is held is released by the guest's kernel."""
        self._redirector.unplug()

    def close(self) -> None:
        """Drop the connection without telling QEMU (used when QEMU ends)."""
        self._redirector.close()

    def wait_enumerated(self, timeout: float = 10.0) -> None:
        """Wait until the guest's kernel polls the keys (it then has an input device for them)."""
        self._redirector.wait_listening(KEYBOARD_ENDPOINT, timeout)

    def down(self, key: str) -> int:
        """Push a key down and keep it down; returns the host's time in ns when the report was sent.

        The receiver itself does not repeat. Raises BenchError when the guest does not read the device.
        """
        if key not in KEY_USAGES:
            raise BenchError(f"the presenter has no key {key!r}; it has {', '.join(KEY_USAGES)}")
        pressed = time.time_ns()
        if not self._redirector.report(KEYBOARD_ENDPOINT, bytes([0, 0, KEY_USAGES[key], 0, 0, 0, 0, 0])):
            raise BenchError("nobody in the guest reads the presenter: the key press was lost")
        return pressed

    def up(self) -> None:
        """Let go of the key."""
        self._redirector.report(KEYBOARD_ENDPOINT, bytes(8))

    def press(self, key: str = "next", hold: float = 0.05) -> int:
        """Press a key for `hold` seconds; returns the host's time in ns of the key going down."""
        pressed = self.down(key)
        time.sleep(hold)
        self.up()
        return pressed
