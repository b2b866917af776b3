"""The record format of the packet ring: a TPACKET_V3 block with Allegro's header in its private area.

The kernel fills a block (``struct tpacket_block_desc``, Documentation/networking/packet_mmap.rst and
net/packet/af_packet.c) and hands it to user space.  The ring socket asks for a private area of
``PRIVATE_SIZE`` bytes right behind the descriptor; the recorder writes its own header there and then
the whole block, rounded up to ``ALIGNMENT``, goes to disk as it is::

    0    tpacket_block_desc      48 bytes, as the kernel left it
    48   record header           HEADER_SIZE bytes, then zeros up to 256
    256  first tpacket3_hdr      packets up to ``used`` bytes, linked by tp_next_offset
    ...  up to ``length``        whatever the memory held; the last 16 bytes are the trailer if it fits

All numbers are little endian (as the kernel's are on every machine that Allegro runs on).  The header's
CRC covers the descriptor (with the status word taken as zero) and the header, not the packets: touching
every byte would cost more than all else together.  A torn write shows in the trailer or in the walk over
the packets.  Nothing here does I/O.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

ALIGNMENT = 4096
"""Records begin and end at multiples of this many bytes (what O_DIRECT needs on every usual disk)."""

PRIVATE_OFFSET = 48
"""Size of struct tpacket_block_desc, and thus offset of the private area."""

PRIVATE_SIZE = 208
"""What the ring socket asks for as tp_sizeof_priv."""

FIRST_PACKET_OFFSET = PRIVATE_OFFSET + PRIVATE_SIZE

MAGIC = b"ALLEGRO1"
TRAILER_MAGIC = b"ALLEGEND"
FLAG_TRAILER = 1

STATUS_OFFSET = 8
"""Offset of block_status in the descriptor."""

TP_STATUS_KERNEL = 0
TP_STATUS_USER = 1

RING_ID_SIZE = 16
PORT_NAME_SIZE = 16
NS = 1_000_000_000

_U32_MAX = 0xFFFF_FFFF

# struct tpacket_block_desc: version, offset_to_priv, block_status, num_pkts, offset_to_first_pkt, blk_len,
# seq_num, ts_first_pkt (sec, nsec), ts_last_pkt (sec, nsec)
_DESCRIPTOR = struct.Struct("<IIIIIIQIIII")
# magic, ring id, sequence, run, length, used, packets, port index, flags, port name, first ns, last ns,
# drops, freezes, nic missed
_HEADER = struct.Struct("<8s16sQQIIIHH16sQQIII")
_CRC = struct.Struct("<I")
_TRAILER = struct.Struct("<8sQ")
# struct tpacket3_hdr begins: tp_next_offset, tp_sec, tp_nsec
_PACKET_TIME = struct.Struct("<III")

TRAILER_SIZE = _TRAILER.size
HEADER_SIZE = _HEADER.size + _CRC.size
_CRC_OFFSET = PRIVATE_OFFSET + _HEADER.size
RECORD_HEADER_END = PRIVATE_OFFSET + HEADER_SIZE
"""A record's header is known once this many bytes of it have been read."""

_NO_STATUS = bytes(4)


class BlockFormatError(ValueError):
    """The bytes are not a record of a ring, or a damaged one; the message says what is wrong."""


class RecordHeader(NamedTuple):
    """What a record says about itself.

    Times are nanoseconds since 1970 (UTC) by the kernel's clock.  ``first_ns`` is the time of the first
    packet in the block, ``last_ns`` that of the last one; with several CPUs receiving on one port, packets
    between may be out of order by some microseconds.  ``drops``, ``freezes`` and ``nic_missed`` count what
    this port lost since its previous record.
    """

    ring_id: bytes
    sequence: int
    run: int
    length: int
    used: int
    packets: int
    port_index: int
    flags: int
    port_name: str
    first_ns: int
    last_ns: int
    drops: int
    freezes: int
    nic_missed: int


class Losses(NamedTuple):
    """Packets (drops, nic_missed) and occasions (freezes) lost since the port's previous record."""

    drops: int = 0
    freezes: int = 0
    nic_missed: int = 0


def rounded(used: int) -> int:
    """The length on disk of a record with ``used`` bytes."""
    return (used + ALIGNMENT - 1) & -ALIGNMENT


def is_ready(block: memoryview | bytes | bytearray) -> bool:
    """Whether the kernel has handed this block to user space."""
    return bool(block[STATUS_OFFSET] & TP_STATUS_USER)


def release(block: memoryview) -> None:
    """Hands the block back to the kernel."""
    block[STATUS_OFFSET : STATUS_OFFSET + 4] = _NO_STATUS


def packet_count(block: memoryview | bytes | bytearray) -> int:
    """How many packets the kernel says are in the block."""
    count: int = _DESCRIPTOR.unpack_from(block)[3]
    return count


def record_length(block: memoryview | bytes | bytearray) -> int:
    """How long the record of a block will be on disk, for a block that the kernel has handed over."""
    return rounded(_DESCRIPTOR.unpack_from(block)[5])


def seal(
    block: memoryview,
    ring_id: bytes,
    sequence: int,
    run: int,
    port_index: int,
    port_name: str,
    losses: Losses = Losses(),  # noqa: B008 - an immutable tuple
) -> RecordHeader:
    """Turns a block that the kernel has handed over into a record, in place, and returns its header.

    Raises BlockFormatError if the descriptor cannot be one of a ring socket with our private area.
    """
    _, private, _, packets, first, used, _, _, _, last_s, last_ns = _DESCRIPTOR.unpack_from(block)
    if private != PRIVATE_OFFSET or first != FIRST_PACKET_OFFSET or not first <= used <= len(block):
        raise BlockFormatError(
            f"block descriptor out of range: private {private}, first {first}, used {used}"
        )
    end_ns = last_s * NS + last_ns
    begin_ns = end_ns
    if packets:
        _, first_s, first_ns = _PACKET_TIME.unpack_from(block, first)
        begin_ns = first_s * NS + first_ns
    length = rounded(used)
    trailer = length - used >= TRAILER_SIZE
    header = RecordHeader(
        ring_id,
        sequence,
        run,
        length,
        used,
        packets,
        port_index,
        FLAG_TRAILER if trailer else 0,
        port_name,
        min(begin_ns, end_ns),
        max(begin_ns, end_ns),
        min(losses.drops, _U32_MAX),
        min(losses.freezes, _U32_MAX),
        min(losses.nic_missed, _U32_MAX),
    )
    write_header(block, header)
    return header


def write_header(block: memoryview | bytearray, header: RecordHeader) -> None:
    """Writes the header, its CRC and (if it has the flag) the trailer into the block, which must hold
    ``header.length`` bytes and a finished descriptor."""
    _HEADER.pack_into(
        block,
        PRIVATE_OFFSET,
        MAGIC,
        header.ring_id,
        header.sequence,
        header.run,
        header.length,
        header.used,
        header.packets,
        header.port_index,
        header.flags,
        header.port_name.encode()[:PORT_NAME_SIZE],
        header.first_ns,
        header.last_ns,
        header.drops,
        header.freezes,
        header.nic_missed,
    )
    _CRC.pack_into(block, _CRC_OFFSET, _checksum(block))
    if header.flags & FLAG_TRAILER:
        _TRAILER.pack_into(block, header.length - TRAILER_SIZE, TRAILER_MAGIC, header.sequence)


def read_header(block: memoryview | bytes | bytearray) -> RecordHeader:
    """The header of a record whose first bytes (at least RECORD_HEADER_END) are given.

    Raises BlockFormatError if there is no record or its header is damaged.
    """
    if len(block) < RECORD_HEADER_END:
        raise BlockFormatError("too short for a record")
    fields = list(_HEADER.unpack_from(block, PRIVATE_OFFSET))
    if fields[0] != MAGIC:
        raise BlockFormatError("no record here")
    if _CRC.unpack_from(block, _CRC_OFFSET)[0] != _checksum(block):
        raise BlockFormatError("header checksum does not match")
    fields[9] = fields[9].rstrip(b"\0").decode("utf-8", "replace")
    header = RecordHeader(*fields[1:])
    if (
        header.length % ALIGNMENT
        or not FIRST_PACKET_OFFSET <= header.used <= header.length
        or _DESCRIPTOR.unpack_from(block)[5] != header.used
    ):
        raise BlockFormatError("header has impossible lengths")
    return header


def check_complete(block: memoryview | bytes | bytearray, header: RecordHeader) -> None:
    """Raises BlockFormatError if the record's end is missing (a torn write), as far as the trailer tells."""
    if len(block) < header.length:
        raise BlockFormatError("record is cut off")
    if header.flags & FLAG_TRAILER:
        trailer = block[header.length - TRAILER_SIZE : header.length]
        if not is_trailer(trailer, header.sequence):
            raise BlockFormatError("record was not written to its end")


def is_trailer(data: memoryview | bytes | bytearray, sequence: int) -> bool:
    """Whether these TRAILER_SIZE bytes are the trailer of the record with this sequence number."""
    return len(data) == TRAILER_SIZE and _TRAILER.unpack(data) == (TRAILER_MAGIC, sequence)


def _checksum(block: memoryview | bytes | bytearray) -> int:
    view = memoryview(block)
    crc = zlib.crc32(view[:STATUS_OFFSET])
    crc = zlib.crc32(_NO_STATUS, crc)
    return zlib.crc32(view[STATUS_OFFSET + 4 : _CRC_OFFSET], crc)
