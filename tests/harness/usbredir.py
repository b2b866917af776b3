"""The "usb-host" side of the usbredir protocol: gives QEMU's `usb-redir` a USB device to show to the guest.

Protocol: usbredir-protocol.md of the usbredir project (version 0.7). On an xhci port QEMU accepts the device
only if the hello offers ep_info_max_packet_size, 64bits_ids and 32bits_bulk_length; with 64bits_ids every
header but that of the hello has an 8-byte id.
"""

import contextlib
import enum
import socket
import struct
import threading
import time
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.harness.bench_errors import BenchError, BenchTimeoutError
from tests.harness.waiting import PATIENCE


class Packet(enum.IntEnum):
    """Packet types that are used here."""

    HELLO = 0
    DEVICE_CONNECT = 1
    DEVICE_DISCONNECT = 2
    INTERFACE_INFO = 4
    EP_INFO = 5
    SET_CONFIGURATION = 6
    GET_CONFIGURATION = 7
    CONFIGURATION_STATUS = 8
    SET_ALT_SETTING = 9
    GET_ALT_SETTING = 10
    ALT_SETTING_STATUS = 11
    START_INTERRUPT = 15
    STOP_INTERRUPT = 16
    INTERRUPT_STATUS = 17
    DISCONNECT_ACK = 24
    CONTROL = 100
    INTERRUPT = 103


class Capability(enum.IntEnum):
    """Bits of the hello's capability word."""

    CONNECT_DEVICE_VERSION = 1
    DEVICE_DISCONNECT_ACK = 3
    EP_INFO_MAX_PACKET_SIZE = 4
    IDS_64_BITS = 5
    BULK_LENGTH_32_BITS = 6


STATUS_OK = 0
STATUS_STALL = 4
SPEED_FULL = 1
_UNUSED_ENDPOINT = 255
_TYPE_CONTROL = 0
_TYPE_INTERRUPT = 3


class Interface(NamedTuple):
    """One interface with one interrupt IN endpoint."""

    interface_class: int
    subclass: int
    protocol: int
    endpoint: int
    max_packet: int
    interval: int


class UsbDevice(Protocol):
    """What a device must tell and answer."""

    vendor: int
    product: int
    version: int  # bcdDevice
    interfaces: tuple[Interface, ...]

    def control(self, request_type: int, request: int, value: int, index: int, data: bytes) -> bytes | None:
        """Answer a control transfer; None = stall."""


class UsbRedirector:
    """A device at the end of QEMU's chardev socket: connecting plugs it in, disconnecting pulls it out."""

    def __init__(self, path: Path, device: UsbDevice) -> None:
        self.path = path
        self.device = device
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._send_lock = threading.Lock()
        self._changed = threading.Condition()
        self._greeted = False
        self._acknowledged = False
        self._listening: set[int] = set()
        self._configuration = 1
        self._alternate: dict[int, int] = {}
        self._report_id = 0

    @property
    def plugged(self) -> bool:
        """Whether the device is in its socket."""
        return self._socket is not None

    def plug(self, timeout: float = 10.0) -> None:
        """Plug in. Returns when QEMU has been told; the guest enumerates it within about a second."""
        if self._socket is not None:
            raise BenchError("the USB device is already plugged in")
        timeout *= PATIENCE
        deadline = time.monotonic() + timeout
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(str(self.path))
                break
            except OSError as error:
                connection.close()
                if time.monotonic() > deadline:
                    raise BenchError(f"QEMU does not listen on {self.path}: {error}") from error
                time.sleep(0.05)
        self._socket = connection
        self._greeted = self._acknowledged = False
        self._listening.clear()
        self._alternate.clear()
        self._configuration = 1
        capabilities = sum(1 << bit for bit in Capability)
        self._send(Packet.HELLO, struct.pack("<64sI", b"allegro bench", capabilities))
        self._thread = threading.Thread(target=self._serve, args=(connection,), name="usbredir", daemon=True)
        self._thread.start()
        with self._changed:
            if not self._changed.wait_for(lambda: self._greeted, timeout):
                raise BenchTimeoutError("no usbredir hello from QEMU")
        self._describe()
        self._send(
            Packet.DEVICE_CONNECT,
            struct.pack(
                "<BBBBHHH", SPEED_FULL, 0, 0, 0, self.device.vendor, self.device.product, self.device.version
            ),
        )

    def unplug(self, timeout: float = 5.0) -> None:
        """Pull out: QEMU is told, then the connection is closed. Does nothing when not plugged in."""
        if self._socket is None:
            return
        with contextlib.suppress(OSError):
            self._send(Packet.DEVICE_DISCONNECT, b"")
            with self._changed:
                self._changed.wait_for(lambda: self._acknowledged, timeout)
        self.close()

    def close(self) -> None:
        """Close the connection, as if the guest's machine had gone."""
        if self._socket is None:
            return
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join(2)
        self._socket.close()
        self._socket = self._thread = None

    def wait_listening(self, endpoint: int, timeout: float) -> None:
        """Wait until the guest polls that endpoint.

        Linux does so once somebody has opened the input device; the kernel's console opens every keyboard.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: endpoint in self._listening, timeout * PATIENCE):
                raise BenchTimeoutError(
                    f"the guest did not open endpoint {endpoint:#x} of the USB device within {timeout:g} s"
                )

    def report(self, endpoint: int, data: bytes) -> bool:
        """Deliver an input report; False when the guest does not poll the endpoint (then it is lost)."""
        with self._changed:
            if endpoint not in self._listening:
                return False
        self._report_id += 1
        self._send(
            Packet.INTERRUPT, struct.pack("<BBH", endpoint, STATUS_OK, len(data)) + data, self._report_id
        )
        return True

    def _send(self, kind: Packet, body: bytes, number: int = 0) -> None:
        header = struct.pack("<III" if kind is Packet.HELLO else "<IIQ", kind, len(body), number)
        with self._send_lock:
            if self._socket is None:
                raise OSError("not plugged in")
            self._socket.sendall(header + body)

    def _describe(self) -> None:
        """Send interface_info and ep_info; arrays of 32, endpoint n IN is entry 16 + n."""
        interfaces = self.device.interfaces
        count = len(interfaces)
        columns = [
            bytes(range(count)),
            bytes(i.interface_class for i in interfaces),
            bytes(i.subclass for i in interfaces),
            bytes(i.protocol for i in interfaces),
        ]
        self._send(
            Packet.INTERFACE_INFO, struct.pack("<I", count) + b"".join(c.ljust(32, b"\0") for c in columns)
        )
        types = [_UNUSED_ENDPOINT] * 32
        intervals, owners, sizes = [0] * 32, [0] * 32, [0] * 32
        for control_entry in (0, 16):
            types[control_entry], sizes[control_entry] = _TYPE_CONTROL, 8
        for position, interface in enumerate(interfaces):
            entry = 16 + (interface.endpoint & 15)
            types[entry], intervals[entry] = _TYPE_INTERRUPT, interface.interval
            owners[entry], sizes[entry] = position, interface.max_packet
        self._send(
            Packet.EP_INFO, bytes(types) + bytes(intervals) + bytes(owners) + struct.pack("<32H", *sizes)
        )

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection.makefile("rb") as stream:
            while True:
                layout = "<IIQ" if self._greeted else "<III"
                header = stream.read(struct.calcsize(layout))
                if len(header) < struct.calcsize(layout):
                    break
                kind, length, number = struct.unpack(layout, header)
                self._handle(kind, number, stream.read(length))
        with self._changed:
            self._listening.clear()
            self._changed.notify_all()

    def _handle(self, kind: int, number: int, body: bytes) -> None:
        match kind:
            case Packet.HELLO:
                with self._changed:
                    self._greeted = True
                    self._changed.notify_all()
            case Packet.SET_CONFIGURATION:
                self._configuration = body[0]
                self._describe()
                self._send(Packet.CONFIGURATION_STATUS, bytes([STATUS_OK, self._configuration]), number)
            case Packet.GET_CONFIGURATION:
                self._send(Packet.CONFIGURATION_STATUS, bytes([STATUS_OK, self._configuration]), number)
            case Packet.SET_ALT_SETTING:
                self._alternate[body[0]] = body[1]
                self._send(Packet.ALT_SETTING_STATUS, bytes([STATUS_OK, body[0], body[1]]), number)
            case Packet.GET_ALT_SETTING:
                setting = self._alternate.get(body[0], 0)
                self._send(Packet.ALT_SETTING_STATUS, bytes([STATUS_OK, body[0], setting]), number)
            case Packet.START_INTERRUPT | Packet.STOP_INTERRUPT:
                with self._changed:
                    if kind == Packet.START_INTERRUPT:
                        self._listening.add(body[0])
                    else:
                        self._listening.discard(body[0])
                    self._changed.notify_all()
                self._send(Packet.INTERRUPT_STATUS, bytes([STATUS_OK, body[0]]), number)
            case Packet.DISCONNECT_ACK:
                with self._changed:
                    self._acknowledged = True
                    self._changed.notify_all()
            case Packet.CONTROL:
                self._handle_control(number, body)
            case Packet.INTERRUPT:  # interrupt OUT: no device here has one
                self._send(Packet.INTERRUPT, struct.pack("<BBH", body[0], STATUS_STALL, 0), number)
            case _:
                pass  # reset, cancel and filter packets need no answer

    def _handle_control(self, number: int, body: bytes) -> None:
        layout = "<BBBBHHH"
        size = struct.calcsize(layout)
        endpoint, request, request_type, _, value, index, length = struct.unpack(layout, body[:size])
        answer = self.device.control(request_type, request, value, index, body[size:])
        status = STATUS_STALL if answer is None else STATUS_OK
        inwards = bool(request_type & 0x80)
        data = answer[:length] if answer is not None and inwards else b""
        done = 0 if answer is None else len(data) if inwards else length
        self._send(
            Packet.CONTROL,
            struct.pack(layout, endpoint, request, request_type, status, value, index, done) + data,
            number,
        )
