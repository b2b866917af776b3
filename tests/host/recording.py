"""The recorder as its own process in a network namespace, frames for it, and what it put into the ring."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from allegro.capture import config, status
from allegro.capture.config import RecorderConfig
from allegro.capture.ring import record as blocks
from allegro.capture.ring import segments
from allegro.capture.ring.losses import NO_LOSSES, Losses
from allegro.capture.ring.news import News
from allegro.capture.ring.reader import RingReader
from allegro.capture.ring.record import Record
from allegro.capture.status import RecorderStatus
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for

MIB = 1 << 20
ETHERTYPE = 0x88B5
"""IEEE 802 local experimental: what counts as ours, as the kernel sends packets of its own on new links."""

_TAG = struct.Struct(">6s6sHIQ")


@dataclass(frozen=True)
class Seen:
    """A packet of ours in the ring; `tci` is the tag that the kernel took out."""

    port: str
    sender: int
    number: int
    time_ns: int
    length: int
    tci: int | None


def frame(sender: int, number: int, size: int = 64, tag: bytes = b"") -> bytes:
    """A numbered broadcast frame; `tag` goes between addresses and type."""
    head = _TAG.pack(b"\xff" * 6, b"\x02\0\0\0\0\x01", ETHERTYPE, sender, number)
    return (head[:12] + tag + head[12:]).ljust(size, b"\x5a")


def add_port(namespace: Namespace, number: int) -> str:
    """port<number> with its other end gen<number>, both up; returns the other end's name."""
    namespace.ip("link", "add", f"port{number}", "type", "veth", "peer", "name", f"gen{number}")
    for name in (f"port{number}", f"gen{number}"):
        namespace.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", "1")
        namespace.ip("link", "set", name, "up")
    return f"gen{number}"


def send(namespace: Namespace, interface: str, frames: Iterable[bytes]) -> int:
    """Sends frames from an interface, as fast as it goes; returns how many."""

    def run() -> int:
        count = 0
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as connection:
            connection.bind((interface, 0))
            for data in frames:
                connection.send(data)
                count += 1
        return count

    return namespace.call(run)


class Load:
    """A thread that sends numbered frames, some ten thousand per second, until it is told to stop."""

    def __init__(self, namespace: Namespace, interface: str, sender: int = 1, size: int = 512) -> None:
        self.sent = 0
        self._stop = threading.Event()

        def frames() -> Iterator[bytes]:
            while not self._stop.is_set():
                yield frame(sender, self.sent, size)
                self.sent += 1
                if self.sent % 10 == 0:
                    time.sleep(0.0005)

        self._thread = threading.Thread(target=send, args=(namespace, interface, frames()))
        self._thread.start()

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self.sent


def packets(block: bytes, ref: Record) -> Iterator[Seen]:
    """The packets of ours in a record (struct tpacket3_hdr, linux/if_packet.h)."""
    offset = blocks.FIRST_PACKET_OFFSET
    for _ in range(ref.packets):
        following, seconds, nanoseconds, captured, _, flags, mac = struct.unpack_from(
            "<IIIIIIH", block, offset
        )
        (tci,) = struct.unpack_from("<I", block, offset + 32)
        data = block[offset + mac : offset + mac + captured]
        while data[12:14] in (b"\x81\x00", b"\x88\xa8"):
            data = data[:12] + data[16:]
        if len(data) >= _TAG.size:
            _, _, ethertype, sender, number = _TAG.unpack_from(data)
            if ethertype == ETHERTYPE:
                time_ns = seconds * blocks.NS + nanoseconds
                yield Seen(ref.port_name, sender, number, time_ns, captured, tci if flags & 0x10 else None)
        offset += following


def contents(directory: Path) -> list[Seen]:
    """All packets of ours in the ring, in its order; every record must be readable."""
    with RingReader(directory) as reader:
        return [seen for ref in reader.records(0, 1 << 62) for seen in packets(reader.read(ref), ref)]


START_CHANGED = """
import sys
from allegro.capture.recorder.loop import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Recording:
    """A recorder in a namespace; `directory` holds its ring, settings and log."""

    namespace: Namespace
    directory: Path
    ring_size: int = 64 * MIB
    options: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    changed: str = ""
    """Python code that puts a slow or standing disk into the recorder's place before it starts."""

    @property
    def ring(self) -> Path:
        return self.directory / "ring"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def configure(self, **changes: int) -> None:
        """Writes recorder.json."""
        self.options = {"blocks_per_port": 64, **self.options, **changes}
        base = RecorderConfig(
            ring_directory=self.ring, ring_size=self.ring_size, status_file=self.directory / "status.json"
        )
        config.dump(dataclasses.replace(base, **self.options), self.directory / "recorder.json")

    def take_any_load(self) -> None:
        """With memory enough for a load that nothing holds back, however slow disk and processors are."""
        self.configure(blocks_per_port=256)

    def start(self) -> None:
        """Starts the recorder and waits until it has a status of its own."""
        self.start_early()
        wait_for(lambda: self.status().state != status.STARTING, "the ring", 20)

    def start_early(self) -> None:
        """Starts the recorder and waits until it says anything: its ring may still be being opened."""
        self.configure()
        arguments = [str(self.directory / "recorder.json")]
        command = [sys.executable, "-m", "allegro.capture.recorder", *arguments]
        if self.changed:
            command = [sys.executable, "-c", self.changed + START_CHANGED, *arguments]
        self.process = self.namespace.spawn(command, self.log)
        pid = self.process.pid
        wait_for(lambda: self.status().pid == pid, "the recorder", 20)

    def start_with_ports(self, *names: str) -> None:
        """Starts the recorder and waits until it records these ports."""
        self.start()
        self.wait_for_ports(*names)

    def wait_for_ports(self, *names: str) -> None:
        wait_for(lambda: [port.name for port in self.status().ports] == list(names), f"ports {names}", 10)

    def status(self) -> RecorderStatus:
        """What it says of itself now."""
        try:
            return status.from_json((self.directory / "status.json").read_bytes())
        except FileNotFoundError:
            return RecorderStatus()

    def wait_until_complete(self) -> RecorderStatus:
        """Waits until everything received so far is in the ring."""
        now = time.time_ns()
        wait_for(lambda: self.status().complete_through_ns > now, "completeness", 10)
        return self.status()

    def resize(self, size: int) -> None:
        """Gives the recorder, which goes on, a ring of another size, and waits until it has it."""
        self.ring_size = size
        self.configure()
        self.signal(signal.SIGHUP)
        wait_for(lambda: (ring := self.status().ring) and ring.size == size, "the size", 20)
        wait_for(lambda: not self.status().message, "no message", 10)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> None:
        """Ends it as systemd does, and checks that it ends well."""
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(20) == 0, self.log.read_text()
        assert "Traceback" not in self.log.read_text()

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def records(self) -> list[Record]:
        """All records in the ring, with packets and with news."""
        with RingReader(self.ring) as reader:
            return reader.records(0, 1 << 62)

    def losses(self) -> Losses:
        """All that the ring says to have been lost."""
        total = NO_LOSSES
        for record in self.records():
            total = total.plus(record.losses)
        return total

    def news(self) -> list[News]:
        """All news in the ring, in its order."""
        with RingReader(self.ring) as reader:
            return [item for record in self.records() if record.is_news for item in reader.news(record)]

    def run_ids(self) -> list[int]:
        """The runs that have records, in their order."""
        return list(dict.fromkeys(record.run for record in self.records()))

    def alive_boot_ns(self) -> int:
        """Up to when the ring itself says that all is in it."""
        return segments.read_runs(self.ring)[-1].alive_boot_ns

    def runs(self) -> list[dict[str, object]]:
        result: list[dict[str, object]] = json.loads((self.ring / "runs.json").read_bytes())
        return result
