"""What the measuring ports of the machine are plugged into."""

import contextlib
import fcntl
import os
import shutil
import socket
import struct
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from tests.harness.bench_errors import BenchError, BenchTimeoutError
from tests.harness.namespaces import Namespace
from tests.harness.waiting import PATIENCE

_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_BUFFER_SIZE = 4 << 20


class Port(Protocol):
    """The far end of a measuring port's cable."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """File descriptors that QEMU inherits."""

    def netdev(self, name: str) -> str:
        """Return the value of QEMU's -netdev option, with id=`name`."""

    def close(self) -> None:
        """Release it."""


class IdlePort:
    """A link, but nobody at the other end."""

    descriptors: tuple[int, ...] = ()

    def netdev(self, name: str) -> str:
        """A hub with no other member: QEMU's way to say that nobody is there."""
        return f"hubport,id={name},hubid={int(name.removeprefix('port'))}"

    def close(self) -> None:
        """Nothing to release."""


class TapPort:
    """A tap interface in a network namespace: programs there talk through the device."""

    def __init__(self, namespace: Namespace, interface: str = "eth0") -> None:
        """Make the interface; it is up and has no address."""
        self.namespace = namespace
        self.interface = interface

        def open_tap() -> int:
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            request = struct.pack("16sH22x", interface.encode(), _IFF_TAP | _IFF_NO_PI)
            try:
                fcntl.ioctl(descriptor, _TUNSETIFF, request)
            except OSError:
                os.close(descriptor)
                raise
            return descriptor

        try:
            self._descriptor = namespace.call(open_tap)
        except OSError as error:
            raise BenchError(
                f"cannot make a tap interface ({error}); is the kernel module tun there?"
            ) from error
        namespace.ip("link", "set", interface, "up")

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The tap's descriptor."""
        return (self._descriptor,)

    def netdev(self, name: str) -> str:
        """Hand the descriptor to QEMU."""
        return f"tap,id={name},fd={self._descriptor}"

    def close(self) -> None:
        """Close the tap; the interface goes with it."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


class FramePort:
    """A unix datagram socket: each datagram is one Ethernet frame, without loss.

    What the device sends is collected all the time (QEMU would stall otherwise) and kept for `frames`.
    """

    descriptors: tuple[int, ...] = ()

    def __init__(self, keep: int = 1_000_000) -> None:
        """`keep`: how many received frames are held at most, the oldest go first."""
        self._directory = Path(tempfile.mkdtemp(prefix="allegro-port-"))
        self._far = self._directory / "device"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_SIZE)
        self._socket.bind(str(self._directory / "bench"))
        self._received: deque[tuple[int, bytes]] = deque(maxlen=keep)
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._drain, name="frame-port", daemon=True)
        self._thread.start()

    def netdev(self, name: str) -> str:
        """QEMU's end: it is bound to one path and sends to the other."""
        return (
            f"dgram,id={name},local.type=unix,local.path={self._far}"
            f",remote.type=unix,remote.path={self._directory / 'bench'}"
        )

    def _drain(self) -> None:
        while True:
            try:
                frame = self._socket.recv(65536)
            except OSError:
                return
            if self._closed:
                return
            with self._changed:
                self._received.append((time.time_ns(), frame))
                self._changed.notify_all()

    def send(self, frame: bytes) -> None:
        """Send one frame (without checksum) to the device; waits while QEMU is busy."""
        self._socket.sendto(frame, str(self._far))

    def send_all(self, frames: Iterable[bytes]) -> int:
        """Send frames as fast as QEMU takes them; returns how many."""
        count = 0
        far = str(self._far)
        send = self._socket.sendto
        for frame in frames:
            send(frame, far)
            count += 1
        return count

    def clear(self) -> None:
        """Forget what was received."""
        with self._changed:
            self._received.clear()

    def frames(self) -> list[tuple[int, bytes]]:
        """Return what the device has sent so far: (host time in ns, frame)."""
        with self._changed:
            return list(self._received)

    def wait_frames(self, wanted: Iterable[bytes], timeout: float = 10.0) -> list[bytes]:
        """Wait until every one of these frames has come, and return all that came, in order."""
        missing = set(wanted)
        deadline = time.monotonic() + timeout * PATIENCE
        with self._changed:
            while True:
                frames = [frame for _, frame in self._received]
                if missing <= set(frames):
                    return frames
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    count = len(missing - set(frames))
                    raise BenchTimeoutError(f"{count} of {len(missing)} frames did not come in {timeout:g} s")

    def close(self) -> None:
        """Release socket and directory."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # A datagram wakes a thread that shutdown did not.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", str(self._directory / "bench"))
        self._thread.join(2)
        self._socket.close()
        shutil.rmtree(self._directory, ignore_errors=True)
