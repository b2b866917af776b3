"""Blocks of a pcapng file, except the packets themselves (those are written by the C extension).

Format and all constants: draft-ietf-opsawg-pcapng ("PCAP Capture File Format", IETF), sections 4.1 (Section
Header), 4.2 (Interface Description) and 4.6 (Interface Statistics), options in 3.5. Everything is little
endian, which the byte-order magic tells the reader. Pure functions, no I/O.

The section comment stands at the beginning of the file, but what it must say (packets, losses) is known
only at the end. So a file is begun with a header of a given size, filled up by an option of the range that
the format leaves to local use (highest bit set: readers skip it), and the same size is written over it when
all is known. (A padding *block* of the local range would do as well for readers, but editcap refuses to
rewrite such files.)
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
INTERFACE_STATISTICS = 5
BYTE_ORDER_MAGIC = 0x1A2B3C4D
LINKTYPE_ETHERNET = 1
NANOSECONDS = 9
"""if_tsresol: time stamps count units of 10^-9 s."""

END_OF_OPTIONS = 0
COMMENT = 1
SHB_HARDWARE, SHB_OS, SHB_USERAPPL = 2, 3, 4
IF_NAME, IF_DESCRIPTION, IF_TSRESOL = 2, 3, 9
ISB_START, ISB_END, ISB_IFRECV, ISB_IFDROP, ISB_FILTERACCEPT, ISB_OSDROP, ISB_USRDELIV = 2, 3, 4, 5, 6, 7, 8
LOCAL_USE = 0x8000
PADDING = LOCAL_USE

LONGEST_OPTION = 65535
"""Bytes; the length field of an option has 16 bits."""

_BLOCK_OVERHEAD = 12
_OPTION_HEADER = 4


@dataclass(frozen=True)
class Section:
    """What the header says about the whole file. `comment` is one text of lines "key: value"."""

    comment: str
    hardware: str = ""
    os: str = ""
    application: str = ""


@dataclass(frozen=True)
class Statistics:
    """Counts of one interface over the window; times in nanoseconds since 1970 (UTC).

    `packets` are in the file, `drops` were lost between the interface and the ring (the system's own losses),
    `nic_missed` in the network card, before the system saw them; `rejected` did not match the filter, or were
    discarded by a rule (None: there was neither). Not `whole`: more came in than is counted here.
    """

    start_ns: int
    end_ns: int
    packets: int
    drops: int
    nic_missed: int
    rejected: int | None = None
    whole: bool = True


def section_header(section: Section, *, section_length: int = -1, size: int | None = None) -> bytes:
    """The first block of a file.

    `section_length` is the number of bytes after this block, -1 if not known. With `size` (bytes, a multiple
    of 4) the block is filled up to exactly that; raises ValueError if it would be longer.
    """
    options = b"".join(
        _option(code, _text(value))
        for code, value in (
            (COMMENT, section.comment),
            (SHB_HARDWARE, section.hardware),
            (SHB_OS, section.os),
            (SHB_USERAPPL, section.application),
        )
        if value
    )
    fixed = struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, section_length)
    if size is not None:
        gap = size - _BLOCK_OVERHEAD - len(fixed) - len(options) - _OPTION_HEADER
        options += _padding(gap)
    return _block(SECTION_HEADER, fixed + options + _end(options))


def interface_description(name: str, description: str = "") -> bytes:
    """An Ethernet interface with nanosecond time stamps and whole packets (snapshot length 0 = no limit)."""
    options = _option(IF_NAME, _text(name))
    if description:
        options += _option(IF_DESCRIPTION, _text(description))
    options += _option(IF_TSRESOL, bytes([NANOSECONDS]))
    return _block(
        INTERFACE_DESCRIPTION, struct.pack("<HHI", LINKTYPE_ETHERNET, 0, 0) + options + _end(options)
    )


def with_comment(packet: bytes, comment: str) -> bytes:
    """An Enhanced Packet Block that has no options yet (section 4.3), with a comment."""
    kind = int.from_bytes(packet[:4], "little")
    options = _option(COMMENT, _text(comment))
    return _block(kind, packet[8:-4] + options + _end(options))


def interface_statistics(interface: int, statistics: Statistics, comment: str = "") -> bytes:
    """Counts of the interface number `interface`, as far as they are known at the end of the window.

    isb_ifrecv counts what arrived from the interface, lost packets and those that do not match the filter
    included, isb_filteraccept what matches it, if there is one, and isb_usrdeliv what is in the file.
    """
    counters = [
        (ISB_IFDROP, statistics.nic_missed),
        (ISB_OSDROP, statistics.drops),
        (ISB_USRDELIV, statistics.packets),
    ]
    if statistics.whole and statistics.rejected is not None:
        counters.insert(1, (ISB_FILTERACCEPT, statistics.packets))
    if statistics.whole:
        received = statistics.packets + (statistics.rejected or 0) + statistics.drops
        counters.insert(0, (ISB_IFRECV, received))
    options = _option(COMMENT, _text(comment)) if comment else b""
    options += _option(ISB_START, _timestamp(statistics.start_ns))
    options += _option(ISB_END, _timestamp(statistics.end_ns))
    options += b"".join(_option(code, struct.pack("<Q", value)) for code, value in counters)
    fixed = struct.pack("<I", interface) + _timestamp(statistics.end_ns)
    return _block(INTERFACE_STATISTICS, fixed + options + _end(options))


def comment_text(
    fields: Iterable[tuple[str, str]], notes: Sequence[str], limit: int, *, more: int = 0
) -> str:
    """Lines "key: value", then one "note: …" per note, in at most `limit` bytes of UTF-8.

    Line breaks in values become blanks, so that a value cannot pose as a line of its own. If not all notes
    fit, the last line says how many are left out, and `more` that are not among them; fields that do not fit
    are cut.
    """
    lines = [f"{_one_line(key)}: {_one_line(value)}" for key, value in fields]
    lines += [f"note: {_one_line(note)}" for note in notes]
    lengths = list(itertools.accumulate(len(_text(line)) + 1 for line in lines))  # with line breaks
    for kept in range(len(lines), 0, -1):
        left_out = len(lines) - kept + more
        last = [f"note: {left_out} more notes do not fit here"] if left_out else []
        if lengths[kept - 1] - 1 + sum(len(line) + 1 for line in last) <= limit:
            return "\n".join(lines[:kept] + last)
    return _text("\n".join(lines))[:limit].decode("utf-8", "ignore")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _text(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _timestamp(time_ns: int) -> bytes:
    return struct.pack("<II", time_ns >> 32, time_ns & 0xFFFFFFFF)


def _option(code: int, value: bytes) -> bytes:
    if len(value) > LONGEST_OPTION:
        raise ValueError(f"an option of {len(value)} bytes is longer than {LONGEST_OPTION}")
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _padding(gap: int) -> bytes:
    if gap < 0 or gap % 4:
        raise ValueError(f"a header cannot be filled up by {gap} bytes")
    padding = b""
    while gap:
        part = min(gap - _OPTION_HEADER, LONGEST_OPTION // 4 * 4)
        padding += _option(PADDING, bytes(part))
        gap -= part + _OPTION_HEADER
    return padding


def _end(options: bytes) -> bytes:
    return struct.pack("<HH", END_OF_OPTIONS, 0) if options else b""


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + _BLOCK_OVERHEAD)
    return struct.pack("<I", kind) + length + body + length
