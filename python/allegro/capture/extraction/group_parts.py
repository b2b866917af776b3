"""What the packets of records read together are, and which of them filters let through. The threads that read
records run this: C does the work, without the interpreter's lock."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from mmap import mmap

from allegro.capture import _packets
from allegro.capture.extraction.coverage import Window
from allegro.capture.extraction.filter_rows import Rows
from allegro.capture.extraction.timeline import Timeline
from allegro.capture.ring.reader import ORDER_SLACK_NS
from allegro.capture.ring.record import PACKET_SLACK_NS, Record

SMALL = 1 << 16
"""Records of at most this many bytes are looked through and merged together with others of their port."""

_ENTRY = struct.Struct("<QII")


@dataclass(frozen=True)
class Part:
    """Packets of a port whose stamps are `shift_ns` ahead of the time line: the index of all of them, of
    those that filters let through (by the number of the file; none: not there), and, where there are filters,
    how many are in the window."""

    port: str
    index: bytes
    shift_ns: int
    in_window: int = 0
    matching: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Contents:
    """Of records: their packets, which of them are damaged, and the moment of the first of the others."""

    parts: list[Part] = field(default_factory=list)
    damaged: list[Record] = field(default_factory=list)
    first_ns: int | None = None


class Look:
    """Looks through records; `rows` gives the filters for packets of a port."""

    def __init__(self, window: Window, line: Timeline, rows: Callable[[str], Rows | None]) -> None:
        self._window = window
        self._line = line
        self._rows = rows

    def __call__(self, buffer: mmap, records: Sequence[Record], places: Sequence[int | str]) -> Contents:
        """What the records hold whose blocks lie at these places in the buffer; texts are no places."""
        contents = Contents()
        together: dict[tuple[str, int], list[tuple[Record, int]]] = {}
        for record, place in zip(records, places, strict=True):
            if isinstance(place, str):
                continue
            if record.length > SMALL or record.step_ns:
                self._scan(buffer, [(record, place)], contents)
            else:
                together.setdefault((record.port_name, self._line.shift(record)), []).append((record, place))
        for alike in together.values():
            self._scan(buffer, alike, contents)
        return contents

    def _scan(self, buffer: mmap, alike: list[tuple[Record, int]], contents: Contents) -> None:
        """Adds records of one port whose stamps are equally far ahead of the time line."""
        index, damaged = _packets.scan_all(
            buffer,
            [
                (place, one.used, max(one.first_ns - PACKET_SLACK_NS, 0), one.last_ns + PACKET_SLACK_NS)
                for one, place in alike
            ],
        )
        for number in reversed(damaged):
            contents.damaged.append(alike.pop(number)[0])
        if not alike:
            return
        first_ns = min(self._line.first(one) for one, _ in alike)
        contents.first_ns = first_ns if contents.first_ns is None else min(contents.first_ns, first_ns)
        record, _ = alike[0]
        shift_ns = self._line.shift(record)
        if record.step_ns:
            index, later = split_at_step(index, record)
            contents.parts.append(self._matched(buffer, record.port_name, later, shift_ns + record.step_ns))
        contents.parts.append(self._matched(buffer, record.port_name, index, shift_ns))

    def _matched(self, buffer: mmap, port: str, index: bytes, shift_ns: int) -> Part:
        rows = self._rows(port)
        if rows is None:
            return Part(port, index, shift_ns)
        window = self._window.start_ns, self._window.end_ns
        packets, found = _packets.match(buffer, index, *window, shift_ns, rows.ready)
        matching = {number: one for number, one in zip(rows.numbers, found, strict=True) if one}
        return Part(port, index, shift_ns, packets, matching)


def split_at_step(index: bytes, record: Record) -> tuple[bytes, bytes]:
    """The index of a block in two: packets stamped before the clock was set, and those stamped after it.

    Packets are taken in the order in which they came in. One belongs to those after as soon as its stamp does
    not fit before (by the record's first and last time since the start of the kernel).
    """
    before: list[tuple[int, int, int]] = []
    after: list[tuple[int, int, int]] = []
    entries = sorted(_ENTRY.iter_unpack(index), key=lambda entry: entry[1])
    for entry in entries:
        moment = entry[0] - record.wall_offset_ns
        fits = record.first_boot_ns - ORDER_SLACK_NS <= moment <= record.last_boot_ns + ORDER_SLACK_NS
        (after if after or not fits else before).append(entry)
    halves = (b"".join(_ENTRY.pack(*entry) for entry in sorted(half)) for half in (before, after))
    return next(halves), next(halves)
