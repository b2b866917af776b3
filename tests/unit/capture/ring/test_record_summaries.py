"""Summaries beside the segments: a cache that nothing depends on, and that takes its part of the ring."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from allegro.capture.ring import segments, summaries
from allegro.capture.ring.record import Record
from allegro.capture.ring.record_summaries import (
    ENTRY_SIZE,
    SUFFIX,
    Appender,
    RecordSummaries,
    largest_entry,
    pack,
    parse,
    room,
    sound_length,
    summary_path,
)
from allegro.capture.ring.segments import MIB
from allegro.capture.ring.writer import RingWriter
from tests.harness.waiting import wait_for
from tests.unit.capture.ring.test_writer import BIG, append_patiently
from tests.unit.capture.ring.writing import SMALLEST, append, everything, numbers

pytestmark = pytest.mark.spec("R13")

RECORD = Record(7, 1, 4096, 4000, 3, 1, 0, "port1", 1000, 2000)


def text_of(number: int) -> bytes:
    return b"what is in record %d" % number


def told(directory: Path) -> list[bytes | memoryview]:
    reader = RecordSummaries()
    return [reader.of(record) for record in everything(directory)]


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"*{SUFFIX}"))


def test_what_is_packed_is_read() -> None:
    others = [RECORD._replace(sequence=number, first_ns=number) for number in range(3)]
    data = b"".join(pack(one, text_of(one.sequence)) for one in others) + pack(RECORD, b"")
    assert parse(data) == {(number, number): text_of(number) for number in range(3)}
    assert sound_length(data) == len(data)


def test_an_entry_has_its_share_and_no_more() -> None:
    assert largest_entry(4096) <= 4096 * 0.05
    assert largest_entry(1 << 20) <= (1 << 20) * 0.004
    assert largest_entry(4 << 20) <= (4 << 20) * 0.004
    assert all(
        room(length) + ENTRY_SIZE == largest_entry(length) <= length * 0.05
        for length in range(4096, 1 << 20, 4096)
    )


def test_damage_costs_what_lies_behind_it_and_is_never_taken_for_something() -> None:
    entries = [pack(RECORD._replace(sequence=number), text_of(number)) for number in range(5)]
    data = b"".join(entries)
    chance = random.Random(3)
    for _ in range(300):
        place = chance.randrange(len(data))
        damaged = bytearray(data)
        damaged[place] ^= 1 << chance.randrange(8)
        assert len(parse(bytes(damaged))) == place // len(entries[0])
        cut = data[:place]
        assert len(parse(cut)) == place // len(entries[0])
        assert sound_length(cut) == place - place % len(entries[0])
    assert parse(bytes(4096)) == {}


def test_records_have_theirs_also_after_a_restart(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    for number in range(10):
        append(writer, number, summary=text_of(number) if number % 3 else b"")
    writer.close()
    with files(tmp_path)[0].open("ab") as file:
        file.write(b"torn")
    writer = RingWriter(tmp_path, SMALLEST, 2)
    for number in range(10, 20):
        append(writer, number, summary=text_of(number))
    wanted = [text_of(number) if number % 3 or number >= 10 else b"" for number in range(20)]
    wait_for(lambda: told(tmp_path) == wanted, "writing of all summaries", 10, 0.01)
    writer.close()
    assert told(tmp_path) == wanted


def test_a_ring_without_summaries_or_with_those_of_others_tells_nothing(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    for number in range(3):
        append(writer, number, summary=text_of(number))
    writer.close()
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(pack(RECORD._replace(sequence=1), b"of the same number, but another time"))
    assert told(tmp_path) == [b""] * 3
    file.unlink()
    assert told(tmp_path) == [b""] * 3
    file.mkdir()
    assert told(tmp_path) == [b""] * 3
    file.rmdir()
    file.write_bytes(whole)
    assert told(tmp_path) == [text_of(number) for number in range(3)]


@pytest.mark.spec("R1", "R5")
def test_they_go_with_their_segment_when_it_is_recycled_and_when_the_ring_shrinks(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, 2 * SMALLEST, 1)

    def all_belong() -> bool:
        return all(path.with_suffix(".blocks").exists() for path in files(tmp_path))

    for number in range(500):
        append_patiently(writer, number, summary=text_of(number))
    wait_for(all_belong, "recycling", 20)
    assert 4 <= len(files(tmp_path)) <= 8
    writer.resize(SMALLEST)
    wait_for(lambda: writer.status().size == SMALLEST and all_belong(), "shrinking", 20)
    writer.close()
    kept = [text_of(number) for number in numbers(tmp_path)]
    assert kept == told(tmp_path)


@pytest.mark.spec("R1")
def test_they_take_their_part_of_the_ring(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, 2 * SMALLEST, 1)
    wait_for(lambda: writer.status().size == 2 * SMALLEST, "the whole ring", 20)
    append(writer, 0, summary=bytes(9 * MIB))
    wait_for(lambda: writer.status().size == 2 * SMALLEST - 8 * MIB, "room for two segments of summaries", 20)
    writer.close()
    size = summary_path(segments.list_segments(tmp_path)[0]).stat().st_size
    assert [one.record_summaries for one in summaries.read(tmp_path) or ()] == [size]
    for known in (True, False):
        if not known:
            (tmp_path / summaries.FILE).unlink()
        writer = RingWriter(tmp_path, 2 * SMALLEST, 2)
        assert writer.status().size <= 2 * SMALLEST - 8 * MIB
        writer.close()


@pytest.mark.spec("R4")
def test_a_disk_that_takes_none_costs_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    system_open = os.open

    def full(path: str | Path, flags: int, *more: int, **named: int) -> int:
        if str(path).endswith(SUFFIX):
            raise OSError(errno.ENOSPC, "No space left on device")
        return system_open(path, flags, *more, **named)

    with monkeypatch.context() as broken:
        broken.setattr(os, "open", full)
        for number in range(10):
            append(writer, number, summary=text_of(number))
    for number in range(10, 20):
        append(writer, number, summary=text_of(number))
    writer.close()
    assert numbers(tmp_path) == list(range(20))
    assert told(tmp_path)[10:] == [text_of(number) for number in range(10, 20)]


def test_a_short_write_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, pwrite = Appender(), os.pwrite
    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", lambda where, data, offset: pwrite(where, data[:10], offset))
        target.add(RECORD, b"one")
        target.write(tmp_path / "1.blocks")
    target.add(RECORD._replace(sequence=8), b"two")
    target.write(tmp_path / "1.blocks")
    target.close()
    assert parse((tmp_path / "1.summary").read_bytes()) == {(8, 1000): b"two"}


def test_what_was_cut_off_leaves_sound_ones_and_orphans_are_removed(
    tmp_path: Path, abandon: Callable[[RingWriter], None]
) -> None:
    writer = RingWriter(tmp_path, SMALLEST, 1)
    for number in range(50):
        append(writer, number, size=BIG, summary=text_of(number))
    wait_for(lambda: told(tmp_path)[-1:] == [text_of(49)], "writing of all summaries", 10, 0.01)
    abandon(writer)
    for file in tmp_path.glob("*.index"):
        file.unlink()
    (tmp_path / f"{0xBAD:016x}{SUFFIX}").write_bytes(b"of a segment that is gone, as 0.1.0 leaves it")
    RingWriter(tmp_path, SMALLEST, 2).close()
    assert told(tmp_path) == [text_of(number) for number in range(50)]
    assert len(files(tmp_path)) == len(segments.list_segments(tmp_path))
