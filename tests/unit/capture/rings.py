"""Makes packet rings on disk as the recorder does, for tests that only read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from allegro.capture import _packets
from allegro.capture.ring import news, record_summaries, segments
from allegro.capture.ring import record as blocks
from allegro.capture.ring.index import Packer, Summary, index_path
from allegro.capture.ring.losses import NO_LOSSES, Losses
from tests.unit.capture.blocks import Frame, block

RING_ID = bytes(range(16))
RUN = 1_763_762_000_000_000_000
SEGMENT = 1 << 20


@dataclass
class Ring:
    """Records are appended; a segment is a file of so many bytes, without index (readers ask the records)."""

    directory: Path
    segment: int = SEGMENT
    sequence: int = 1
    run: int = RUN
    path: Path | None = None
    used: int = 0
    places: list[tuple[Path, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        segments.write_identity(self.directory, segments.RingIdentity(RING_ID, RUN))

    def runs(self, *periods: tuple[int, int], ports: tuple[str, ...] = ()) -> None:
        runs = [segments.Run(start, start, alive, ports) for start, alive in periods]
        segments.write_runs(self.directory, runs, sync=False)

    def add(
        self,
        port: int,
        frames: Sequence[Frame],
        *,
        drops: int = 0,
        nic_missed: int = 0,
        name: str | None = None,
        losses: Losses | None = None,
        times: blocks.Times = blocks.UNKNOWN_TIMES,
    ) -> None:
        """Appends a record of port<port>; without `times` as version 0.1.0 wrote it."""
        image = memoryview(block(frames, size=SEGMENT))
        losses = losses or Losses(drops, 0, nic_missed)
        self._append(image, port, name or f"port{port}", losses, times, 0)

    def tell(
        self,
        *told: news.News,
        port: int = 1,
        losses: Losses = NO_LOSSES,
        times: blocks.Times = blocks.UNKNOWN_TIMES,
        wall_ns: int = RUN,
    ) -> None:
        """Appends a record of news."""
        image = memoryview(bytearray(news.LENGTH))
        payload, count = news.pack(told)
        assert count == len(told)
        blocks.write_empty_block(image, payload, wall_ns)
        self._append(image, port, f"port{port}", losses, times, blocks.FLAG_NEWS)

    def _append(
        self,
        image: memoryview,
        port: int,
        name: str,
        losses: Losses,
        times: blocks.Times,
        flags: int,
    ) -> None:
        header = blocks.seal(image, RING_ID, self.sequence, self.run, port, name, losses, times, flags)
        if self.path is None or self.used + header.length > self.segment:
            self.new_segment()
        assert self.path is not None
        with self.path.open("r+b") as file:
            os.pwrite(file.fileno(), image[: header.length], self.used)
        self.places.append((self.path, self.used))
        self.used += header.length
        self.sequence += 1

    def new_segment(self) -> None:
        self.path = segments.blocks_path(self.directory, self.sequence)
        self.path.write_bytes(bytes(self.segment))
        self.used = 0

    def finish(self) -> None:
        """Writes the index of every segment, as the recorder does when it is full."""
        for path in segments.list_segments(self.directory):
            descriptor = os.open(path, os.O_RDONLY)
            entries = list(segments.walk(descriptor, self.segment, RING_ID, 1))
            os.close(descriptor)
            summary, packer = Summary(), Packer()
            for entry in entries:
                summary = summary.plus(entry)
            packed = b"".join(map(packer.pack, entries)) + packer.pack_summary(summary)
            index_path(path).write_bytes(packed)

    def summarize(self) -> None:
        """Writes the summaries of all records, as the recorder does."""
        for path in segments.list_segments(self.directory):
            image = path.read_bytes()
            descriptor = os.open(path, os.O_RDONLY)
            entries = list(segments.walk(descriptor, self.segment, RING_ID, 1))
            os.close(descriptor)
            appender = record_summaries.Appender()
            for one in entries:
                block = image[one.offset : one.end]
                appender.add(one, _packets.summarize(block, record_summaries.room(one.length)))
            appender.write(path)
            appender.close()

    def damage(self, record: int, offset: int, data: bytes) -> None:
        """Overwrites bytes of the record number `record` (counted from 0)."""
        path, start = self.places[record]
        with path.open("r+b") as file:
            os.pwrite(file.fileno(), data, start + offset)
