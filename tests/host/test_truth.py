"""The real recorder in trouble: packets sent - packets in the file = packets that the file says are missing.

Faults x traffic x windows: each recording is cut with the fault in the window, before it and after it.
"""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.system import boottime
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for
from tests.host.recording import MIB, Recording, add_port, frame, send
from tests.unit.capture import pcapng_reader

NS = 1_000_000_000

EDGE_NS = 40_000_000
"""To open a port, and to end, takes some milliseconds."""

# The recorder with a disk that stands still as long as the file argv[1] exists.
STALLING = """
import pathlib, sys, time
from allegro.capture.recorder import loop, write_pool
stall = pathlib.Path(sys.argv[1])
write = write_pool.WriteJob._write
def slow(job):
    while stall.exists():
        time.sleep(0.01)
    return write(job)
write_pool.WriteJob._write = slow
sys.exit(loop.main(sys.argv[2:]))
"""


@dataclass
class Bench:
    recording: Recording
    stall: Path
    pause_s: float = 0.005
    sent: list[int] = field(default_factory=list)
    """When each frame was sent (CLOCK_BOOTTIME), by its number."""

    def start(self) -> None:
        recording = self.recording
        recording.configure(block_size=1 << 18, blocks_per_port=8)
        command = [
            sys.executable,
            "-c",
            STALLING,
            str(self.stall),
            str(recording.directory / "recorder.json"),
        ]
        recording.process = recording.namespace.spawn(command, recording.log)
        pid = recording.process.pid
        wait_for(lambda: recording.status().pid == pid and recording.status().state == "recording", "it", 30)
        recording.wait_for_ports("port1")

    def traffic(self, goes_on: Callable[[], bool]) -> Iterator[bytes]:
        while goes_on():
            data = frame(1, len(self.sent), 1000)
            self.sent.append(boottime.now_ns())
            yield data
            if self.pause_s:
                time.sleep(self.pause_s)

    def send_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        send(self.recording.namespace, "gen1", self.traffic(lambda: time.monotonic() < end))

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Traffic beside what the caller does."""
        stop = threading.Event()
        thread = threading.Thread(
            target=lambda: send(self.recording.namespace, "gen1", self.traffic(lambda: not stop.is_set()))
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def complete(self) -> None:
        now = boottime.now_ns()
        wait_for(lambda: self.recording.status().complete_through_boot_ns >= now, "all of it on disk", 60)

    def on_record(self) -> None:
        """Waits until the recorder has noted on disk, too, that all of it is there."""
        now = boottime.now_ns()
        wait_for(lambda: self.recording.alive_boot_ns() >= now, "a note of it", 60)

    def cut(self, start_boot_ns: int, end_boot_ns: int) -> tuple[list[int], Result]:
        offset_ns = time.time_ns() - boottime.now_ns()
        request = Request(
            self.recording.ring,
            start_boot_ns + offset_ns,
            end_boot_ns + offset_ns,
            self.recording.directory / "out.pcapng",
            status_file=self.recording.directory / "status.json",
            boot_id=boottime.boot_id(),
            boot_offset_ns=offset_ns,
        )
        result = extract(request, lambda *_: None, Courtesy(None))
        packets = pcapng_reader.read(request.output.read_bytes()).packets
        request.output.unlink()
        assert all(packet.data[12:14] == b"\x88\xb5" for packet in packets)
        return [int.from_bytes(packet.data[18:26]) for packet in packets], result


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    namespace = Namespace("truth")
    bench = Bench(Recording(namespace, tmp_path), tmp_path / "stall")
    try:
        add_port(namespace, 1)
        bench.start()
        yield bench
        bench.stall.unlink(missing_ok=True)
        bench.recording.stop()
    finally:
        bench.stall.unlink(missing_ok=True)
        if bench.recording.process is not None and bench.recording.process.poll() is None:
            bench.recording.process.kill()
        namespace.close()


def none(bench: Bench) -> None:
    bench.send_for(0.5)


def stall(bench: Bench) -> None:
    """More comes in than fits into memory while the disk stands still."""
    bench.pause_s = 0.0
    bench.stall.touch()
    bench.send_for(1.5)
    bench.stall.unlink()
    bench.pause_s = 0.005


def killed(bench: Bench) -> None:
    with bench.sending():
        time.sleep(0.3)
        bench.recording.kill()
        time.sleep(0.3)
        bench.start()


def killed_behind_a_stalled_disk(bench: Bench) -> None:
    with bench.sending():
        bench.stall.touch()
        time.sleep(2)
        bench.recording.kill()
        bench.stall.unlink()
        bench.start()


def restarted(bench: Bench) -> None:
    with bench.sending():
        bench.recording.signal(signal.SIGTERM)
        assert bench.recording.process is not None
        bench.recording.process.wait(30)
        bench.start()


def port_gone(bench: Bench) -> None:
    bench.recording.namespace.ip("link", "del", "port1")
    time.sleep(2)
    add_port(bench.recording.namespace, 1)
    bench.recording.wait_for_ports("port1")


def disk_refuses(bench: Bench) -> None:
    """More comes in than fits into memory while the disk takes nothing, with an error each time."""
    assert bench.recording.process is not None
    limit = ["prlimit", "--pid", str(bench.recording.process.pid)]
    bench.pause_s = 0.0
    subprocess.run([*limit, "--fsize=4096:unlimited"], check=True)
    bench.send_for(1.5)
    subprocess.run([*limit, "--fsize=unlimited:unlimited"], check=True)
    bench.pause_s = 0.005


def ring_resized(bench: Bench) -> None:
    """Larger, then smaller than before, while packets come in: none of them is among those that go."""
    with bench.sending():
        for size in (96 * MIB, 32 * MIB):
            bench.recording.resize(size)


FAULTS = {
    fault.__name__: fault
    for fault in (
        none,
        stall,
        killed,
        killed_behind_a_stalled_disk,
        restarted,
        port_gone,
        disk_refuses,
        ring_resized,
    )
}

_TIME = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC"
_AWAY = re.compile(rf"(?:not running|not open|not there) from {_TIME} to {_TIME}")


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000) * (NS // 1000)


@pytest.mark.spec("R5", "R10", "T6")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("afterwards", ["steady", "silence"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_file_says_exactly_what_is_missing(bench: Bench, fault: str, afterwards: str) -> None:
    bench.send_for(1.5)
    before_ns = boottime.now_ns()
    bench.on_record()
    FAULTS[fault](bench)
    bench.complete()
    after_ns = boottime.now_ns()
    if afterwards == "steady":
        bench.send_for(1)
    else:
        time.sleep(1)
    end_ns = boottime.now_ns()
    bench.complete()
    begin_ns = bench.sent[0]
    offset_ns = time.time_ns() - boottime.now_ns()

    for start_ns, stop_ns in ((begin_ns, end_ns), (begin_ns, before_ns), (after_ns, end_ns)):
        numbers, result = bench.cut(start_ns, stop_ns)
        sent = [number for number, at in enumerate(bench.sent) if start_ns <= at <= stop_ns]
        assert all(one < other for one, other in itertools.pairwise(numbers))
        missing = sorted(set(sent) - set(numbers))
        assert set(numbers) <= set(sent)
        away = [
            (moment(told[1]) - offset_ns - EDGE_NS, moment(told[2]) - offset_ns + EDGE_NS)
            for note in result.notes
            for told in _AWAY.finditer(note)
        ]
        uncounted = [
            number for number in missing if any(begin <= bench.sent[number] <= end for begin, end in away)
        ]
        assert len(missing) - len(uncounted) <= result.drops <= len(missing), result.notes
        assert not any("damaged" in note for note in result.notes)
        inside = [
            number
            for number in numbers
            if any(begin + 2 * EDGE_NS < bench.sent[number] < end - 2 * EDGE_NS for begin, end in away)
        ]
        assert inside == [], result.notes
        cut_off = fault.startswith("killed") and start_ns < before_ns < stop_ns
        assert any("had not written yet" in note for note in result.notes) == cut_off, result.notes
        if (start_ns, stop_ns) != (begin_ns, end_ns):
            assert missing == []
            assert [note for note in result.notes if "No packet is in" not in note] == []
    if fault in ("stall", "disk_refuses"):
        whole, result = bench.cut(begin_ns, end_ns)
        assert result.drops == len(bench.sent) - len(whole) > 0


def test_the_recorder_says_when_it_needs_its_disk(bench: Bench) -> None:
    bench.pause_s = 0.0
    bench.stall.touch()
    bench.send_for(1)
    wait_for(lambda: bench.recording.status().fullest > 0.1, "memory that fills", 20)
    bench.stall.unlink()
    wait_for(lambda: bench.recording.status().slowest_write_s > 0.1, "a write that took long", 20)
    after = bench.recording.status()
    assert max(port.recent_fullest for port in after.ports) > 0.1
    assert after.recent_slowest_write_s > 0.1
