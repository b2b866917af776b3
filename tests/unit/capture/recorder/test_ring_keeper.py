"""Which ring is in use: the one on the disk, or one in memory while its disk refuses."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.capture.config import RecorderConfig
from allegro.capture.recorder import ring_keeper
from allegro.capture.recorder.ring_keeper import RETRY_S, RingKeeper
from allegro.capture.ring import recovery, segments
from allegro.capture.ring.news import RingOpened
from allegro.capture.ring.writer import RingWriter
from allegro.system.boottime import read_clocks
from tests.harness.waiting import wait_for
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.ring.writing import SMALLEST
from tests.unit.capture.rings import Ring


class Bench:
    """A keeper, asked at moments that the test chooses."""

    def __init__(self, folder: Path) -> None:
        self.disk, self.memory = folder / "ring", folder / "memory"
        self.options = RecorderConfig(
            self.disk, SMALLEST, folder / "status.json", memory_directory=self.memory, memory_size=SMALLEST
        )
        self.keeper = RingKeeper(read_clocks(), bytes(16))
        self.later_s = 0.0

    def look(self) -> RingWriter | None:
        return self.keeper.look(self.options, time.monotonic() + self.later_s)

    def takes(self, directory: Path) -> RingOpened:
        """Waits until a ring is opened, which must be this one, and takes it into use."""
        writer = wait_for(self.look, "a ring", 20)
        assert writer.directory == directory
        if self.keeper.writer is not None:
            self.keeper.give_up("The disk can be used again.", read_clocks(), 0.0)
        told = self.keeper.use(writer, read_clocks())
        assert self.keeper.directory == directory
        return told

    def refuse(self) -> None:
        """The disk takes no ring."""
        self.disk.write_bytes(b"in the way")

    def fail(self) -> int:
        """The ring in use is given up; returns the moment (CLOCK_BOOTTIME)."""
        now = read_clocks()
        self.keeper.give_up("The disk does not take packets.", now, RETRY_S)
        return now.boot_ns


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.keeper.end()


@pytest.mark.spec("R5", "R8", "R10")
def test_while_the_disk_refuses_the_ring_is_in_memory(bench: Bench) -> None:
    bench.refuse()
    told = bench.takes(bench.memory)
    assert (told.begun, told.since_boot_ns) == (1, 0)
    assert "The folder of the packet ring cannot be used" in told.reason
    assert bench.keeper.in_memory_since_ns == told.wall_ns
    assert bench.keeper.message() == f"Packets are kept in memory only: {told.reason}"
    bench.disk.unlink()
    assert bench.look() is None, "it was tried a moment ago"
    bench.later_s = RETRY_S
    told = bench.takes(bench.disk)
    assert (told.begun, told.since_boot_ns) == (1, 0)
    assert "cannot be used" in told.reason
    assert told.reason.endswith("What came in meanwhile was kept in memory only.")
    assert bench.keeper.in_memory_since_ns == 0
    assert bench.keeper.message() == bench.keeper.memory_reason() == ""


@pytest.mark.spec("R5", "R8", "R10")
def test_each_ring_is_told_since_when_it_was_not_in_use(bench: Bench) -> None:
    assert bench.takes(bench.disk).reason == ""
    left_ns = [bench.fail()]
    assert bench.takes(bench.memory).begun
    assert wait_for(lambda: segments.read_runs(bench.disk)[-1].left, "a note in the ring that was left", 20)
    assert not segments.read_runs(bench.memory)[-1].left
    bench.later_s += RETRY_S
    memory_left_ns = read_clocks().boot_ns
    told = bench.takes(bench.disk)
    assert (told.begun, told.since_boot_ns) == (0, left_ns[0])
    assert told.reason == "The disk does not take packets. What came in meanwhile was kept in memory only."
    assert left_ns[0] <= told.memory_boot_ns <= memory_left_ns
    assert bench.keeper.kept_beside() == bench.memory
    bench.later_s = 0.0
    bench.fail()
    told = bench.takes(bench.memory)
    assert (told.begun, told.memory_boot_ns) == (0, 0)
    assert told.since_boot_ns >= memory_left_ns
    assert bench.keeper.kept_beside() is None
    assert told.reason == "The disk does not take packets. What came in meanwhile was kept on the disk."


@pytest.mark.spec("R5", "R8", "R10", "W5")
def test_what_came_in_while_another_disk_was_in_use_was_not_in_memory_only(
    bench: Bench, tmp_path: Path
) -> None:
    own, other = bench.options, replace(bench.options, ring_directory=tmp_path / "other")
    bench.takes(bench.disk)
    bench.options = other
    left = read_clocks()
    bench.keeper.give_up("The packet ring goes to another disk.", left, 0.0)
    bench.takes(other.ring_directory)
    bench.fail()
    bench.takes(bench.memory)
    bench.options, bench.later_s = own, RETRY_S
    told = bench.takes(bench.disk)
    assert told.since_boot_ns == left.boot_ns
    assert told.reason == (
        "The disk does not take packets."
        " What came in meanwhile was kept on another disk, and at last in memory only."
    )


def is_left(directory: Path) -> bool:
    """Whether the ring notes that the last run into it went on in another one."""
    runs = segments.read_runs(directory)
    return bool(runs) and runs[-1].left


@pytest.mark.spec("R8", "R10", "T3")
class TestOpenedAndNotUsed:
    """Such a ring says that it was left: nothing of this run is looked for in it."""

    def test_because_what_is_under_way_has_to_be_written_first(self, bench: Bench) -> None:
        bench.keeper.not_now(wait_for(bench.look, "a ring", 20))
        wait_for(lambda: is_left(bench.disk), "a note in the ring", 20)

    def test_because_another_one_was_asked_for_meanwhile(self, bench: Bench, tmp_path: Path) -> None:
        bench.look()
        opening = bench.keeper._disk.opening
        assert opening is not None
        opening.result()
        bench.options = replace(bench.options, ring_directory=tmp_path / "other")
        assert bench.look() is None
        wait_for(lambda: is_left(bench.disk), "a note in the ring", 20)

    def test_because_the_disk_was_faster_than_memory(self, bench: Bench) -> None:
        bench.refuse()
        memory = bench.keeper._memory
        wait_for(
            lambda: bench.look() is None and memory.opening is not None, "word of the ring in memory", 20
        )
        assert memory.opening is not None
        memory.opening.result()
        bench.disk.unlink()
        bench.keeper.use(bench.keeper._open(bench.disk, SMALLEST), read_clocks())
        assert bench.look() is None
        wait_for(lambda: is_left(bench.memory), "a note in the ring", 20)

    def test_because_the_recorder_ends(self, tmp_path: Path) -> None:
        bench, other = Bench(tmp_path), tmp_path / "other"
        bench.takes(bench.disk)
        bench.options = replace(bench.options, ring_directory=other)
        bench.look()
        bench.keeper.end()
        assert (is_left(other), is_left(bench.disk)) == (True, False)

    def test_but_not_where_none_was_in_use(self, tmp_path: Path) -> None:
        """What came in then had not been written yet."""
        bench = Bench(tmp_path)
        bench.look()
        bench.keeper.end()
        assert segments.read_runs(bench.disk)[-1].left is False


@pytest.mark.spec("R5", "R8")
def test_a_disk_that_fails_again_and_again_is_tried_ever_more_rarely(bench: Bench) -> None:
    pauses = []
    for _ in range(9):
        bench.takes(bench.disk)
        bench.later_s = 0.0
        bench.fail()
        pauses.append(round(bench.keeper._disk.open_again - time.monotonic()))
        bench.takes(bench.memory)
        bench.later_s = pauses[-1] + 1.0
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600, 600]


@pytest.mark.spec("R8")
def test_a_ring_in_memory_that_is_not_needed_is_given_back_to_the_machine(bench: Bench) -> None:
    bench.refuse()
    bench.takes(bench.memory)
    bench.disk.unlink()
    bench.later_s = RETRY_S
    bench.takes(bench.disk)
    bench.look()
    assert any(bench.memory.iterdir())
    bench.later_s = ring_keeper.KEPT_S + 1
    bench.look()
    wait_for(lambda: not any(bench.memory.iterdir()), "an empty folder", 20)
    assert bench.keeper.kept_beside() is None
    bench.later_s = 0.0
    bench.fail()
    told = bench.takes(bench.memory)
    assert (told.begun, told.since_boot_ns) == (1, 0), "what was in the one before is gone"
    assert told.reason == "The disk does not take packets."


@pytest.mark.spec("R5")
def test_without_memory_either_there_is_no_ring(bench: Bench) -> None:
    bench.refuse()
    bench.memory.write_bytes(b"in the way")
    wait_for(lambda: bench.look() is None and bench.keeper._memory.failed, "word of it", 20)
    assert bench.keeper.in_memory_since_ns == 0
    assert str(bench.disk) in bench.keeper.message()


@pytest.mark.spec("R5", "W5")
def test_a_disk_that_hangs_while_its_ring_is_opened_keeps_no_other_waiting(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, recover = threading.Event(), recovery.recover

    def slow(directory: Path) -> recovery.RecoveredRing:
        if directory == bench.disk:
            assert hangs.wait(30)
        return recover(directory)

    monkeypatch.setattr(recovery, "recover", slow)
    bench.look()
    wait_for((bench.disk / segments.LOCK_FILE).exists, "the ring on the disk being opened", 20)
    bench.options = RecorderConfig(tmp_path / "own", SMALLEST, tmp_path / "status.json")
    bench.takes(tmp_path / "own")
    with (bench.disk / segments.LOCK_FILE).open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hangs.set()
        fcntl.flock(lock, fcntl.LOCK_EX)  # as the other ring was closed as soon as it had been opened
    assert is_left(bench.disk)


@pytest.mark.spec("R5", "R10")
@pytest.mark.parametrize("has_packets", [False, True])
def test_another_disk_in_the_same_place_holds_nothing_that_came_in_since_the_start(
    bench: Bench, tmp_path: Path, has_packets: bool
) -> None:
    """As when another disk is chosen for the ring, or the chosen one has been formatted."""
    other, options = tmp_path / "other", bench.options
    if has_packets:
        Ring(other).add(1, [Frame(NS, bytes(60))])
    bench.takes(bench.disk)
    bench.options = RecorderConfig(tmp_path / "own", SMALLEST, tmp_path / "status.json")
    bench.keeper.give_up("The packet ring goes to another disk.", read_clocks(), 0.0)
    assert bench.takes(tmp_path / "own").begun
    bench.disk.rename(tmp_path / "pulled")
    if has_packets:
        other.rename(bench.disk)
    bench.options = options
    bench.keeper.give_up("The packet ring goes to another disk.", read_clocks(), 0.0)
    told = bench.takes(bench.disk)
    assert (told.since_boot_ns, told.begun) == (0, int(not has_packets))


@pytest.mark.spec("R5", "R10")
def test_a_ring_in_another_directory_holds_nothing_of_before(bench: Bench, tmp_path: Path) -> None:
    """As when the configuration names another disk."""
    bench.takes(bench.disk)
    bench.options = RecorderConfig(tmp_path / "other", SMALLEST, tmp_path / "status.json")
    bench.keeper.give_up("The packet ring is being opened.", read_clocks(), 0.0)
    assert bench.takes(tmp_path / "other").begun


@pytest.mark.spec("R5", "W5")
def test_the_ring_in_use_goes_on_until_the_one_on_another_disk_is_opened(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, opens, recover = tmp_path / "other", threading.Event(), recovery.recover

    def slow(directory: Path) -> recovery.RecoveredRing:
        assert directory != other or opens.wait(60)
        return recover(directory)

    monkeypatch.setattr(recovery, "recover", slow)
    bench.takes(bench.disk)
    bench.options = RecorderConfig(other, SMALLEST, tmp_path / "status.json")
    try:
        assert bench.look() is None
        wait_for((other / segments.LOCK_FILE).exists, "the other ring being opened", 20)
        assert bench.look() is None
        assert bench.keeper.opening_on_disk() == other
        assert bench.keeper.writer is not None
        assert (bench.keeper.directory, bench.keeper.message()) == (bench.disk, "")
    finally:
        opens.set()
    assert bench.takes(other).begun
    assert bench.keeper.opening_on_disk() is None


@pytest.mark.spec("R5", "W5")
def test_a_disk_that_refuses_a_ring_leaves_the_one_in_use_where_it_is(bench: Bench, tmp_path: Path) -> None:
    other, own = tmp_path / "other", bench.options
    other.write_bytes(b"in the way")
    bench.takes(bench.disk)
    bench.options = RecorderConfig(other, SMALLEST, tmp_path / "status.json")
    told = wait_for(lambda: bench.look() or bench.keeper.message(), "word of it", 20)
    assert str(told).startswith("The ring on the other disk cannot be opened: ")
    assert bench.keeper.directory == bench.disk
    bench.options = own
    assert bench.look() is None
    assert bench.keeper.message() == ""
