"""One run: a program records what a generator sends over a veth pair in a network namespace of our own."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants import PORT, RING_SIZE, Contestant
from tests.harness.namespaces import Namespace

GENERATOR = "gen1"
_START_SECONDS = 1.0
_SETTLE_SECONDS = 1.0
_LIMIT_SECONDS = 30.0
_STOP_SECONDS = 10.0
FLOWS = 32
SIZES = (64, 512, 1514)
_SECONDS = 2.0
_OF_THE_RING = 0.8
_IN_THE_RING = 100
"""Bytes that a packet takes beside itself, at most."""
_UDP = 17


class BenchmarkError(Exception):
    """A run could not be made; the message says why."""


@dataclass(frozen=True)
class Load:
    """Frames of `size` bytes; `rate` in packets per second, None: as fast as the generator can."""

    size: int
    packets: int
    rate: int | None


@dataclass(frozen=True)
class Run:
    """One measurement. `rate` is what the generator reached, `processor_s` the program's processor time."""

    program: str
    size: int
    asked_rate: int | None
    rate: float
    sent: int
    stored: int
    stored_size: int
    processor_s: float

    @property
    def lost(self) -> int:
        """Packets that were sent but are not on disk."""
        return max(self.sent - self.stored, 0)


class Bench:
    """The namespace with the veth pair, and a folder for the files (emptied after each run)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._namespace = Namespace("abench")
        self._namespace.ip("link", "add", PORT, "type", "veth", "peer", "name", GENERATOR)
        for name in (PORT, GENERATOR):
            # Not a single packet of the kernel's own: the counts are to match.
            self._namespace.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", "1")
            self._namespace.ip("link", "set", name, "up")

    def close(self) -> None:
        """Removes namespace and files."""
        self._namespace.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def fastest(self, size: int) -> float:
        """Packets per second that the generator sends when nobody records."""
        seconds = send(self._namespace, self.directory, Load(size, 200_000, None))
        return 200_000 / seconds

    def run(self, contestant: Contestant, load: Load) -> Run:
        """Lets the program record the load. Raises BenchmarkError if it does not start or end."""
        folder = self.directory / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        log = self.directory / "log"
        try:
            program = self._namespace.spawn(contestant.prepare(folder), log)
            self._wait_until_ready(contestant, folder, program, log)
            before = processor_seconds(program.pid)
            seconds = send(self._namespace, self.directory, load)
            time.sleep(_SETTLE_SECONDS)
            used = end_program(program) - before
            stored = contestant.count(folder)
        finally:
            subprocess.run(["umount", str(folder / "memory")], capture_output=True)
            shutil.rmtree(folder, ignore_errors=True)
        return Run(
            program=contestant.name,
            size=load.size,
            asked_rate=load.rate,
            rate=load.packets / seconds,
            sent=load.packets,
            stored=stored.packets,
            stored_size=stored.size,
            processor_s=used,
        )

    def _wait_until_ready(
        self, contestant: Contestant, folder: Path, program: subprocess.Popen[bytes], log: Path
    ) -> None:
        start = time.monotonic()
        limit = _START_SECONDS if contestant.ready is None else _LIMIT_SECONDS
        while time.monotonic() - start < limit:
            if program.poll() is not None:
                raise BenchmarkError(f"{contestant.name} ended: {log.read_text(errors='replace')[-500:]}")
            if contestant.ready is not None and contestant.ready(folder):
                time.sleep(_START_SECONDS)
                return
            time.sleep(0.05)
        if contestant.ready is not None:
            raise BenchmarkError(f"{contestant.name} did not get ready")


def loads(bench: Bench, parts: Sequence[float | None], repeats: int) -> list[tuple[int, Load]]:
    """Every frame size at parts of what the generator can (None: all); a whole round before the next repeat.

    No load is more than a ring holds.
    """
    fastest = {size: bench.fastest(size) for size in SIZES}
    round_of_loads = []
    for size in SIZES:
        most = int(_OF_THE_RING * RING_SIZE / (size + _IN_THE_RING))
        for part in parts:
            rate = None if part is None else int(fastest[size] * part) // 1000 * 1000
            packets = min(int(fastest[size] * (part or 1.0) * _SECONDS), most)
            round_of_loads.append(Load(size, packets, rate))
    return [(repeat, load) for repeat in range(repeats) for load in round_of_loads]


def send(namespace: Namespace, directory: Path, load: Load, generator: str = GENERATOR) -> float:
    """Sends the load from an interface; returns how many seconds that took, by the generator's own clock.

    Raises BenchmarkError if it did not send all.
    """
    directory.mkdir(parents=True, exist_ok=True)
    frame = directory / "frame.cfg"
    frame.write_text("".join(_frame(load.size, flow) for flow in range(FLOWS)))
    command = ["trafgen", "-i", str(frame), "-o", generator, "-n", str(load.packets), "-P", "1"]
    if load.rate is not None:
        command += ["-b", f"{load.rate}pps"]
    told = namespace.run(command, timeout=_LIMIT_SECONDS)
    match = re.search(r"(\d+) sec, (\d+) usec on CPU0 \((\d+) packets\)", told.stdout + told.stderr)
    if match is None or int(match[3]) != load.packets:
        raise BenchmarkError(f"trafgen did not send all packets: {told.stdout[-500:]}")
    return int(match[1]) + int(match[2]) / 1e6


def _frame(size: int, flow: int) -> str:
    """A UDP packet of one flow in the generator's language: headers as numbers, then a filling."""
    source, target = ipaddress.IPv4Address("10.1.0.1") + flow, ipaddress.IPv4Address("10.2.0.1") + flow
    ethernet = bytes.fromhex("020000000002 020000000001 0800")
    length = size - len(ethernet)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, flow, 0, 64, _UDP, 0, source.packed, target.packed)
    total = sum(struct.unpack(">10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack(">H", ~total & 0xFFFF) + ip[12:]
    udp = struct.pack(">HHHH", 20_000 + flow, 5004, length - len(ip), 0)
    head = ethernet + ip + udp
    return f"{{ {', '.join(map(str, head))}, fill(0x55, {size - len(head)}) }}\n"


def processor_seconds(pid: int) -> float:
    """User and system time so far of a process and its threads (schedstat: ns on a processor)."""
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        total += int(path.read_text().split()[0])
    return total / 1e9


def end_program(program: subprocess.Popen[bytes]) -> float:
    """Lets the program end, as it may have to write the rest; returns the processor time of all its life."""
    asked = time.monotonic()
    program.send_signal(signal.SIGTERM)
    while True:
        pid, _, usage = os.wait4(program.pid, os.WNOHANG)
        if pid:
            program.returncode = 0
            return usage.ru_utime + usage.ru_stime
        if time.monotonic() - asked > _STOP_SECONDS:
            program.kill()
        time.sleep(0.02)


def forget_files() -> None:
    """Nothing is in the page cache afterwards."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
