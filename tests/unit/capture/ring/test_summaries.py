from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from allegro.capture.ring import index, recovery, segments, summaries
from allegro.capture.ring.finished import FinishedSegments, Sums
from allegro.capture.ring.index import Packer, Summary
from allegro.capture.ring.reader import RingReader
from allegro.capture.ring.record import Record, Times
from allegro.capture.ring.recovery import RecoveredSegment, recover
from allegro.capture.ring.summaries import Listed, SegmentTable, SummaryFile
from allegro.capture.ring.writer import RingWriter
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.ring.writing import SMALLEST, START, append, everything, numbers
from tests.unit.capture.rings import RUN, SEGMENT, Ring

SUMMARY = Summary(3, 6, 900, 10, 20, 7, 12288, 5, 15)


def listed(directory: Path) -> list[Listed]:
    table = summaries.read(directory)
    assert table is not None
    return list(table)


@pytest.mark.spec("R11")
def test_what_is_said_last_of_a_segment_counts(tmp_path: Path) -> None:
    file = SummaryFile(tmp_path)
    assert summaries.read(tmp_path) is None
    file.write(lambda: [Listed(1, 4096, SUMMARY), Listed(8, 4096, None)])
    file.add(Listed(20, 8192, None))
    file.add(Listed(8, 4096, SUMMARY))
    wanted = [Listed(1, 4096, SUMMARY), Listed(8, 4096, SUMMARY), Listed(20, 8192, None)]
    assert listed(tmp_path) == wanted
    file.close()
    with (tmp_path / summaries.FILE).open("ab") as torn:
        torn.write(b"half an entry")
    assert listed(tmp_path) == wanted


@pytest.mark.spec("R11")
def test_a_damaged_list_is_none(tmp_path: Path) -> None:
    file = SummaryFile(tmp_path)
    file.write(lambda: [Listed(1, 4096, SUMMARY), Listed(8, 4096, None)])
    data = bytearray((tmp_path / summaries.FILE).read_bytes())
    for place in range(0, len(data), 7):
        data[place] ^= 1
        (tmp_path / summaries.FILE).write_bytes(data)
        # Four reserved bytes of each entry are covered by its checksum as well.
        assert summaries.read(tmp_path) is None
        data[place] ^= 1


@pytest.mark.spec("R11")
def test_a_list_that_cannot_be_kept_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SummaryFile(tmp_path)
    file.write(lambda: [Listed(1, 4096, None)])
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", lambda *_: 5)
        file.add(Listed(1, 4096, SUMMARY))
    assert summaries.read(tmp_path) is None
    assert file.worn(1)
    file.add(Listed(2, 4096, None))
    assert summaries.read(tmp_path) is None


@pytest.mark.spec("R4", "R11")
def test_what_is_added_while_the_list_is_made_anew_is_not_lost(tmp_path: Path) -> None:
    file = SummaryFile(tmp_path)
    file.write(lambda: [Listed(1, 4096, None)])
    adding = threading.Thread(target=lambda: file.add(Listed(8, 4096, None)))

    def all_of_them() -> list[Listed]:
        adding.start()
        adding.join(0.1)
        return [Listed(1, 4096, SUMMARY)]

    file.write(all_of_them)
    adding.join()
    assert listed(tmp_path) == [Listed(1, 4096, SUMMARY), Listed(8, 4096, None)]
    file.close()


@pytest.mark.spec("R6", "R11")
def test_sums_follow_what_comes_and_goes() -> None:
    kept = FinishedSegments([RecoveredSegment(Path(f"{number}"), 4096, SUMMARY) for number in range(3)])
    kept.append(RecoveredSegment(Path("3"), 8192, SUMMARY))
    assert kept.popleft().path == Path("0")
    assert kept.pop().path == Path("3")
    assert kept.sums == Sums(8192, 2 * 12288, 6, 12, 1800)
    assert [segment.path.name for segment in kept] == ["1", "2"]
    assert kept.summaries(range(5)) == kept.summaries(range(-2, 0)) == [SUMMARY, SUMMARY]


@pytest.mark.spec("R11")
def test_the_writer_lists_what_there_is(tmp_path: Path, abandon: Callable[[RingWriter], None]) -> None:
    writer = RingWriter(tmp_path, SMALLEST, START)
    for number in range(80):
        append(writer, number, size=60_000)
    abandon(writer)
    named = [segments.first_sequence(path) for path in segments.list_segments(tmp_path)]
    assert [place.sequence for place in listed(tmp_path)] == named
    assert numbers(tmp_path) == list(range(80))
    (tmp_path / summaries.FILE).unlink()
    assert numbers(tmp_path) == list(range(80))
    RingWriter(tmp_path, SMALLEST, START + 1).close()
    assert all(place.summary for place in listed(tmp_path))


def large(ring: Ring, count: int) -> list[Path]:
    """A ring of so many finished segments of one record each; the files are holes but for that."""
    known = []
    for number in range(count):
        ring.new_segment()
        ring.add(1, [Frame(RUN + number * 1_000_000_000, bytes(60))])
    paths = segments.list_segments(ring.directory)
    for path in paths:
        record = read_first(path)
        summary, packer = Summary().plus(record), Packer()
        data = packer.pack(record) + packer.pack_summary(summary)
        index.index_path(path).write_bytes(data)
        known.append(Listed(segments.first_sequence(path) or 0, SEGMENT, summary))
    file = SummaryFile(ring.directory)
    file.write(lambda: known)
    file.close()
    return paths


def read_first(path: Path) -> Record:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        identity = segments.read_identity(path.parent)
        assert identity is not None
        return next(segments.walk(descriptor, SEGMENT, identity.ring_id, 1))
    finally:
        os.close(descriptor)


@pytest.mark.spec("R11")
def test_neither_start_nor_press_opens_the_segments_of_a_large_ring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = Ring(tmp_path / "ring")
    paths = large(ring, 3 * recovery._CHECKED)
    before = everything(ring.directory)
    looked: list[Path] = []
    take = recovery._take

    def note(work: recovery._Work, path: Path, minimum: int, *, named: bool) -> None:
        looked.append(path)
        take(work, path, minimum, named=named)

    monkeypatch.setattr(recovery, "_take", note)
    opened: list[object] = []
    system_open = os.open

    def count(path: str | Path, flags: int, *more: int, **named: int) -> int:
        opened.append(path)
        return system_open(path, flags, *more, **named)

    with monkeypatch.context() as counted:
        counted.setattr(os, "open", count)
        with RingReader(ring.directory) as reader:
            end_ns = RUN + (len(paths) - 1) * 1_000_000_000
            assert len(reader.records(end_ns - 4_000_000_000, end_ns)) == 5
            assert reader.bounds() == (RUN, end_ns)
    assert len(opened) <= 5
    found = recover(ring.directory)
    assert looked == paths[-recovery._CHECKED :]
    assert [segment.path for segment in found.segments] == paths
    assert everything(ring.directory) == before


def of_hours(starts: str) -> SegmentTable:
    """One segment per letter, of one hour each: of that start of the kernel; "-": it is not finished."""
    entries = []
    for number, start in enumerate(starts):
        hour = starts[:number].count(start) * 3600
        mark = index.start_mark(start.encode())
        summary = Summary(9, 9, 9, number * 3600, number * 3600 + 3599, 9, 9, hour, hour + 3599, mark, mark)
        entries.append(Listed(number + 1, SEGMENT, None if start == "-" else summary))
    return SegmentTable.of(entries)


@pytest.mark.spec("R9", "R11")
@pytest.mark.parametrize(
    ("start", "window", "places"),
    [
        ("b", (0, 10), [3, 8]),
        ("b", (3700, 7500), [4, 5, 8]),
        ("b", (-600, 1 << 62), [3, 4, 5, 8]),
        ("a", (7000, 1 << 62), [1, 2, 8]),
        ("c", (0, 1 << 62), [6, 7, 8]),
        ("d", (0, 1 << 62), [8]),
    ],
)
def test_a_start_of_the_kernel_is_found_among_others(
    start: str, window: tuple[int, int], places: list[int]
) -> None:
    assert of_hours("aaabbbcc-").of_start(index.start_mark(start.encode()), *window) == places


@pytest.mark.spec("R9", "R11")
def test_a_segment_in_which_one_start_ends_and_another_begins_may_hold_any_between() -> None:
    first, last = index.start_mark(b"a"), index.start_mark(b"c")
    shared = Summary(9, 9, 9, 0, 9, 9, 9, 5000, 100, first, last)
    unmarked, without = shared._replace(first_start=0, last_start=0), Summary(9, 9, 9, 0, 9, 9, 9)
    table = SegmentTable.of(
        Listed(number, SEGMENT, summary) for number, summary in enumerate((shared, unmarked, without))
    )
    assert table.of_start(index.start_mark(b"b"), 0, 10) == [0, 1]


@pytest.mark.spec("R9", "R11")
def test_a_segment_whose_first_start_is_not_known_may_hold_any_when_it_is_continued(
    tmp_path: Path,
) -> None:
    ring = Ring(tmp_path)
    large(ring, 1)
    (path,) = segments.list_segments(ring.directory)
    record = read_first(path)._replace(boot_id=b"b" * 16)
    unmarked = Summary(9, 9, 9, 0, 9, 9, 9, 5000, 100)  # as it was written before summaries had marks
    continued = unmarked.plus(record)
    assert (continued.first_start, continued.last_start) == (0, index.start_mark(record.boot_id))
    table = SegmentTable.of([Listed(0, SEGMENT, continued)])
    assert table.of_start(index.start_mark(b"earlier"), 0, 10) == [0]


@pytest.mark.spec("R11")
@pytest.mark.parametrize("gone", [0, 1, 700, 1023, 1024])
def test_those_that_are_gone_are_found_by_few_questions(gone: int) -> None:
    asked: list[int] = []

    def present(place: Listed) -> bool:
        asked.append(place.sequence)
        return place.sequence >= gone and place.sequence != 511  # lost, and says nothing of the others

    rest = SegmentTable.of(Listed(number, 0, None) for number in range(1024)).from_oldest(present)
    assert [place.sequence for place in rest] == list(range(gone, 1024))
    assert len(asked) <= 40


@pytest.mark.spec("R11")
def test_a_press_looks_at_few_entries_of_a_large_ring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon after a start of the kernel, too, when the window would begin before it."""
    ring, before, now = Ring(tmp_path / "ring"), bytes(range(16)), bytes(range(16, 32))
    for number in range(200):
        second = number * 60
        times = (
            Times(before, second * NS, second * NS, RUN) if number < 198 else Times(now, 5 * NS, 5 * NS, RUN)
        )
        ring.new_segment()
        ring.add(1, [Frame(RUN + second * NS, bytes(60))], times=times)
    ring.finish()
    file = SummaryFile(ring.directory)
    paths = segments.list_segments(ring.directory)
    file.write(
        lambda: [
            Listed(segments.first_sequence(path) or 0, SEGMENT, index.read_summary(index.index_path(path)))
            for path in paths
        ]
    )
    file.close()
    for path in paths[:30]:  # overwritten since
        path.unlink()
    looked: list[int] = []
    read: list[Path] = []
    unpack, entries = SegmentTable.__getitem__, RingReader._entries

    def counted(self: SegmentTable, place: int) -> Listed:
        looked.append(place)
        return unpack(self, place)

    def opened(self: RingReader, path: Path, *, newest: bool) -> Iterator[Record]:
        read.append(path)
        return entries(self, path, newest=newest)

    monkeypatch.setattr(SegmentTable, "__getitem__", counted)
    monkeypatch.setattr(RingReader, "_entries", opened)
    with RingReader(ring.directory) as reader:
        assert len(list(reader.iterate_boot(now, 0, 1 << 62))) == 2
        assert read == paths[198:]
        assert len(list(reader.iterate_boot(before, 196 * 60 * NS, 1 << 62))) == 2
        # A disk may have stood still for ten minutes.
        assert read[2:] == paths[186:198]
        assert reader.bounds() == (RUN + 30 * 60 * NS, RUN + 199 * 60 * NS)
    assert len(looked) < 100


@pytest.mark.spec("R2", "R11")
def test_what_an_old_segment_has_lost_is_told_when_it_is_read(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "ring")
    paths = large(ring, recovery._CHECKED + 5)
    paths[0].write_bytes(bytes(SEGMENT))
    paths[1].unlink()
    found = recover(ring.directory)
    assert [segment.path for segment in found.segments] == [paths[0], *paths[2:]]
    (ring.directory / summaries.FILE).unlink(missing_ok=True)
    with RingReader(ring.directory) as reader:
        assert len(reader.records(0, 1 << 62)) == len(paths) - 1
