"""Writes records into a ring as the recorder does, without sockets and threads."""

from __future__ import annotations

import os
from pathlib import Path

from allegro.capture.ring import record as blocks
from allegro.capture.ring.reader import RingReader
from allegro.capture.ring.record import Record
from allegro.capture.ring.segments import MIB
from allegro.capture.ring.writer import RingWriter
from tests.harness.waiting import wait_for
from tests.unit.capture.blocks import Frame, block

SMALLEST = 16 * MIB
START = 1_763_762_000_000_000_000
STEP = 1_000_000
"""Between one record's packet and the next one's, in ns."""


def append(
    writer: RingWriter, number: int, *, size: int = 60, port: int = 1, summary: bytes = b""
) -> blocks.Record:
    """Writes the record number `number`: two packets at START + number * STEP."""
    time_ns = START + number * STEP
    payload = number.to_bytes(8, "big") + bytes(size - 8)
    image = memoryview(block([Frame(time_ns, payload), Frame(time_ns + 1, payload)], size=1 << 17))
    slot = writer.place(blocks.record_length(image))
    header = blocks.seal(image, writer.ring_id, slot.sequence, writer.run, port, f"port{port}")
    # The file is open for direct writing, for which this memory is not aligned.
    with slot.segment.path.open("r+b") as file:
        os.pwrite(file.fileno(), image[: header.length], slot.offset)
    writer.written(slot, header, summary)
    writer.publish()
    wait_for(lambda: writer.published == slot.sequence, "publishing", 10, 0.001)
    return header


def everything(directory: Path) -> list[Record]:
    with RingReader(directory) as reader:
        return reader.records(0, 1 << 62)


def numbers(directory: Path) -> list[int]:
    """The numbers of all records that can be read, in the ring's order; every one of them is read."""
    with RingReader(directory) as reader:
        found = reader.records(0, 1 << 62)
        for ref in found:
            block_start = reader.read(ref)
            packet = blocks.FIRST_PACKET_OFFSET + 82
            number = int.from_bytes(block_start[packet : packet + 8], "big")
            assert ref.first_ns == START + number * STEP
        return [(ref.first_ns - START) // STEP for ref in found]
