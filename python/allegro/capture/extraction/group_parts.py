"""What the packets of records read together are, and which of them filters let through. The threads that read
records run this: C does the work, without the interpreter's lock."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from mmap import mmap
from operator import attrgetter

from allegro.capture import _packets
from allegro.capture.extraction.coverage import Window
from allegro.capture.extraction.filter_rows import Rows
from allegro.capture.extraction.timeline import Timeline
from allegro.capture.ring.reader import ORDER_SLACK_NS
from allegro.capture.ring.record import Record, fields

Place = tuple[int, int, int, int]
"""Of a block in a buffer: offset, used bytes, and the times between which those of its packets lie (ns)."""

PartPlace = tuple[int, int, int, int, int]
"""Of packets of a block that lie one behind the other: the same, and how many they are."""

Found = Place | list[PartPlace] | str
"""Where a record's packets are: all of them, those that are of interest, or why there are none."""

_ALIKE, _STEP = fields("port_name", "boot_id", "wall_offset_ns"), fields("step_ns")
_FIRST_BOOT_NS, _FIRST_NS = attrgetter("first_boot_ns"), attrgetter("first_ns")
_ENTRY = struct.Struct("<QII")


@dataclass(frozen=True)
class Part:
    """Packets of a port whose stamps are `shift_ns` ahead of the time line: the index of all of them, of
    those that filters let through (by the number of the file; none: not there), and, where there are filters,
    how many are in the window, of which some may not be in the index: no filter lets them through."""

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

    def __call__(self, buffer: mmap, records: Sequence[Record], places: Sequence[Found]) -> Contents:
        """What the records hold whose blocks lie at these places in the buffer; texts are no places."""
        contents = Contents()
        together: dict[tuple[str, bytes, int], tuple[list[Record], list[Place]]] = {}
        asked = map(_ALIKE, records), map(_STEP, records)
        for record, place, key, step_ns in zip(records, places, *asked, strict=True):
            if isinstance(place, str):
                continue
            if isinstance(place, list):
                self._scan_parts(buffer, record, place, contents)
                continue
            if step_ns:
                self._scan(buffer, [record], [place], contents)
                continue
            alike = together.get(key)
            if alike is None:
                alike = together[key] = [], []
            alike[0].append(record)
            alike[1].append(place)
        for found, where in together.values():
            self._scan(buffer, found, where, contents)
        return contents

    def _scan(self, buffer: mmap, alike: list[Record], places: list[Place], contents: Contents) -> None:
        """Adds records of one port and start whose stamps are equally far ahead of the time line."""
        index, damaged = _packets.scan_all(buffer, places)
        for number in reversed(damaged):
            contents.damaged.append(alike.pop(number))
        if not alike:
            return
        record = min(alike, key=_FIRST_BOOT_NS if alike[0].boot_id else _FIRST_NS)
        first_ns = self._line.first(record)
        contents.first_ns = first_ns if contents.first_ns is None else min(contents.first_ns, first_ns)
        shift_ns = self._line.shift(record)
        if record.step_ns:
            index, later = split_at_step(index, record)
            contents.parts.append(self._matched(buffer, record.port_name, later, shift_ns + record.step_ns))
        contents.parts.append(self._matched(buffer, record.port_name, index, shift_ns))

    def _scan_parts(self, buffer: mmap, record: Record, places: list[PartPlace], contents: Contents) -> None:
        """Adds what was read of a record that is wholly in the window."""
        index, damaged = _packets.scan_all(buffer, places)
        if damaged:
            contents.damaged.append(record)
            return
        first_ns = self._line.first(record)
        contents.first_ns = first_ns if contents.first_ns is None else min(contents.first_ns, first_ns)
        part = self._matched(buffer, record.port_name, index, self._line.shift(record))
        unread = record.packets - len(index) // _packets.ENTRY_SIZE
        contents.parts.append(replace(part, in_window=part.in_window + unread))

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
