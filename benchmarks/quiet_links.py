"""Quiet links: what they cost the recorder and a capture, and what a disk that stands still costs them.

The recorder of release 0.1.0, from this repository's history, runs at the same time: so both have the same
machine. Each records some links of few packets on a file system of its own, which then stands still
(fsfreeze).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring.reader import RingReader
from benchmarks import release
from benchmarks.contestants import MIB
from benchmarks.measuring import end_program, processor_seconds
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for
from tests.unit.capture.devices import Device
from tests.unit.capture.rings import RUN, Ring

_PORTS = 4
_PACKETS_PER_S = 50
"""Of each port."""
_SILENT_S = 10.0
_STEADY_S = 20.0
_STANDS_S = 15.0
_FRAME = bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(186)
_RECORDED_S = 2000
_SEGMENT = 16 * MIB
"""As a ring of 1 GiB has them."""
_REPEATS = 3


@dataclass(frozen=True)
class Quiet:
    """Of a recorder: processor time per second without packets and per record on disk, and packets lost to
    the standing disk."""

    name: str
    silent_us: float
    per_record_us: float
    records: int
    sent_standing: int
    lost: int


def measure(directory: Path) -> tuple[list[Quiet], float]:
    """Both recorders, and what a record of a quiet link costs a capture (processor, in microseconds).

    Raises BenchmarkError.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        source = release.unpack(directory / "release")
        return _recorders(directory, source), _capture(directory / "capture")
    finally:
        shutil.rmtree(directory)


def text(measured: tuple[list[Quiet], float]) -> str:
    """The results as a table, and a line."""
    recorders, capture_us = measured
    rows = [
        f"| {one.name} | {one.silent_us / 1000:.1f} | {one.per_record_us:.0f} |"
        f" {one.lost:,} of {one.sent_standing:,} |"
        for one in recorders
    ]
    before, now = recorders
    ratios = f"{now.silent_us / before.silent_us:.2f} | {now.per_record_us / before.per_record_us:.2f}"
    links = f"{_PORTS} links of {_PACKETS_PER_S} packets/s"
    return "\n".join(
        [
            f"| {links} | processor ms/s without packets | processor µs per record"
            f" | lost in {_STANDS_S:.0f} s of a standing disk |",
            "|---|--:|--:|--:|",
            *rows,
            f"| ratio | {ratios} | |",
            "",
            f"A record of a quiet link costs a capture {capture_us:.1f} µs of the processor.",
            "",
        ]
    )


class _Recorder:
    """A recorder with its links and its disk; `source` is its program (None: that of today)."""

    def __init__(self, name: str, source: Path | None, directory: Path, stack: ExitStack) -> None:
        directory.mkdir()
        self.name = name
        self.space = Namespace(f"aquiet{directory.name}")
        stack.callback(self.space.close)
        for number in range(1, _PORTS + 1):
            self.space.ip("link", "add", f"port{number}", "type", "veth", "peer", "name", f"gen{number}")
            for device in (f"port{number}", f"gen{number}"):
                self.space.sysctl(f"net.ipv6.conf.{device}.disable_ipv6", "1")
                self.space.ip("link", "set", device, "up")
        self.disk = stack.enter_context(_disk(directory))
        # In memory, as on the device.
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm"))) / "status.json"
        settings = directory / "recorder.json"
        settings.write_text(
            json.dumps(
                {"ring_directory": str(self.disk / "ring"), "ring_size": 64 * MIB, "status_file": str(state)}
            )
        )
        command = [sys.executable, "-m", "allegro.capture.recorder", str(settings)]
        if source is not None:
            command = ["env", f"PYTHONPATH={source}", *command]
        self.program = self.space.spawn(command, directory / "log")
        wait_for(lambda: _ready(state, self.program.pid), name, 30)

    def used_s(self) -> float:
        """Seconds of the processors so far."""
        return processor_seconds(self.program.pid)


def _recorders(directory: Path, source: Path) -> list[Quiet]:
    with ExitStack() as stack:
        recorders = [
            _Recorder("allegro 0.1.0", source, directory / "old", stack),
            _Recorder("allegro", None, directory / "new", stack),
        ]
        spaces = [one.space for one in recorders]
        time.sleep(2)
        begun = [one.used_s() for one in recorders]
        time.sleep(_SILENT_S)
        before, began_ns = [one.used_s() for one in recorders], time.time_ns()
        sent = _send(spaces, _STEADY_S)
        ended_ns = time.time_ns()
        after = [one.used_s() for one in recorders]
        with ExitStack() as standing_still:
            for one in recorders:
                standing_still.enter_context(_frozen(one.disk))
            standing = _send(spaces, _STANDS_S)
        time.sleep(3)
        found = []
        for one, start, silent, steady in zip(recorders, begun, before, after, strict=True):
            end_program(one.program)
            with RingReader(one.disk / "ring") as reader:
                records = [record for record in reader.records(0, 1 << 62) if record.packets]
            stored = sum(record.packets for record in records)
            counted = sum(began_ns < record.last_ns <= ended_ns for record in records)
            found.append(
                Quiet(
                    one.name,
                    (silent - start) / _SILENT_S * 1e6,
                    (steady - silent) / counted * 1e6,
                    len(records),
                    standing,
                    sent + standing - stored,
                )
            )
        return found


def _ready(state: Path, pid: int) -> bool:
    try:
        said = json.loads(state.read_bytes())
    except (OSError, ValueError):
        return False
    return bool(said["pid"] == pid and said["state"] == "recording" and len(said["ports"]) == _PORTS)


def _send(spaces: list[Namespace], seconds: float) -> int:
    """To all links of all recorders; how many packets each recorder was sent."""
    count, began = 0, time.monotonic()
    with ExitStack() as stack:
        links = [stack.enter_context(_link(space, number)) for space in spaces for number in range(_PORTS)]
        while time.monotonic() - began < seconds:
            for link in links:
                link.send(_FRAME)
            count += _PORTS
            time.sleep(1 / _PACKETS_PER_S)
    return count


def _link(space: Namespace, number: int) -> socket.socket:
    link = space.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    link.bind((f"gen{number + 1}", 0))
    return link


@contextmanager
def _disk(directory: Path) -> Iterator[Path]:
    image, place = directory / "disk", directory / "mounted"
    place.mkdir(exist_ok=True)
    with image.open("wb") as file:
        file.truncate(192 * MIB)
    for command in (["mkfs.ext4", "-q", str(image)], ["mount", "-o", "loop", str(image), str(place)]):
        subprocess.run(command, check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextmanager
def _frozen(place: Path) -> Iterator[None]:
    subprocess.run(["fsfreeze", "--freeze", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(place)], check=True)


def _capture(directory: Path) -> float:
    """The best of some repeats."""
    directory.mkdir()
    device = Device(Ring(directory / "ring", segment=_SEGMENT))
    device.start(RUN)
    device.record(_RECORDED_S)
    device.ring.finish()
    os.sync()
    request = device.press(_RECORDED_S)
    costs = []
    for _ in range(_REPEATS):
        before = time.process_time()
        extract(request, lambda *_: None, Courtesy(None))
        costs.append(time.process_time() - before)
        request.output.unlink()
    return min(costs) / (_RECORDED_S * 10) * 1e6
