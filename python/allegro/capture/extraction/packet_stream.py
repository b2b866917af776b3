"""pcapng that is written while packets come in, to whoever reads at the other end of a pipe.

What a file says in its header is not known yet when a stream begins. So what happened on the way stands in
the comment of the next packet, and all of it once more, with the counts, behind the last packet, in the
interface statistics. Who reads slowly is waited for: the ring holds what comes in meanwhile.
"""

from __future__ import annotations

import dataclasses
import mmap
import os
import platform
import select
from collections.abc import Iterable, Sequence

from allegro.capture import _packets
from allegro.capture.extraction import pcapng
from allegro.capture.extraction.packet_file import Source
from allegro.version import own_version

BUFFER = 1 << 20
"""Bytes that are collected before they are written; the largest packet fits in."""

COMMENT_LIMIT = 16 * 1024

MOST_NOTES = 100
"""That wait for a packet; more are counted."""


@dataclasses.dataclass
class Count:
    """Of one interface: packets in the stream, and those that did not match the filter."""

    packets: int = 0
    rejected: int = 0


class PacketStream:
    """The stream to `descriptor`, in which packets take at most `most_bytes` (0: any number).

    Raises BrokenPipeError when nobody reads any more.
    """

    def __init__(self, descriptor: int, most_bytes: int) -> None:
        self.counts: dict[str, Count] = {}
        self.large: dict[str, int] = {}
        self.unfinished: dict[str, int] = {}
        self.shortened: dict[str, int] = {}
        self.full = False
        """Nothing more may be written but statistics."""
        self.begun = False
        self.last_ns: int | None = None
        self._descriptor = descriptor
        self._left = most_bytes or None
        self._buffer = mmap.mmap(-1, BUFFER)
        self._notes: list[str] = []
        self._more_notes = 0
        self._hung_up = select.poll()
        self._hung_up.register(descriptor, 0)

    @property
    def packets(self) -> int:
        """In the stream so far."""
        return sum(count.packets for count in self.counts.values())

    def begin(self, fields: Iterable[tuple[str, str]]) -> None:
        """Writes the section header with a comment of these fields."""
        system = platform.uname()
        section = pcapng.Section(
            comment=pcapng.comment_text(fields, (), COMMENT_LIMIT),
            hardware=system.machine,
            os=f"{system.system} {system.release}"[:200],
            application=f"Allegro {own_version()}",
        )
        self.write(pcapng.section_header(section))

    def interface(self, port: str) -> int:
        """Number of a port in the stream; describes it there first if it is new."""
        if port not in self.counts:
            self.write(pcapng.interface_description(port))
            self.counts[port] = Count()
        return list(self.counts).index(port)

    def note(self, sentences: Iterable[str]) -> None:
        """What the comment of the next packet is to say."""
        for sentence in sentences:
            if len(self._notes) < MOST_NOTES:
                self._notes.append(sentence)
            else:
                self._more_notes += 1

    def merge_until(self, sources: Sequence[Source], start_ns: int, end_ns: int) -> None:
        """Writes the packets of the sources from a moment on up to another one, as far as they may be."""
        done = not sources or end_ns < start_ns or self.full
        ports = list(self.counts)
        while not done:
            given = [
                (one.group.buffer, one.index, one.position, one.interface, one.shift_ns) for one in sources
            ]
            length = BUFFER if self._left is None else min(self._left, BUFFER)
            with memoryview(self._buffer) as whole, whole[:length] as room:
                used, done, _, last_ns, progress = _packets.emit(given, start_ns, end_ns, room, 0)
                for source, (position, packets, _, large, unfinished, completed, shortened) in zip(
                    sources, progress, strict=True
                ):
                    port = ports[source.interface]
                    source.position = position
                    self.counts[port].packets += packets
                    if shortened:
                        self.shortened[port] = self.shortened.get(port, 0) + shortened
                    if large or unfinished > completed:
                        self.large[port] = self.large.get(port, 0) + large
                        self.unfinished[port] = self.unfinished.get(port, 0) + unfinished - completed
                if used:
                    self.last_ns = last_ns
                    self._write_packets(room[:used])
            if self._left is not None:
                self._left -= used
                self.full = not done and length < BUFFER
                done = done or self.full

    def statistics(self, numbers: Iterable[tuple[str, pcapng.Statistics]], comment: str = "") -> None:
        """Writes the counts of ports; the comment belongs to the first one."""
        for port, statistics in numbers:
            self.write(pcapng.interface_statistics(self.interface(port), statistics, comment))
            comment = ""

    def wait(self, seconds: float) -> None:
        """Passes some time, unless the reader goes away meanwhile."""
        if self._hung_up.poll(seconds * 1000):
            raise BrokenPipeError

    def write(self, data: bytes | memoryview) -> None:
        """Writes it all, however long the reader lets that take."""
        self.begun = True
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def _write_packets(self, data: memoryview) -> None:
        if self._notes:
            length = int.from_bytes(data[4:8], "little")
            text = pcapng.comment_text((), self._notes, COMMENT_LIMIT, more=self._more_notes)
            self._notes, self._more_notes = [], 0
            self.write(pcapng.with_comment(bytes(data[:length]), text))
            data = data[length:]
        self.write(data)
