"""Files of packets, part by part: what the device writes, pcapng and pcap with nanoseconds.

Formats: draft-ietf-opsawg-pcapng, sections 4.1 to 4.3, and draft-ietf-opsawg-pcap, sections 4 and 5; little
endian. What of a damaged file comes before the damage is read. No I/O but the reader that is passed in.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from allegro.capture.extraction.classic import MAGIC_NANOSECONDS
from allegro.capture.extraction.pcapng import (
    BYTE_ORDER_MAGIC,
    END_OF_OPTIONS,
    IF_NAME,
    INTERFACE_DESCRIPTION,
    SECTION_HEADER,
)
from allegro.errors import InvalidInput

ENHANCED_PACKET = 6
LARGEST = 1 << 20
"""Bytes of a part: what is longer is damage. A packet has 64 KiB at most, what a file says of itself 128."""

MAGIC_MICROSECONDS = 0xA1B2C3D4

_CUT = "It ends in the middle of a packet."
_DAMAGED = "It is damaged."


@dataclass(frozen=True)
class Packet:
    """`raw` is all of it as it stands in the file, `frame` where in it the bytes from the wire lie, `length`
    how many there were on the wire; `interface` the name of the port, empty if it is not known."""

    raw: bytes
    frame: slice
    length: int
    interface: str = ""


Part = Packet | bytes
"""A packet, or bytes of the file that those behind them need."""


class Damage(Exception):
    """From here on the file cannot be read; the argument says why."""


def parts(file: BinaryIO) -> Iterator[Part]:
    """What of the file is needed to show its packets, in order.

    Raises InvalidInput if it is no such file, Damage at a place from which it cannot be read on.
    """
    head = file.read(8)
    if len(head) == 8 and struct.unpack_from("<I", head)[0] == SECTION_HEADER:
        yield from _pcapng(file, head)
    elif len(head) == 8 and struct.unpack_from("<I", head)[0] in (MAGIC_NANOSECONDS, MAGIC_MICROSECONDS):
        yield from _classic(file, head)
    else:
        raise InvalidInput("This is no file of packets that the device has made.")


def _pcapng(file: BinaryIO, head: bytes) -> Iterator[Part]:
    interfaces: list[str] = []
    while head:
        if len(head) < 8:
            raise Damage(_CUT)
        kind, size = struct.unpack("<II", head)
        if not 12 <= size <= LARGEST or size % 4:
            raise Damage(_DAMAGED)
        raw = head + file.read(size - 8)
        if len(raw) < size:
            raise Damage(_CUT)
        if struct.unpack_from("<I", raw, size - 4)[0] != size:
            raise Damage(_DAMAGED)
        if kind == SECTION_HEADER:
            if size < 28 or struct.unpack_from("<I", raw, 8)[0] != BYTE_ORDER_MAGIC:
                raise Damage(_DAMAGED)
            interfaces = []
            yield raw
        elif kind == INTERFACE_DESCRIPTION:
            interfaces.append(_name(raw))
            yield raw
        elif kind == ENHANCED_PACKET:
            yield _packet(raw, interfaces)
        head = file.read(8)


def _packet(raw: bytes, interfaces: list[str]) -> Packet:
    if len(raw) < 32:
        raise Damage(_DAMAGED)
    number, _, _, captured, length = struct.unpack_from("<IIIII", raw, 8)
    if number >= len(interfaces) or captured > len(raw) - 32:
        raise Damage(_DAMAGED)
    return Packet(raw, slice(28, 28 + captured), length, interfaces[number])


def _name(raw: bytes) -> str:
    """The name of an interface, from the options of its block."""
    at = 16
    while at + 4 <= len(raw) - 4:
        code, size = struct.unpack_from("<HH", raw, at)
        if code == END_OF_OPTIONS or at + 4 + size > len(raw) - 4:
            break
        if code == IF_NAME:
            return raw[at + 4 : at + 4 + size].decode(errors="replace")
        at += 4 + (size + 3 & -4)
    return ""


def _classic(file: BinaryIO, head: bytes) -> Iterator[Part]:
    rest = file.read(16)
    if len(rest) < 16:
        raise Damage(_CUT)
    yield head + rest
    while record := file.read(16):
        if len(record) < 16:
            raise Damage(_CUT)
        captured, length = struct.unpack_from("<II", record, 8)
        if captured > LARGEST:
            raise Damage(_DAMAGED)
        raw = record + file.read(captured)
        if len(raw) < 16 + captured:
            raise Damage(_CUT)
        yield Packet(raw, slice(16, 16 + captured), length)
