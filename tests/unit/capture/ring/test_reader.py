from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.capture.ring.news import ClockStepped
from allegro.capture.ring.reader import RingReader
from allegro.capture.ring.record import Record, Times
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.rings import RUN, Ring

FIRST, SECOND = bytes(range(16)), bytes(range(16, 32))


def times(boot: bytes, seconds: int, offset_ns: int) -> Times:
    return Times(boot, seconds * NS, seconds * NS, offset_ns, 0)


def filled(ring: Ring) -> None:
    """Two starts of the kernel; in the second one the clock is set back by 2 s, after 10 s of 20."""
    for second in range(10):
        ring.add(1, [Frame(RUN + second * NS, bytes(60))], times=times(FIRST, second, RUN))
    ring.add(2, [Frame(RUN, bytes(60))])  # by 0.1.0
    for second in range(20):
        offset_ns = RUN - (2 * NS if second >= 10 else 0)
        if second == 10:
            stepped = ClockStepped(10 * NS, RUN + 8 * NS, size_ns=-2 * NS)
            ring.tell(stepped, times=times(SECOND, 10, offset_ns), wall_ns=RUN + 8 * NS)
        ring.add(1, [Frame(second * NS + offset_ns, bytes(60))], times=times(SECOND, second, offset_ns))


@pytest.mark.spec("R9", "R10")
@pytest.mark.parametrize("indexed", [False, True])
def test_records_and_news_are_found_by_the_clock_that_nobody_sets(tmp_path: Path, indexed: bool) -> None:
    ring = Ring(tmp_path / "ring")
    filled(ring)
    if indexed:
        ring.finish()
    with RingReader(ring.directory) as reader:
        found = list(reader.iterate_boot(SECOND, 7 * NS, 12 * NS))
        assert [record.first_boot_ns // NS for record in found] == [7, 8, 9, 10, 10, 11, 12]
        (told,) = [record for record in found if record.is_news]
        assert reader.news(told) == (ClockStepped(10 * NS, RUN + 8 * NS, size_ns=-2 * NS),)
        assert [record.first_ns // NS - RUN // NS for record in found] == [7, 8, 9, 8, 8, 9, 10]
        assert len(list(reader.iterate_boot(FIRST, 0, 100 * NS))) == 10
        assert list(reader.iterate_boot(bytes(16), 0, 100 * NS)) == []
        # By the wall clock, which reads 8 s and 9 s twice in the second start:
        assert len(reader.records(RUN + 8 * NS, RUN + 9 * NS)) == 2 + 2 + 1 + 2


@pytest.mark.spec("R11")
def test_a_window_reads_the_index_of_its_own_segments_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = Ring(tmp_path / "ring")
    for hour in range(100):
        ring.new_segment()
        for second in (0, 1800):
            at = hour * 3600 + second
            ring.add(1, [Frame(RUN + at * NS, bytes(60))], times=times(FIRST, at, RUN))
    ring.finish()
    read: list[Path] = []
    entries = RingReader._entries

    def counted(self: RingReader, path: Path, *, newest: bool) -> Iterator[Record]:
        read.append(path)
        return entries(self, path, newest=newest)

    monkeypatch.setattr(RingReader, "_entries", counted)
    with RingReader(ring.directory) as reader:
        found = list(reader.iterate_boot(FIRST, 98 * 3600 * NS, 100 * 3600 * NS))
    assert [record.first_boot_ns // NS for record in found] == [352800, 354600, 356400, 358200]
    assert len(read) == 2


@pytest.mark.spec("W4")
def test_of_a_segment_in_use_what_is_left_over_behind_a_gap_is_not_looked_at(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "ring")
    for second in range(5):
        ring.add(1, [Frame(RUN + second * NS, bytes(60))], times=times(FIRST, second, RUN))
    ring.damage(2, 0, bytes(64))
    with RingReader(ring.directory) as reader:
        (place,), _ = reader.outline()
        assert [record.sequence for record in reader.records_of(place)] == [1, 2]
        ring.finish()
        assert [record.sequence for record in reader.records_of(place)] == [1, 2, 4, 5]
