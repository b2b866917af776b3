"""Quiet links: what they cost the recorder and a capture, and what a disk that stands still costs them.

The recorder of release 0.1.0 is measured in the same run, from this repository's history. Each records some
links of few packets on a file system of its own, which then stands still (fsfreeze).
"""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring.reader import RingReader
from benchmarks.contestants import MIB
from benchmarks.measuring import BenchmarkError, end_program, processor_seconds
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for
from tests.unit.capture.devices import Device
from tests.unit.capture.rings import RUN, Ring

RELEASE = "4dd0af3"
"""The commit of release 0.1.0."""

_PORTS = 4
_PACKETS_PER_S = 50
"""Of each port."""
_STEADY_S = 20.0
_STANDS_S = 15.0
_FRAME = bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(186)
_RECORDED_S = 2000
_SEGMENT = 16 * MIB
"""As a ring of 1 GiB has them."""
_REPEATS = 3


@dataclass(frozen=True)
class Quiet:
    """Of a recorder: processor time per record on disk, and packets lost to the standing disk."""

    name: str
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
        old = directory / "release"
        _unpack(old)
        recorders = [
            _recorder("allegro 0.1.0", old / "python", directory),
            _recorder("allegro", None, directory),
        ]
        return recorders, _capture(directory / "capture")
    finally:
        shutil.rmtree(directory)


def text(measured: tuple[list[Quiet], float]) -> str:
    """The results as a table, and a line."""
    recorders, capture_us = measured
    rows = [
        f"| {one.name} | {one.per_record_us:.0f} | {one.lost:,} of {one.sent_standing:,} |"
        for one in recorders
    ]
    links = f"{_PORTS} links of {_PACKETS_PER_S} packets/s"
    return "\n".join(
        [
            f"| {links} | processor µs per record | lost in {_STANDS_S:.0f} s of a standing disk |",
            "|---|--:|--:|",
            *rows,
            "",
            f"A record of a quiet link costs a capture {capture_us:.1f} µs of the processor.",
            "",
        ]
    )


def _unpack(target: Path) -> None:
    done = subprocess.run(["git", "archive", RELEASE, "python"], capture_output=True, check=False)
    if done.returncode:
        raise BenchmarkError(
            f"release 0.1.0 ({RELEASE}) is not in the history: {done.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(target, filter="data")


def _recorder(name: str, source: Path | None, directory: Path) -> Quiet:
    with ExitStack() as stack:
        space = Namespace("aquiet")
        stack.callback(space.close)
        for number in range(1, _PORTS + 1):
            space.ip("link", "add", f"port{number}", "type", "veth", "peer", "name", f"gen{number}")
            for device in (f"port{number}", f"gen{number}"):
                space.sysctl(f"net.ipv6.conf.{device}.disable_ipv6", "1")
                space.ip("link", "set", device, "up")
        disk = stack.enter_context(_disk(directory))
        settings = directory / "recorder.json"
        state = directory / "status.json"
        state.unlink(missing_ok=True)
        settings.write_text(
            json.dumps(
                {"ring_directory": str(disk / "ring"), "ring_size": 64 * MIB, "status_file": str(state)}
            )
        )
        command = [sys.executable, "-m", "allegro.capture.recorder", str(settings)]
        if source is not None:
            command = ["env", f"PYTHONPATH={source}", *command]
        program = space.spawn(command, directory / "log")
        wait_for(lambda: _ready(state, program.pid), name, 30)
        time.sleep(2)
        before = processor_seconds(program.pid)
        sent = _send(space, _STEADY_S)
        used = processor_seconds(program.pid) - before
        with _frozen(disk):
            standing = _send(space, _STANDS_S)
        time.sleep(3)
        end_program(program)
        with RingReader(disk / "ring") as reader:
            records = [record for record in reader.records(0, 1 << 62) if record.packets]
    stored = sum(record.packets for record in records)
    share = sent / (sent + standing)  # how many records of the steady part there are, is not told
    return Quiet(name, used / (len(records) * share) * 1e6, len(records), standing, sent + standing - stored)


def _ready(state: Path, pid: int) -> bool:
    try:
        said = json.loads(state.read_bytes())
    except (OSError, ValueError):
        return False
    return bool(said["pid"] == pid and said["state"] == "recording" and len(said["ports"]) == _PORTS)


def _send(space: Namespace, seconds: float) -> int:
    def run() -> int:
        count, began = 0, time.monotonic()
        with ExitStack() as stack:
            links = [
                stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
                for _ in range(_PORTS)
            ]
            for number, link in enumerate(links, 1):
                link.bind((f"gen{number}", 0))
            while time.monotonic() - began < seconds:
                for link in links:
                    link.send(_FRAME)
                    count += 1
                time.sleep(1 / _PACKETS_PER_S)
        return count

    return space.call(run)


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
