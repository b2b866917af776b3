"""A window of which the disk's ring has one part, and the ring in memory, which took its place, another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from allegro.capture import status
from allegro.capture.extraction.contract import Result
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring import segments
from allegro.capture.ring.joined import reader_of
from allegro.capture.ring.news import (
    KEPT_IN_MEMORY,
    KEPT_ON_ANOTHER_DISK,
    KEPT_ON_ANOTHER_DISK_AND_IN_MEMORY,
    RingClosed,
    RingOpened,
)
from allegro.trigger.estimate import ring_estimate
from allegro.words import exact_moment
from tests.unit.capture import pcapng_reader
from tests.unit.capture.blocks import NS
from tests.unit.capture.devices import Device
from tests.unit.capture.rings import RUN, Ring

pytestmark = pytest.mark.spec("R8", "R10")

WHY = "The disk does not take packets."


class Bench:
    """A device whose disk fails after three seconds; every ring has runs.json of its own."""

    def __init__(self, folder: Path) -> None:
        self.disk, self.memory = Ring(folder / "ring"), Ring(folder / "memory", segment=1 << 15)
        self.status = folder / "status.json"
        self.runs: dict[Path, list[segments.Run]] = {}
        self.device = Device(self.disk)
        self.device.start(RUN)
        self.device.record(3)
        self.left_ns = self.device.boot_ns

    def go_on_in(self, ring: Ring, told: RingOpened) -> None:
        device = self.device
        device.tell(RingClosed(device.boot_ns, device.wall_ns))
        self.runs[device.ring.directory] = device.runs
        known = [run for run in self.runs.get(ring.directory, []) if run.run != device.runs[-1].run]
        device.runs = [*known, device.runs[-1]]
        device.ring, ring.run = ring, device.runs[-1].run
        device.tell(told)

    def go_on_in_memory(self) -> int:
        """Returns since when (CLOCK_BOOTTIME)."""
        device = self.device
        self.go_on_in(self.memory, RingOpened(device.boot_ns, device.wall_ns, 0, WHY, 1))
        return device.boot_ns

    def go_back(self, since_ns: int, memory_ns: int, meanwhile: str = KEPT_IN_MEMORY) -> None:
        device = self.device
        opened = RingOpened(
            device.boot_ns, device.wall_ns, since_ns, f"{WHY} {meanwhile}", memory_boot_ns=memory_ns
        )
        self.disk.sequence += 4096
        self.go_on_in(self.disk, opened)
        said = status.RecorderStatus(
            ring_directory=str(self.disk.directory), memory_beside=str(self.memory.directory)
        )
        status.write(said, self.status)

    def cut(self) -> tuple[list[int], Result]:
        """All since the start."""
        request = replace(self.device.press(0), start_ns=RUN, status_file=self.status)
        result = extract(request, lambda *_: None, Courtesy(None))
        packets = pcapng_reader.read(request.output.read_bytes()).packets
        return [int.from_bytes(packet.data[14:22]) for packet in packets], result

    def kept(self) -> list[int]:
        return [number for number, (_, became) in enumerate(self.device.sent) if became == "kept"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_window_is_put_together_of_both_rings(bench: Bench) -> None:
    """Also when the disk fails once more."""
    for _ in range(2):
        left_ns = bench.device.boot_ns
        memory_ns = bench.go_on_in_memory()
        bench.device.record(3)
        bench.go_back(left_ns, memory_ns)
        bench.device.record(3)
    found, result = bench.cut()
    assert found == bench.kept() == list(range(len(bench.device.sent)))
    assert (result.notes, result.drops) == ([], 0)
    size = ring_estimate(bench.disk.directory, bench.memory.directory)(RUN, bench.device.wall_ns)
    assert size >= result.file_size - 4096, "blocks of the file that are no packets"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (KEPT_IN_MEMORY, WHY),
        (KEPT_ON_ANOTHER_DISK_AND_IN_MEMORY, f"{WHY} {KEPT_ON_ANOTHER_DISK}"),
    ],
)
def test_what_neither_ring_has_is_told_and_was_not_in_memory(bench: Bench, said: str, told: str) -> None:
    bench.device.miss(2, "lost while the disk was waited for")
    memory_ns = bench.go_on_in_memory()
    bench.device.record(3)
    bench.go_back(bench.left_ns, memory_ns, said)
    found, result = bench.cut()
    assert found == bench.kept()
    (note,) = (note for note in result.notes if "not open" in note)
    assert note.endswith(f"(2 s): {told}")


def test_what_was_overwritten_in_memory_is_told(bench: Bench) -> None:
    memory_ns = bench.go_on_in_memory()
    bench.device.record(3)
    oldest = segments.list_segments(bench.memory.directory)[:2]
    for path in oldest:
        path.unlink()
    bench.go_back(bench.left_ns, memory_ns)
    bench.device.record(1)
    found, result = bench.cut()
    lost = sorted(set(bench.kept()) - set(found))
    assert found == sorted(found)
    assert lost == list(range(300, 300 + 10 * (2 * 8 - 1))), "fifteen records; the news was the first"
    (note,) = (note for note in result.notes if "not open" in note)
    begin, end = RUN + 3 * NS, RUN + 4 * NS + NS // 2
    assert f"from {exact_moment(begin)} to {exact_moment(end)}" in note
    assert note.endswith(f"{WHY} {KEPT_IN_MEMORY}")


def test_a_recorder_that_was_started_again_meanwhile_was_running(bench: Bench) -> None:
    bench.go_on_in_memory()
    bench.device.record(2)
    bench.device.begin_run()
    device = bench.device
    device.tell(RingOpened(device.boot_ns, device.wall_ns, 0, WHY))
    memory_ns = device.boot_ns
    device.record(2)
    bench.go_back(0, memory_ns)
    device.record(1)
    found, result = bench.cut()
    assert found == bench.kept()
    assert result.notes == []


def test_a_ring_in_memory_from_before_what_the_disk_still_has_is_left_out(bench: Bench) -> None:
    """What came in between is overwritten, and nothing would tell."""
    memory_ns = bench.go_on_in_memory()
    bench.device.record(1)
    bench.go_back(bench.left_ns, memory_ns)
    bench.device.record(2)
    bench.disk.new_segment()
    after = len(bench.device.sent)
    bench.device.record(1)
    for path in segments.list_segments(bench.disk.directory)[:-1]:
        path.unlink()
    found, result = bench.cut()
    assert found == list(range(after, len(bench.device.sent)))
    assert any("reaches back only to" in note for note in result.notes)


def open_files() -> list[Path]:
    return list(Path("/proc/self/fd").iterdir())


def test_a_reader_leaves_no_file_open(bench: Bench) -> None:
    memory_ns = bench.go_on_in_memory()
    bench.device.record(1)
    bench.go_back(bench.left_ns, memory_ns)
    before = len(open_files())
    for _ in range(3):
        with reader_of(bench.disk.directory, bench.memory.directory) as reader:
            assert list(reader.iterate(RUN, bench.device.wall_ns))
    assert len(open_files()) == before


def test_without_a_ring_in_memory_the_disks_own_word_stands(bench: Bench, tmp_path: Path) -> None:
    memory_ns = bench.go_on_in_memory()
    bench.device.record(3)
    bench.go_back(bench.left_ns, memory_ns)
    for path in (tmp_path / "memory").iterdir():
        path.unlink()
    _, result = bench.cut()
    (note,) = (note for note in result.notes if "not open" in note)
    assert "(3 s)" in note
