from __future__ import annotations

import os
from pathlib import Path

import pytest

from allegro.capture.ring import segments
from allegro.capture.ring.index import Packer, index_path
from allegro.capture.ring.record import Times
from allegro.capture.ring.tail import RingTail
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.rings import RING_ID, RUN, SEGMENT, Ring


def add(ring: Ring, *seconds: int) -> None:
    for second in seconds:
        times = Times(bytes(range(16)), second * NS, second * NS, RUN, 0)
        ring.add(1, [Frame(RUN + second * NS, bytes(60))], times=times)


@pytest.mark.spec("R5", "R8")
def test_an_index_that_was_made_anew_after_a_crash_hides_no_record(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "ring")
    add(ring, *range(8))
    assert ring.path is not None
    descriptor = os.open(ring.path, os.O_RDONLY)
    records = list(segments.walk(descriptor, SEGMENT, RING_ID, 1))
    os.close(descriptor)
    # The recorder has begun in the midst of the segment: the index names the start of the kernel twice.
    runs = records[:5], records[5:]
    packed = b"".join(b"".join(map(Packer().pack, part)) for part in runs)
    index_path(ring.path).write_bytes(packed)
    tail = RingTail(ring.directory, 0)
    assert [record.sequence for record in tail.new()] == list(range(1, 9))
    assert list(tail.new()) == []
    add(ring, 8, 9)
    ring.finish()  # and now only once
    ring.new_segment()
    add(ring, 10)
    assert [record.sequence for record in tail.new()] == [9, 10, 11]
    assert tail.overtaken == 0


@pytest.mark.spec("R5", "R8")
@pytest.mark.timeout(20)
def test_a_segment_whose_records_cannot_be_read_holds_nobody_up(tmp_path: Path) -> None:
    """Its name says that the next record lies in it: nobody looks there again and again for ever."""
    ring = Ring(tmp_path / "ring")
    add(ring, *range(3))
    ring.finish()
    ring.new_segment()
    add(ring, 3)
    assert ring.path is not None
    index_path(ring.path).unlink(missing_ok=True)
    head = ring.path.read_bytes()[:4096]
    with ring.path.open("r+b") as file:
        file.write(bytes(4096))
    tail = RingTail(ring.directory, 0)
    assert [record.sequence for record in tail.new()] == [1, 2, 3]
    assert list(tail.new()) == []
    with ring.path.open("r+b") as file:
        file.write(head)
    assert [record.sequence for record in tail.new()] == [4]
