from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from allegro.capture.ring import index, segments, stock
from allegro.capture.ring import record as blocks
from allegro.capture.ring import writer as ring_writer
from allegro.capture.ring.open_segment import OpenSegment, open_segment
from allegro.capture.ring.record_summaries import summary_path
from allegro.capture.ring.segments import MIB
from allegro.capture.ring.stock import RingBusyError, RingUnavailable, SegmentStock
from allegro.capture.ring.writer import RingWriter
from allegro.capture.status import RingStatus
from tests.harness.waiting import wait_for
from tests.unit.capture.blocks import Frame, block
from tests.unit.capture.ring.writing import SMALLEST, START, append, everything, numbers

BIG = 60_000
"""Two packets of this size make a record of 30 pages: 34 to a segment of the smallest ring."""


def disk_use(directory: Path) -> int:
    """By inode, since the upkeep thread renames files."""
    sizes = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.name.endswith(".blocks"):
                    sizes[entry.inode()] = entry.stat().st_size
    return sum(sizes.values())


def append_patiently(writer: RingWriter, number: int, summary: bytes = b"") -> None:
    def attempt() -> bool:
        try:
            append(writer, number, size=BIG, summary=summary)
        except RingBusyError:
            return False
        return True

    wait_for(attempt, "place in the ring", 10, 0.005)


@pytest.mark.spec("R1", "R4")
def test_what_is_written_can_be_read_at_once(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    for number in range(20):
        append(writer, number)
        assert numbers(tmp_path) == list(range(number + 1))
    writer.close()
    assert numbers(tmp_path) == list(range(20))


@pytest.mark.spec("R1")
def test_the_oldest_are_overwritten_and_the_size_stays(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    for number in range(500):
        append_patiently(writer, number)
        assert disk_use(tmp_path) <= SMALLEST
    writer.close()
    found = numbers(tmp_path)
    assert found == list(range(found[0], 500))
    assert len(found) >= 2 * 34
    assert writer.status().records == len(found)


def refuse(writer: RingWriter, places: int) -> None:
    """So many records of BIG packets are sent to the disk, which refuses each."""
    refused = 0
    while refused < places:
        try:
            slot = writer.place(30 * 4096)
        except RingBusyError:
            time.sleep(0.001)
            continue
        writer.lost(slot)
        refused += 1
        writer.publish()


@pytest.mark.spec("R1", "R5")
def test_what_the_disk_refuses_goes_not_on_over_what_is_good(tmp_path: Path) -> None:
    """It stays in one segment without records, and the ring goes on there when the disk takes packets."""
    writer = RingWriter(tmp_path, 4 * SMALLEST, 1)
    for number in range(200):
        append_patiently(writer, number)
    held = numbers(tmp_path)
    assert held == list(range(200))
    refuse(writer, 2000)
    assert numbers(tmp_path) == held
    for number in range(200, 300):
        append_patiently(writer, number)
    assert numbers(tmp_path) == list(range(300))
    writer.close()
    assert numbers(tmp_path) == list(range(300))
    assert disk_use(tmp_path) <= 4 * SMALLEST


@pytest.mark.spec("R1", "R5")
def test_what_is_under_way_is_waited_for_before_its_place_is_taken_again(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    writer.lost(writer.place(2 * MIB))
    under_way = writer.place(2 * MIB)
    with pytest.raises(RingBusyError):
        writer.place(2 * MIB)
    writer.lost(under_way)
    again = writer.place(2 * MIB)
    assert (again.segment, again.offset) == (under_way.segment, 0)
    assert again.sequence > under_way.sequence
    writer.lost(again)
    writer.close()
    assert numbers(tmp_path) == []


@pytest.mark.spec("R6")
def test_status_tells_what_the_ring_holds(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    assert writer.status().oldest_ns is None
    headers = [append(writer, number) for number in range(5)]
    status = writer.status()
    writer.close()
    assert (status.records, status.packets) == (5, 10)
    assert status.bytes == sum(header.used for header in headers)
    assert status.used == 5 * 4096
    assert (status.oldest_ns, status.newest_ns) == (headers[0].first_ns, headers[-1].last_ns)
    assert status.size == SMALLEST


@pytest.mark.spec("R2")
def test_a_restart_continues_in_the_same_segment(tmp_path: Path) -> None:
    for run in range(30):
        writer = RingWriter(tmp_path, SMALLEST, START + run)
        append(writer, run)
        writer.close()
    assert numbers(tmp_path) == list(range(30))
    assert len(segments.list_segments(tmp_path)) == 1
    assert len({ref.sequence for ref in everything(tmp_path)}) == 30
    assert len({ref.run for ref in everything(tmp_path)}) == 30


@pytest.mark.spec("R2")
def test_after_kill_the_index_is_made_anew_and_equal(
    tmp_path: Path, abandon: Callable[[RingWriter], None]
) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    for number in range(50):
        append(writer, number, size=BIG)
    before = everything(tmp_path)
    abandon(writer)
    for file in tmp_path.glob("*.index"):
        file.unlink()
    assert everything(tmp_path) == before
    RingWriter(tmp_path, SMALLEST, 2).close()
    assert everything(tmp_path) == before
    assert all(index.read_summary(index.index_path(path)) for path in segments.list_segments(tmp_path))


def break_index(broken: pytest.MonkeyPatch, part: int) -> None:
    """Only so many bytes of each write to an index go to disk; none means that the disk is full."""
    pwrite = os.pwrite

    def write(descriptor: int, data: bytes, offset: int) -> int:
        if not Path(f"/proc/self/fd/{descriptor}").readlink().name.endswith(".index"):
            return pwrite(descriptor, data, offset)
        if not part:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(descriptor, bytes(data)[:part], offset)

    broken.setattr(os, "pwrite", write)


@pytest.mark.spec("R4", "R5")
@pytest.mark.parametrize("part", [0, 50, 150])
def test_a_failed_write_of_the_index_costs_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    for number in range(10):
        append(writer, number)
    with monkeypatch.context() as broken:
        break_index(broken, part)
        for number in range(10, 20):
            append(writer, number)
        assert numbers(tmp_path) == list(range(20))
    for number in range(20, 30):
        append(writer, number)
    assert numbers(tmp_path) == list(range(30))
    writer.close()
    (path,) = segments.list_segments(tmp_path)
    assert index.read_summary(index.index_path(path))
    assert numbers(tmp_path) == list(range(30))


@pytest.mark.spec("R1", "R4")
def test_recording_goes_on_when_no_index_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three laps of a ring on a disk that has no room for any further file."""
    writer = RingWriter(tmp_path, SMALLEST, 1)
    system_open = os.open

    def full(path: str | Path, flags: int, *more: int, **named: int) -> int:
        if str(path).endswith(".index") and flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device")
        return system_open(path, flags, *more, **named)

    with monkeypatch.context() as broken:
        broken.setattr(os, "open", full)
        for number in range(400):
            append_patiently(writer, number)
        found = numbers(tmp_path)
        assert found == list(range(found[0], 400))
        assert len(found) >= 2 * 34
        writer.close()
    assert not list(tmp_path.glob("0*.index"))
    RingWriter(tmp_path, SMALLEST, 2).close()
    assert numbers(tmp_path) == found


def test_two_writers_are_refused(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    with pytest.raises(RingUnavailable, match="Another process"):
        RingWriter(tmp_path, SMALLEST, 2)
    writer.close()
    RingWriter(tmp_path, SMALLEST, 3).close()


def test_too_small_a_ring_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RingUnavailable, match="at least 16 MiB"):
        RingWriter(tmp_path, SMALLEST - 1, 1)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RingUnavailable, match="cannot be used"):
        RingWriter(tmp_path / "file" / "ring", SMALLEST, 1)


def test_growing_and_shrinking_at_run_time(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    for number in range(60):
        append(writer, number, size=BIG)
    writer.resize(3 * SMALLEST)
    wait_for(lambda: disk_use(tmp_path) == 3 * SMALLEST, "growth", 20)
    assert numbers(tmp_path) == list(range(60))
    for number in range(60, 250):
        append_patiently(writer, number)
    assert numbers(tmp_path) == list(range(250))
    writer.resize(SMALLEST)
    wait_for(lambda: disk_use(tmp_path) == SMALLEST, "shrinking", 20)
    found = numbers(tmp_path)
    assert found == list(range(found[0], 250))
    with pytest.raises(RingUnavailable):
        writer.resize(1)
    append_patiently(writer, 250)
    writer.close()
    assert numbers(tmp_path)[-1] == 250


def test_a_ring_of_large_segments_shrinks_to_one_of_small_segments(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, 512 * MIB, 1)
    assert writer.status().segment_size == 8 * MIB
    append(writer, 0)
    writer.resize(SMALLEST)
    append(writer, 1)

    def settled() -> bool:
        append(writer, 2)
        status = writer.status()
        return status.segment_size == 4 * MIB and disk_use(tmp_path) == status.size == SMALLEST

    wait_for(settled, "small segments", 20)
    writer.close()
    assert numbers(tmp_path)[-1] == 2


@pytest.mark.parametrize("small", [16, 20])
def test_a_ring_shrunk_to_the_size_of_one_old_segment_takes_records_at_once(
    tmp_path: Path, small: int
) -> None:
    """Without a segment in use, too: nothing may wait for a record that could only come after it."""
    writer = RingWriter(tmp_path, 1024 * MIB, 1)
    assert writer.status().segment_size == 16 * MIB
    for number in range(140):
        append_patiently(writer, number)
    writer.resize(small * MIB)
    for number in range(140, 500):
        append_patiently(writer, number)
    wait_for(lambda: disk_use(tmp_path) <= small * MIB, "the new size", 20)
    writer.close()
    found = numbers(tmp_path)
    assert found == list(range(found[0], 500))
    assert len(found) >= 2 * 34


def test_shrinking_without_space_for_a_small_segment_is_told_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "_SPACE_INTERVAL", 0.1)
    full = threading.Event()
    available = SegmentStock._available
    monkeypatch.setattr(SegmentStock, "_available", lambda self: 0 if full.is_set() else available(self))
    # One segment alone is larger than the small ring, as with 2 GiB.
    sizes = {SMALLEST: 4 * MIB, 8 * SMALLEST: 32 * MIB}
    monkeypatch.setattr(segments, "segment_size", sizes.__getitem__)
    writer = RingWriter(tmp_path, 8 * SMALLEST, 1)
    append(writer, 0)
    assert writer.status().segment_size == 32 * MIB
    full.set()
    writer.resize(SMALLEST)
    wait_for(lambda: writer.shortage, "shortage", 10)
    assert "no more room" in writer.shortage
    append(writer, 1)
    assert writer.working()
    full.clear()

    def settled() -> bool:
        append_patiently(writer, 2)
        return writer.status().segment_size == 4 * MIB and disk_use(tmp_path) == SMALLEST

    wait_for(settled, "small segments", 20)
    wait_for(lambda: not writer.shortage, "no shortage", 10)
    writer.close()
    assert numbers(tmp_path)[-1] == 2


@pytest.mark.parametrize("part", ["_stock.adjust", "_publish", "_sync"])
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("unforeseen")])
def test_no_failure_ends_the_threads(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: str,
    error: Exception,
) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    append(writer, 0)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        *way, name = part.split(".")
        broken.setattr(getattr(writer, way[0]) if way else writer, name, fail)
        writer.publish()
        wait_for(lambda: writer.failures, "the count", 10)
    assert str(error) in caplog.text
    assert writer.working()
    append(writer, 1)
    writer.close()
    assert not writer.working()
    assert numbers(tmp_path) == [0, 1]


def test_a_full_disk_is_no_failure_of_the_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_writer, "_RUNS_INTERVAL", 0.0)
    writer = RingWriter(tmp_path, SMALLEST, 1)
    asked = threading.Semaphore(0)

    def full(*_: object, **__: object) -> None:
        asked.release()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(segments, "write_runs", full)
        assert asked.acquire(timeout=10)
        assert asked.acquire(timeout=10), "it gave up"
        append(writer, 0)
    writer.close()
    assert writer.failures == 0
    assert numbers(tmp_path) == [0]


def test_a_new_size_that_is_refused_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    before = writer.status()
    monkeypatch.setattr(segments, "SMALLEST_RING", 2 * SMALLEST)
    monkeypatch.setattr(SegmentStock, "_available", lambda self: 0)
    with pytest.raises(RingUnavailable, match="no more room"):
        writer.resize(3 * SMALLEST)
    assert writer.status() == before
    writer.close()


def test_short_space_makes_a_smaller_ring_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 30 * MIB

    def statvfs(path: object) -> os.statvfs_result:
        blocks_left = (free - disk_use(tmp_path)) // 4096
        return os.statvfs_result((4096, 4096, 0, blocks_left, blocks_left, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", statvfs)
    writer = RingWriter(tmp_path, 1024 * MIB, 1)
    wait_for(lambda: writer.shortage, "shortage", 10)
    append(writer, 0)
    assert disk_use(tmp_path) == 28 * MIB
    assert "29.4 MB instead of 1024 MiB (1.1 GB)" in writer.shortage
    writer.close()


def test_no_space_for_four_segments_is_no_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        os, "statvfs", lambda path: os.statvfs_result((4096, 4096, 0, 3000, 3000, 0, 0, 0, 0, 255))
    )
    with pytest.raises(RingUnavailable, match="no more room") as caught:
        RingWriter(tmp_path, SMALLEST, 1)
    assert caught.value.remedy
    assert not list(tmp_path.glob("*.blocks"))


@pytest.mark.spec("R1", "R2")
def test_a_disk_that_is_full_at_the_start_is_recorded_into_as_far_as_the_ring_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abandon: Callable[[RingWriter], None]
) -> None:
    """Its last run was cut off, so that an index is to be made anew, for which there is no room either."""
    writer = RingWriter(tmp_path, SMALLEST, 1)
    for number in range(80):
        append(writer, number, size=BIG)
    abandon(writer)
    system_open = os.open

    def full(path: str | Path, flags: int, *more: int, **named: int) -> int:
        if flags & os.O_CREAT and not Path(path).exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return system_open(path, flags, *more, **named)

    with monkeypatch.context() as broken:
        broken.setattr(os, "open", full)
        broken.setattr(SegmentStock, "_available", lambda self: 0)
        writer = RingWriter(tmp_path, SMALLEST, 2)
        for number in range(80, 400):
            append_patiently(writer, number)
        writer.close()
    found = numbers(tmp_path)
    assert found == list(range(found[0], 400))
    assert len(found) >= 2 * 34


@pytest.mark.spec("R1")
def test_a_disk_without_inodes_gives_a_smaller_ring_and_is_not_called_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system_open = os.open
    left = iter(range(6))

    def few(path: str | Path, flags: int, *more: int, **named: int) -> int:
        if flags & os.O_EXCL and str(path).endswith(".blocks") and next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return system_open(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", few)
    writer = RingWriter(tmp_path, 2 * SMALLEST, 1)
    wait_for(lambda: writer.shortage, "shortage", 10)
    append(writer, 0)
    writer.close()
    assert (
        "instead of 32 MiB (33.6 MB): its disk takes no further file, although it has space"
        in writer.shortage
    )
    assert writer.failures == 0
    left = iter(range(0))
    with pytest.raises(RingUnavailable, match="takes no further file") as caught:
        RingWriter(tmp_path / "another", SMALLEST, 1)
    assert caught.value.remedy


@pytest.mark.spec("R1")
def test_the_indexes_take_their_part_of_the_ring(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, 2 * SMALLEST, 1)
    append(writer, 0)
    wait_for(lambda: disk_use(tmp_path) == 2 * SMALLEST, "the ring", 20)
    (segment,) = writer._stock.opened()
    small = segment.summary
    segment.summary = small._replace(records=2 * 4 * MIB // index.ENTRY_SIZE + 1)
    wait_for(lambda: disk_use(tmp_path) == 2 * SMALLEST - 2 * 4 * MIB, "room for two segments of index", 20)
    segment.summary = small._replace(records=SMALLEST)
    wait_for(lambda: disk_use(tmp_path) == SMALLEST, "the fewest segments", 20)
    segment.summary = small
    wait_for(lambda: disk_use(tmp_path) == 2 * SMALLEST, "the whole ring", 20)
    assert not writer.progress()
    writer.close()
    assert numbers(tmp_path) == [0]


@pytest.mark.spec("R2")
def test_what_is_written_is_made_safe_whatever_the_upkeep_has_to_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    goes_on, synced = threading.Event(), threading.Event()
    monkeypatch.setattr(writer._stock, "adjust", lambda: goes_on.wait(60))
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.set())
    writer._stock.wanted.set()
    append(writer, 0)
    assert synced.wait(20)
    writer.alive((77, 78), ("port1",))
    wait_for(lambda: segments.read_runs(tmp_path)[-1].alive_boot_ns == 77, "a note", 20)
    goes_on.set()
    writer.close()


def test_one_thread_writes_the_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()
    write_index = OpenSegment.write_index

    def noted(segment: OpenSegment) -> bool:
        threads.add(threading.current_thread().name)
        return write_index(segment)

    monkeypatch.setattr(OpenSegment, "write_index", noted)
    writer = RingWriter(tmp_path, SMALLEST, 1)
    for number in range(150):
        append_patiently(writer, number)
    assert threads == {"ring publisher"}
    writer.close()


def test_a_ring_that_cannot_be_opened_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    before = list(Path("/proc/self/fd").iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(segments, "write_runs", broken)
        with pytest.raises(RingUnavailable, match="Input/output error"):
            RingWriter(tmp_path, SMALLEST, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)


def test_a_recycling_that_fails_half_way_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    failing = {"open_segment", "sync_directory"}
    for name in ("open_segment", "sync_directory"):
        part = getattr(stock, name)

        def fail_once(*arguments: object, name: str = name, part: Callable[..., object] = part) -> object:
            if name in failing:
                failing.remove(name)
                raise OSError(errno.EIO, "Input/output error")
            return part(*arguments)

        monkeypatch.setattr(stock, name, fail_once)
    for number in range(400):
        append_patiently(writer, number)
    assert not failing
    assert disk_use(tmp_path) == SMALLEST
    writer.close()
    found = numbers(tmp_path)
    assert found == list(range(found[0], 400))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.spec("R1", "R5")
@pytest.mark.parametrize("opening", range(1, 5))
def test_a_ring_whose_files_cannot_all_be_opened_leaves_none_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opening: int
) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    append(writer, 0)
    writer.close()
    opened, before = 0, open_files()

    def refuse_one(path: Path, size: int) -> OpenSegment:
        nonlocal opened
        opened += 1
        if opened == opening:
            raise OSError(errno.EMFILE, "Too many open files")
        return open_segment(path, size)

    with monkeypatch.context() as broken:
        broken.setattr(stock, "open_segment", refuse_one)
        with pytest.raises(RingUnavailable, match="Too many open files"):
            RingWriter(tmp_path, SMALLEST, 2)
    assert open_files() == before
    RingWriter(tmp_path, SMALLEST, 3).close()
    assert numbers(tmp_path) == [0]


@pytest.mark.spec("R5")
@pytest.mark.parametrize("started", range(3))
def test_a_ring_whose_threads_cannot_start_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: int
) -> None:
    before = open_files()
    start, count = threading.Thread.start, iter(range(9))

    def refuse_one(thread: threading.Thread) -> None:
        if next(count) == started:
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", refuse_one)
        with pytest.raises(RuntimeError, match="new thread"):
            RingWriter(tmp_path, SMALLEST, 1)
    assert open_files() == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ring ")]
    RingWriter(tmp_path, SMALLEST, 1).close()


@pytest.mark.spec("R11")
def test_a_summary_is_never_written_under_the_name_of_an_empty_segment(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    image = memoryview(block([Frame(START, bytes(60))], size=1 << 17))
    slot = writer.place(blocks.record_length(image))
    record = blocks.seal(image, writer.ring_id, slot.sequence, writer.run, 1, "port1")
    slot.segment.record_summaries.add(record, b"summary")  # the publisher comes by in the midst of `written`
    writer._publish()
    assert not list(tmp_path.glob("*.summary"))
    writer.written(slot, record)
    writer._publish()
    assert [path.name for path in tmp_path.glob("*.summary")] == [summary_path(slot.segment.path).name]
    assert slot.segment.named
    writer.close()


@pytest.mark.spec("R1")
def test_what_cannot_be_opened_or_removed_stays_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment that was made but cannot be opened takes no room; one that cannot be removed is still one."""
    writer = RingWriter(tmp_path, 4 * SMALLEST, 1)
    wait_for(lambda: writer.status().size == 4 * SMALLEST, "the size", 20)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(stock, "open_segment", refuse)
        writer.resize(5 * SMALLEST)
        wait_for(lambda: writer.failures > 1, "failures", 20)
        assert disk_use(tmp_path) <= 4 * SMALLEST + writer.status().segment_size
    wait_for(lambda: writer.status().size == 5 * SMALLEST, "the size", 20)
    for number in range(400):  # some segments are full, some empty
        append_patiently(writer, number)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", refuse)
        writer.resize(SMALLEST)
        failures = writer.failures
        wait_for(lambda: writer.failures > failures + 1, "failures", 20)
        assert writer.status().size == disk_use(tmp_path) == 5 * SMALLEST
    wait_for(lambda: writer.status().size == disk_use(tmp_path) <= SMALLEST, "the size", 20)
    writer.close()


@pytest.mark.spec("R5", "R10")
def test_what_is_noted_of_a_run_is_not_lost_to_a_note_that_is_just_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ports, times and the end are told by one thread while another one writes them."""
    monkeypatch.setattr(ring_writer, "_RUNS_INTERVAL", 0.0)
    writer = RingWriter(tmp_path, SMALLEST, 1)
    told, status = threading.Event(), writer.status

    def tell_meanwhile() -> RingStatus:
        """Called when the note is being made."""
        if not told.is_set():
            writer.alive((77, 78), ("port1", "port2"))
            writer.ended((88, 89))
            told.set()
        return status()

    monkeypatch.setattr(writer, "status", tell_meanwhile)
    assert told.wait(20)
    writer.close()
    (run,) = segments.read_runs(tmp_path)
    assert (run.alive_boot_ns, run.alive_ns, run.ports, run.ended) == (88, 89, ("port1", "port2"), True)


@pytest.mark.spec("R2", "R5")
@pytest.mark.parametrize("part", ["_publish", "_sync", "_finish_segments", "_write_runs"])
def test_a_ring_is_closed_whatever_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    before = open_files()
    writer = RingWriter(tmp_path, SMALLEST, 1)
    append(writer, 0)
    writer.ended((88, 89))

    def fail(*_: object, **__: object) -> None:
        raise ValueError("unforeseen")

    monkeypatch.setattr(writer, part, fail)
    writer.close()
    assert "not closed cleanly: ValueError: unforeseen" in caplog.text
    assert open_files() == before
    assert not segments.read_runs(tmp_path)[-1].ended
    RingWriter(tmp_path, SMALLEST, 2).close()
    assert numbers(tmp_path) == [0]
