"""Getting packets out again: our extraction, mergecap over dumpcap's files, and a plain copy, in one run.

Recorder and two dumpcaps record the same frames at the same time, from two ports. Then the whole time is put
into one file, by each in turn. What is written counts as done when it is on the disk (syncfs), and all begin
with nothing of their input in the page cache.

On the device a process waits for the next press with its imports done (`allegro.trigger.extraction`). So ours
counts from the request on, and once more with the start of Python; the others with their own starts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from allegro.capture.extraction.contract import Request
from benchmarks.contestants import MIB, recorder_command, recorder_is_ready
from benchmarks.measuring import BenchmarkError, Load, send
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for

PORTS = {"port1": "gen1", "port2": "gen2"}
SIZES = (64, 1514)
COPY, MERGECAP, ALLEGRO = "cp of the result", "mergecap", "allegro"
STARTED, BESIDE = "allegro with the start of Python", "allegro beside recording"
ALL = (COPY, MERGECAP, ALLEGRO, STARTED, BESIDE)
_RECORDED = 832 * MIB
"""Bytes on the wire of each port at most: the ring has to hold these and what is sent beside."""
_PACKETS = 2_000_000
"""Of each port at most."""
_RATE = 100_000
_BYTES_PER_S = 100_000_000
"""Of each port at most: what a busy machine records without a loss."""
_BESIDE_RATE = 20_000
_ROUNDS = 3
_EXTRACT = [sys.executable, "-I", "-m", "allegro.capture.extraction"]


@dataclass(frozen=True)
class Extracted:
    """One measurement: seconds by the clock and of the processors; packets and bytes of the result."""

    name: str
    size: int
    wall_s: float
    processor_s: float
    packets: int
    result_size: int
    lost_beside: int = 0
    """Packets that the recorder lost meanwhile."""


class ExtractionBench:
    """A ring and dumpcap's files with the same packets of one size, ready until `close`."""

    def __init__(self, directory: Path, size: int, packets: int) -> None:
        """Records them. Raises BenchmarkError."""
        self.directory = directory
        self.size = size
        self._recorder: subprocess.Popen[bytes] | None = None
        shutil.rmtree(directory, ignore_errors=True)
        self._run.mkdir(parents=True)
        self._space = Namespace("aextract")
        try:
            for port, peer in PORTS.items():
                self._space.ip("link", "add", port, "type", "veth", "peer", "name", peer)
                for device in (port, peer):
                    self._space.sysctl(f"net.ipv6.conf.{device}.disable_ipv6", "1")
                    self._space.ip("link", "set", device, "up")
            self._record(packets)
        except BaseException:
            self.close()
            raise

    @property
    def _run(self) -> Path:
        return self.directory / "run"

    def close(self) -> None:
        """Removes namespace and files."""
        self._stop_recorder()
        subprocess.run(["umount", str(self._run / "memory")], capture_output=True)
        self._space.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def measure(self, name: str) -> Extracted:
        """Puts everything into one file. Raises BenchmarkError."""
        result = self.directory / "result"
        result.unlink(missing_ok=True)
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")
        if name == BESIDE:
            with _Sending(self) as sending:
                used = self._measured(name, result)
            lost = sending.lost
        else:
            used, lost = self._measured(name, result), 0
        wall_s, processor_s = used
        size, packets = result.stat().st_size, _packets(result)
        if name != COPY:
            result.replace(self.directory / "copied")
        return Extracted(name, self.size, wall_s, processor_s, packets, size, lost)

    def _measured(self, name: str, result: Path) -> tuple[float, float]:
        command, request = {
            COPY: (["cp", str(self.directory / "copied"), str(result)], b""),
            MERGECAP: (["mergecap", "-w", str(result), *map(str, self._dumped())], b""),
        }.get(name, (_EXTRACT, self._request(result).to_json()))
        began, before_s = time.monotonic(), 0.0
        with (self.directory / "log").open("ab") as log:
            program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        assert program.stdin is not None
        if name in (ALLEGRO, BESIDE):
            wait_for(lambda: _waits(program.pid), "the process that waits for a request", 30)
            began, before_s = time.monotonic(), _used_s(program.pid)
        program.stdin.write(request)
        program.stdin.close()
        _, status, usage = os.wait4(program.pid, 0)
        program.returncode = os.waitstatus_to_exitcode(status)
        if program.returncode:
            raise BenchmarkError(f"{name}: {(self.directory / 'log').read_text(errors='replace')[-500:]}")
        subprocess.run(["sync", "-f", str(result)], check=True)
        return time.monotonic() - began, usage.ru_utime + usage.ru_stime - before_s

    def _request(self, result: Path) -> Request:
        status_file = self._run / "memory" / "status.json"
        return Request(
            self._run / "ring",
            0,
            self._until_ns,
            result,
            ports=tuple(PORTS),
            status_file=status_file if self._recorder is not None else None,
        )

    def _dumped(self) -> list[Path]:
        return [self._run / f"{port}.pcapng" for port in PORTS]

    def _record(self, packets: int) -> None:
        self.start_recorder()
        others = [
            self._space.spawn(
                ["dumpcap", "-q", "-i", port, "-B", "64", "-w", str(path)], self.directory / "log"
            )
            for port, path in zip(PORTS, self._dumped(), strict=True)
        ]
        wait_for(lambda: all(path.exists() for path in self._dumped()), "dumpcap", 30)
        time.sleep(1)
        self.send(packets, min(_RATE, _BYTES_PER_S // self.size))
        time.sleep(1)
        for program in others:
            program.terminate()
            program.wait(30)
        self._stop_recorder()
        self._until_ns = time.time_ns()  # what is sent beside an extraction comes later
        dumped = sum(_packets(path) for path in self._dumped())
        if dumped != 2 * packets:
            raise BenchmarkError(f"dumpcap has {dumped} of {2 * packets} packets: is the machine too busy?")

    def start_recorder(self) -> None:
        """Its ring goes on."""
        if not (self._run / "recorder.json").exists():
            self._command = recorder_command(self._run)
        self._recorder = self._space.spawn(self._command, self.directory / "log")
        wait_for(lambda: recorder_is_ready(self._run, len(PORTS)), "the recorder", 60)

    def _stop_recorder(self) -> None:
        if self._recorder is not None:
            self._recorder.terminate()
            self._recorder.wait(30)
            self._recorder = None

    def stop_recorder(self) -> int:
        """Ends it; returns how many packets it has lost."""
        status = json.loads((self._run / "memory" / "status.json").read_text())
        self._stop_recorder()
        return sum(port["drops"] for port in status["ports"])

    def send(self, packets: int, rate: int) -> None:
        """Sends so many frames to each port, at `rate` per second and port."""
        complaints: list[Exception] = []

        def one(port: str) -> None:
            try:
                send(self._space, self.directory / port, Load(self.size, packets, rate), PORTS[port])
            except Exception as error:
                complaints.append(error)

        threads = [threading.Thread(target=one, args=(port,)) for port in PORTS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if complaints:
            raise BenchmarkError(str(complaints[0]))


class _Sending:
    """Recorder and traffic beside what is measured."""

    def __init__(self, bench: ExtractionBench) -> None:
        self._bench = bench
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.lost = 0

    def __enter__(self) -> _Sending:
        self._bench.start_recorder()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.lost = self._bench.stop_recorder()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._bench.send(_BESIDE_RATE, _BESIDE_RATE)


def compare(directory: Path, *, quick: bool) -> list[Extracted]:
    """ALL in turns for each size. Raises BenchmarkError, BenchError."""
    found = []
    for size in SIZES:
        packets = min(_RECORDED // size, _PACKETS) // (4 if quick else 1)
        bench = ExtractionBench(directory, size, packets)
        try:
            bench.measure(ALLEGRO)  # what the copy copies
            for _ in range(1 if quick else _ROUNDS):
                for name in ALL:
                    one = bench.measure(name)
                    if one.packets != 2 * packets:
                        raise BenchmarkError(f"{name} wrote {one.packets} of {2 * packets} packets.")
                    print(
                        f"{size:4d} bytes, {name:<32} {one.wall_s:6.2f} s, CPU {one.processor_s:6.2f} s,"
                        f" {one.result_size / one.wall_s / 1e6:6.0f} MB/s",
                        flush=True,
                    )
                    found.append(one)
        finally:
            bench.close()
    return found


def text(found: Sequence[Extracted]) -> str:
    """The table for the report: medians, and ratios of these."""

    def median(name: str, size: int, value: Callable[[Extracted], float]) -> float:
        return statistics.median(value(one) for one in found if (one.name, one.size) == (name, size))

    lines = [
        "## Getting packets out",
        "",
        "| frame | by | s | CPU s | MB/s | CPU of mergecap | rate of cp | lost beside |",
        "|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for size in dict.fromkeys(one.size for one in found):
        peer = median(MERGECAP, size, lambda one: one.processor_s)
        copy = median(COPY, size, lambda one: one.result_size / one.wall_s)
        for name in ALL:
            wall = median(name, size, lambda one: one.wall_s)
            used = median(name, size, lambda one: one.processor_s)
            rate = median(name, size, lambda one: one.result_size / one.wall_s)
            lost = sum(one.lost_beside for one in found if (one.name, one.size) == (name, size))
            lines.append(
                f"| {size} | {name} | {wall:.2f} | {used:.2f} | {rate / 1e6:.0f} | {used / peer:.2f}"
                f" | {rate / copy:.2f} | {lost if name == BESIDE else ''} |"
            )
    return "\n".join(lines) + "\n"


def _waits(process: int) -> bool:
    """Whether it reads its standard input (proc_pid_syscall(5): number and arguments of the call)."""
    call = Path(f"/proc/{process}/syscall").read_text().split()
    return call[:2] == ["0", "0x0"]


def _used_s(process: int) -> float:
    """Seconds of the processors of a process that has one thread (proc_pid_schedstat(5))."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9


def _packets(path: Path) -> int:
    told = subprocess.run(["capinfos", "-c", "-M", str(path)], capture_output=True, text=True)
    match = re.search(r"Number of packets:\s+(\d+)", told.stdout)
    return int(match[1]) if match else 0
