"""A management controller (BMC) for QEMU's `ipmi-bmc-extern`: the LAN parameters that ipmitool asks for.

The protocol between QEMU and it is that of OpenIPMI's "VM" interface (OpenIPMI lanserv/README.vm, QEMU
hw/ipmi/ipmi_bmc_extern.c); messages are those of the IPMI 2.0 specification.
"""

import contextlib
import shutil
import socket
import tempfile
import threading
from pathlib import Path

from tests.harness.waiting import wait_for

_END_OF_MESSAGE, _END_OF_COMMAND, _ESCAPE = 0xA0, 0xA1, 0xAA
_APPLICATION, _TRANSPORT = 0x06, 0x0C  # network functions
_DONE, _UNKNOWN_COMMAND, _UNKNOWN_PARAMETER, _OUT_OF_RANGE = 0x00, 0xC1, 0x80, 0xCC
_LAN_CHANNEL = 1

# IPMI 2.0, table 23-4: numbers of LAN parameters
ADDRESS, SOURCE, MASK, GATEWAY = 3, 4, 6, 12
STATIC, DHCP = 1, 2


class Bmc:
    """Connect it after QEMU has started; it answers until `close`."""

    def __init__(self) -> None:
        """Nothing is connected yet; `arguments` go to QEMU."""
        self._directory = Path(tempfile.mkdtemp(prefix="allegro-bmc-"))
        self._path = self._directory / "bmc"
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self.lan: dict[int, bytes] = {
            0: b"\0",
            1: b"\x17",
            2: b"\x17" * 5,
            ADDRESS: bytes(4),
            SOURCE: bytes([DHCP]),
            5: bytes.fromhex("525400b00b00"),
            MASK: bytes(4),
            7: b"\x40\x40\x10",
            10: b"\x02",
            11: b"\x04",
            GATEWAY: bytes(4),
            13: bytes(6),
            14: bytes(4),
            15: bytes(6),
            16: b"public".ljust(18, b"\0"),
            20: b"\0\0",
            21: b"\0",
            22: b"\0",
        }

    @property
    def arguments(self) -> tuple[str, ...]:
        """What QEMU needs to have this BMC."""
        return (
            *("-chardev", f"socket,id=bmc,path={self._path},server=on,wait=off"),
            *("-device", "ipmi-bmc-extern,id=bmc0,chardev=bmc", "-device", "isa-ipmi-kcs,bmc=bmc0"),
        )

    def connect(self) -> None:
        """Connects to QEMU and begins to answer. Raises BenchTimeoutError if QEMU does not listen."""

        def connected() -> socket.socket | None:
            made = socket.socket(socket.AF_UNIX)
            try:
                made.connect(str(self._path))
            except OSError:
                made.close()
                return None
            return made

        self._socket = wait_for(connected, "QEMU's socket for the BMC", 20)
        self._thread = threading.Thread(target=self._serve, args=(self._socket,), name="bmc", daemon=True)
        self._thread.start()

    def address(self, parameter: int) -> str:
        """An address among the LAN parameters, in the usual way of writing."""
        return ".".join(map(str, self.lan[parameter]))

    def close(self) -> None:
        """Ends it."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        if self._thread is not None:
            self._thread.join(5)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _serve(self, connection: socket.socket) -> None:
        message = bytearray()
        escaped = False
        with contextlib.suppress(OSError):
            while piece := connection.recv(4096):
                for octet in piece:
                    if octet == _END_OF_MESSAGE:
                        self._answer(connection, bytes(message))
                        message.clear()
                    elif octet == _END_OF_COMMAND:  # of the machine (power, reset): nothing to do
                        message.clear()
                    elif octet == _ESCAPE:
                        escaped = True
                    else:
                        message.append(octet & ~0x10 if escaped else octet)
                        escaped = False

    def _answer(self, connection: socket.socket, message: bytes) -> None:
        if len(message) < 4 or sum(message) & 0xFF:
            return
        sequence, function, command, data = message[0], message[1], message[2], message[3:-1]
        answer = bytes([sequence, function | 4, command]) + self._handle(function >> 2, command, data)
        answer += bytes([-sum(answer) & 0xFF])
        special = (_END_OF_MESSAGE, _END_OF_COMMAND, _ESCAPE)
        sent = b"".join(
            bytes([_ESCAPE, octet | 0x10]) if octet in special else bytes([octet]) for octet in answer
        )
        connection.sendall(sent + bytes([_END_OF_MESSAGE]))

    def _handle(self, function: int, command: int, data: bytes) -> bytes:
        done = bytes([_DONE])
        match function, command:
            case _, 0x01 if function == _APPLICATION:  # get device id: IPMI 2.0
                return done + bytes([0x20, 1, 2, 9, 2, 0x8F]) + bytes.fromhex("7c2a00 0709 00000000")
            case _, 0x08 | 0x37 if function == _APPLICATION:  # GUIDs
                return done + bytes(range(16))
            case _, 0x2E | 0x30 if function == _APPLICATION:  # global enables, clear flags
                return done
            case _, 0x2F if function == _APPLICATION:
                return done + b"\x09"
            case _, 0x31 if function == _APPLICATION:
                return done + b"\0"
            case _, 0x42 if function == _APPLICATION:  # get channel info
                channel = 15 if data[0] & 15 == 14 else data[0] & 15
                medium = {_LAN_CHANNEL: 4, 15: 12}.get(channel)  # 802.3 LAN, system interface
                if medium is None:
                    return bytes([_OUT_OF_RANGE])
                return done + bytes([channel, medium, 1, 0x80, 0xF2, 0x1B, 0, 0, 0])
            case _, 0x41 if function == _APPLICATION:  # get channel access
                return done + b"\x02\x04"
            case _, 0x01 if function == _TRANSPORT:  # set LAN parameter
                self.lan[data[1]] = bytes(data[2:])
                return done
            case _, 0x02 if function == _TRANSPORT:  # get LAN parameter
                if data[0] & 15 != _LAN_CHANNEL:
                    return bytes([_OUT_OF_RANGE])
                value = self.lan.get(data[1])
                return bytes([_UNKNOWN_PARAMETER]) if value is None else done + b"\x11" + value
        return bytes([_UNKNOWN_COMMAND])
