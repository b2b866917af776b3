"""A recorder whose disk stands still when told to, what was sent to it, and whether files say the truth."""

from __future__ import annotations

import itertools
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.system import boottime
from tests.harness.waiting import wait_for
from tests.host.recording import Recording, frame, send
from tests.unit.capture import pcapng_reader

NS = 1_000_000_000

NOT_CARRIED, DROPPED = 5, 7
"""pcapng's isb_ifdrop and isb_osdrop."""

ROUNDED_NS = 2_000_000
"""Sentences tell times to the millisecond."""

OVERLAP_NS = 150_000_000
"""A moment before it ends, and before it says that a port is open, the recorder takes packets as well."""

_TIME = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC"
_AWAY = re.compile(rf"(?:not running|not open|not there) from {_TIME} to {_TIME}")

# The recorder with a disk that stands still as long as the file argv[1] exists.
STALLING = """
import pathlib, sys, time
from allegro.capture.recorder import loop, write_pool
stall = pathlib.Path(sys.argv[1])
write = write_pool.WriteJob._write_all
def slow(job):
    while stall.exists():
        time.sleep(0.01)
    return write(job)
write_pool.WriteJob._write_all = slow
sys.exit(loop.main(sys.argv[2:]))
"""


@dataclass
class Bench:
    recording: Recording
    stall: Path
    pause_s: float = 0.005
    sent: list[int] = field(default_factory=list)
    """When each frame was about to be sent (CLOCK_BOOTTIME), by its number."""
    gone: list[int] = field(default_factory=list)
    """When it was: on a busy machine that may be much later."""

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
            self.gone.append(boottime.now_ns())
            if self.pause_s:
                time.sleep(self.pause_s)

    def send_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        send(self.recording.namespace, "gen1", self.traffic(lambda: time.monotonic() < end))

    def burst(self, count: int) -> None:
        """As fast as it goes."""
        pause_s, self.pause_s = self.pause_s, 0.0
        end = len(self.sent) + count
        send(self.recording.namespace, "gen1", self.traffic(lambda: len(self.sent) < end))
        self.pause_s = pause_s

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
        self.complete_through(boottime.now_ns())

    def complete_through(self, boot_ns: int) -> None:
        """Waits until the recorder says that all until then is on disk."""
        wait_for(
            lambda: self.recording.status().complete_through_boot_ns >= boot_ns,
            "all of it on disk",
            60,
            0.01,
        )

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
        file = pcapng_reader.read(request.output.read_bytes())
        request.output.unlink()
        assert all(packet.data[12:14] == b"\x88\xb5" for packet in file.packets)
        assert result.drops == sum(
            file.counter(number, DROPPED) + file.counter(number, NOT_CARRIED) for number in file.statistics
        )
        return [int.from_bytes(packet.data[18:26]) for packet in file.packets], result

    def check(self, start_ns: int, stop_ns: int) -> tuple[list[int], Result]:
        """Cuts a window: what was sent in it is in the file, in its order, or told as missing.

        Returns what is missing.
        """
        numbers, result = self.cut(start_ns, stop_ns)
        gone, sent = list(self.gone), list(self.sent)  # one may be on its way
        times = list(zip(sent, [*gone, *[boottime.now_ns()] * (len(sent) - len(gone))], strict=True))
        offset_ns = time.time_ns() - boottime.now_ns()
        assert all(one < other for one, other in itertools.pairwise(numbers))
        within = {number for number, (sent, gone) in enumerate(times) if start_ns <= sent and gone <= stop_ns}
        touching = {
            number for number, (sent, gone) in enumerate(times) if start_ns <= gone and sent <= stop_ns
        }
        assert set(numbers) <= touching
        missing = sorted(within - set(numbers))
        away = [
            (_moment(told[1]) - offset_ns, _moment(told[2]) - offset_ns)
            for note in result.notes
            for told in _AWAY.finditer(note)
        ]
        uncounted = [
            number
            for number in missing
            if any(
                times[number][0] <= end + ROUNDED_NS and begin - ROUNDED_NS <= times[number][1]
                for begin, end in away
            )
        ]
        assert len(missing) - len(uncounted) <= result.drops <= len(touching - set(numbers)), result.notes
        assert not any("damaged" in note for note in result.notes)
        inside = [
            number
            for number in numbers
            if any(begin + OVERLAP_NS < times[number][0] < end - OVERLAP_NS for begin, end in away)
        ]
        assert inside == [], result.notes
        return missing, result

    def check_sums(self, begin_ns: int, end_ns: int) -> int:
        """Of a port and a recorder that were there all the time: file, status and interface say the same.

        Returns how many packets are missing.
        """
        numbers, result = self.cut(begin_ns, end_ns)
        now = self.recording.status()
        received = Path("/sys/class/net/port1/statistics/rx_packets")
        counted = int(self.recording.namespace.run(["cat", str(received)]).stdout)
        assert counted == len(self.sent) == now.packets
        assert len(self.sent) - len(numbers) == result.drops == now.drops + now.nic_missed
        return result.drops


def _moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000) * (NS // 1000)
