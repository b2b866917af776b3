"""The record format of the packet ring: a TPACKET_V3 block with Allegro's header in its private area.

The kernel fills a block (``struct tpacket_block_desc``, Documentation/networking/packet_mmap.rst and
net/packet/af_packet.c) and hands it to user space.  The ring socket asks for a private area of
``PRIVATE_SIZE`` bytes right behind the descriptor; the recorder writes its own header there and then
the whole block, rounded up to ``ALIGNMENT``, goes to disk as it is::

    0    tpacket_block_desc      48 bytes, as the kernel left it
    48   header                  104 bytes, the last 4 of them its CRC
    152  extension               100 bytes, the last 4 of them its CRC; then zeros up to 256
    256  first tpacket3_hdr      packets up to ``used`` bytes, linked by tp_next_offset
    ...  up to ``length``        whatever the memory held; the last 16 bytes are the trailer if it fits

All numbers are little endian (as the kernel's are on every machine that Allegro runs on).  The header's
CRC covers the descriptor (with the status word taken as zero) and the header, the extension's CRC the
header's CRC and the extension; the packets have none: touching every byte would cost more than all else
together.  A torn write shows in the trailer or in the walk over the packets.

The extension holds what version 0.1.0 did not know, which reads the header alone: time since the start
of the kernel, and losses by kind.  Records without it are read, too.  Nothing here does I/O.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from allegro.capture.ring.losses import COUNT_MOST, NO_LOSSES, Losses

ALIGNMENT = 4096
"""Records begin and end at multiples of this many bytes (what O_DIRECT needs on every usual disk)."""

PRIVATE_OFFSET = 48
"""Size of struct tpacket_block_desc, and thus offset of the private area."""

PRIVATE_SIZE = 208
"""What the ring socket asks for as tp_sizeof_priv."""

FIRST_PACKET_OFFSET = PRIVATE_OFFSET + PRIVATE_SIZE
HEAD_SIZE = FIRST_PACKET_OFFSET
"""A record says all about itself in this many bytes at its beginning."""

MAGIC = b"ALLEGRO1"
EXTENSION_MAGIC = b"ALX1"
TRAILER_MAGIC = b"ALLEGEND"
FLAG_TRAILER = 1
FLAG_NEWS = 2
"""The record has no packets but tells something, see `news`."""

STATUS_OFFSET = 8
"""Offset of block_status in the descriptor."""

TP_STATUS_KERNEL = 0
TP_STATUS_USER = 1

RING_ID_SIZE = 16
BOOT_ID_SIZE = 16
PORT_NAME_SIZE = 16
NS = 1_000_000_000

PACKET_SLACK_NS = NS // 2
"""A packet's time lies no further than this outside of its record's first and last: several processors
receive on one port, and the clock may step while the kernel fills a block (for about 0.3 s at most)."""

_TPACKET_V3 = 2

# struct tpacket_block_desc: version, offset_to_priv, block_status, num_pkts, offset_to_first_pkt, blk_len,
# seq_num, ts_first_pkt (sec, nsec), ts_last_pkt (sec, nsec)
_DESCRIPTOR = struct.Struct("<IIIIIIQIIII")
_LENGTH, _LENGTH_OFFSET = struct.Struct("<I"), 20  # blk_len alone
# magic, ring id, sequence, run, length, used, packets, port index, flags, port name, first ns, last ns,
# lost between kernel and ring, freezes, lost in the card
_HEADER = struct.Struct("<8s16sQQIIIHH16sQQIII")
# magic, boot id, first and last boot ns, wall offset, step, losses from and until (boot ns),
# fifo, over, dropped, crc, length, unwritten, unrecorded
_EXTENSION = struct.Struct("<4s16sQQqqQQ7I")
_CRC = struct.Struct("<I")
_TRAILER = struct.Struct("<8sQ")
# struct tpacket3_hdr begins: tp_next_offset, tp_sec, tp_nsec
_PACKET_TIME = struct.Struct("<III")

TRAILER_SIZE = _TRAILER.size
_CRC_OFFSET = PRIVATE_OFFSET + _HEADER.size
_EXTENSION_OFFSET = _CRC_OFFSET + _CRC.size
_EXTENSION_CRC_OFFSET = _EXTENSION_OFFSET + _EXTENSION.size
_EXTENSION_END = _EXTENSION_CRC_OFFSET + _CRC.size

_NO_STATUS = bytes(4)
_NO_EXTENSION = bytes(_EXTENSION_END - _EXTENSION_OFFSET)


class BlockFormatError(ValueError):
    """The bytes are not a record of a ring, or a damaged one; the message says what is wrong."""


class Times(NamedTuple):
    """When the packets of a record came in, by CLOCK_BOOTTIME, which nobody sets, of the start of the
    kernel `boot_id` (/proc/sys/kernel/random/boot_id; empty: not known, then all is 0).

    The wall clock's time of the first packet is its boot time plus `wall_offset_ns`; of the last one, its
    boot time plus `wall_offset_ns` plus `step_ns`, which is 0 unless the wall clock stepped between them.
    """

    boot_id: bytes = b""
    first_boot_ns: int = 0
    last_boot_ns: int = 0
    wall_offset_ns: int = 0
    step_ns: int = 0


UNKNOWN_TIMES = Times()


class Segment(NamedTuple):
    """A segment file under the name it had when it was looked at; overwritten as soon as `path` is gone or
    another inode."""

    path: Path
    inode: int


NOWHERE = Segment(Path(), 0)


class Record(NamedTuple):
    """What a record says about itself, and where it lies.

    `length` bytes on disk, of which `used` are the kernel's block. `first_ns` and `last_ns` are nanoseconds
    since 1970 (UTC) by the wall clock, of the first and the last packet, the earlier one first; packets
    between may be out of order by some microseconds. `losses` are those of the port since its previous
    record. `offset` is the place in `segment`, which is NOWHERE until the record is found in a file.
    """

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
    boot_id: bytes = b""
    first_boot_ns: int = 0
    last_boot_ns: int = 0
    wall_offset_ns: int = 0
    step_ns: int = 0
    losses: Losses = NO_LOSSES
    offset: int = 0
    segment: Segment = NOWHERE

    @property
    def is_news(self) -> bool:
        """Whether the record holds news instead of packets."""
        return bool(self.flags & FLAG_NEWS)

    @property
    def end(self) -> int:
        """Offset behind the record."""
        return self.offset + self.length

    @property
    def drops(self) -> int:
        """Packets that the port lost between kernel and ring since its previous record."""
        return self.losses.system

    @property
    def nic_missed(self) -> int:
        """Packets that the port's network card lost since its previous record."""
        return self.losses.card


def fields(*names: str) -> Callable[[Record], Any]:
    """What takes these fields out of a record: of very many, faster than by their names."""
    return itemgetter(*map(Record._fields.index, names))


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
    return rounded(_LENGTH.unpack_from(block, _LENGTH_OFFSET)[0])


def packet_times(block: memoryview | bytes | bytearray) -> tuple[int, int]:
    """Wall times of the first and the last packet, in the order in which they came in.

    Raises BlockFormatError if the descriptor cannot be one of a ring socket with our private area.
    """
    _, private, _, packets, first, used, _, _, _, last_s, last_ns = _DESCRIPTOR.unpack_from(block)
    if private != PRIVATE_OFFSET or first != FIRST_PACKET_OFFSET or not first <= used <= len(block):
        raise BlockFormatError(
            f"block descriptor out of range: private {private}, first {first}, used {used}"
        )
    end_ns = last_s * NS + last_ns
    if not packets or used < first + _PACKET_TIME.size:
        return end_ns, end_ns
    _, first_s, first_ns = _PACKET_TIME.unpack_from(block, first)
    return first_s * NS + first_ns, end_ns


def seal(
    block: memoryview,
    ring_id: bytes,
    sequence: int,
    run: int,
    port_index: int,
    port_name: str,
    losses: Losses = NO_LOSSES,
    times: Times = UNKNOWN_TIMES,
    flags: int = 0,
) -> Record:
    """Turns a block that the kernel has handed over into a record, in place, and returns what it says.

    Raises BlockFormatError if the descriptor cannot be one of a ring socket with our private area.
    """
    begin_ns, end_ns = packet_times(block)
    _, _, _, packets, _, used, *_ = _DESCRIPTOR.unpack_from(block)
    length = rounded(used)
    if length - used >= TRAILER_SIZE:
        flags |= FLAG_TRAILER
    record = Record(
        sequence,
        run,
        length,
        used,
        packets,
        port_index,
        flags,
        port_name,
        min(begin_ns, end_ns),
        max(begin_ns, end_ns),
        *times,
        losses.limited() if any(losses) else NO_LOSSES,
    )
    _write_head(block, ring_id, record)
    return record


def write_empty_block(block: memoryview | bytearray, payload: bytes, wall_ns: int) -> None:
    """Makes a block without packets, as the kernel could hand it over, with a payload in their place.

    Raises ValueError if the payload does not fit.
    """
    used = FIRST_PACKET_OFFSET + len(payload)
    if used + TRAILER_SIZE > len(block):
        raise ValueError("the payload does not fit into the block")
    seconds, nanoseconds = divmod(wall_ns, NS)
    _DESCRIPTOR.pack_into(
        block,
        0,
        _TPACKET_V3,
        PRIVATE_OFFSET,
        TP_STATUS_USER,
        0,
        FIRST_PACKET_OFFSET,
        used,
        0,
        *(seconds, nanoseconds),
        *(seconds, nanoseconds),
    )
    block[FIRST_PACKET_OFFSET:used] = payload


def read_record(block: memoryview | bytes | bytearray, ring_id: bytes | None = None) -> Record:
    """What a record says whose first bytes (at least HEAD_SIZE) are given.

    Raises BlockFormatError if there is no record, its header is damaged, or it is not of the ring `ring_id`.
    A damaged extension is taken as none.
    """
    fields = _header(block)
    if ring_id is not None and fields[1] != ring_id:
        raise BlockFormatError("a record of another ring")
    *_, system, freezes, card = fields
    times, losses = UNKNOWN_TIMES, NO_LOSSES
    if block[_EXTENSION_OFFSET : _EXTENSION_OFFSET + 4] == EXTENSION_MAGIC and _CRC.unpack_from(
        block, _EXTENSION_CRC_OFFSET
    )[0] == _extension_checksum(block):
        _, *values = _EXTENSION.unpack_from(block, _EXTENSION_OFFSET)
        boot_id, first_boot, last_boot, offset, step, lost_from, lost_until, *kinds = values
        times = Times(boot_id, first_boot, last_boot, offset, step)
        drops, missed = max(system - sum(kinds[5:]), 0), max(card - sum(kinds[:2]), 0)
        losses = Losses(*[drops, freezes, missed, *kinds, lost_from, lost_until])
        if not any(losses):
            losses = NO_LOSSES
    elif system or freezes or card:
        losses = Losses(system, freezes, card)
    name = fields[9].rstrip(b"\0").decode("utf-8", "replace")
    return Record(*[*fields[2:9], name, *fields[10:12], *times, losses])


def ring_id_of(block: memoryview | bytes | bytearray) -> bytes:
    """The id of the ring that a record belongs to. Raises BlockFormatError as `read_record` does."""
    ring_id: bytes = _header(block)[1]
    return ring_id


def check(block: memoryview | bytes | bytearray, record: Record) -> None:
    """Raises BlockFormatError if these bytes are not (any more) that record, from beginning to end.

    The end is looked at as far as the trailer tells.
    """
    _, _, sequence, _, length, _, _, _, flags, *_ = _header(block)
    if sequence != record.sequence:
        raise BlockFormatError("another record lies here")
    if len(block) < length:
        raise BlockFormatError("record is cut off")
    if flags & FLAG_TRAILER and not is_trailer(block[length - TRAILER_SIZE : length], sequence):
        raise BlockFormatError("record was not written to its end")


def is_trailer(data: memoryview | bytes | bytearray, sequence: int) -> bool:
    """Whether these TRAILER_SIZE bytes are the trailer of the record with this sequence number."""
    return len(data) == TRAILER_SIZE and _TRAILER.unpack(data) == (TRAILER_MAGIC, sequence)


def _header(block: memoryview | bytes | bytearray) -> tuple[Any, ...]:
    """The fields of a record's header, if it is sound."""
    if len(block) < HEAD_SIZE:
        raise BlockFormatError("too short for a record")
    fields = _HEADER.unpack_from(block, PRIVATE_OFFSET)
    if fields[0] != MAGIC:
        raise BlockFormatError("no record here")
    if _CRC.unpack_from(block, _CRC_OFFSET)[0] != _checksum(block):
        raise BlockFormatError("header checksum does not match")
    length, used = fields[4:6]
    if (
        length % ALIGNMENT
        or not FIRST_PACKET_OFFSET <= used <= length
        or _LENGTH.unpack_from(block, _LENGTH_OFFSET)[0] != used
    ):
        raise BlockFormatError("header has impossible lengths")
    return fields


def _write_head(block: memoryview, ring_id: bytes, record: Record) -> None:
    """Writes header and extension, their CRCs, and (if the record has the flag) the trailer."""
    losses = record.losses
    _HEADER.pack_into(
        block,
        PRIVATE_OFFSET,
        MAGIC,
        ring_id,
        record.sequence,
        record.run,
        record.length,
        record.used,
        record.packets,
        record.port_index,
        record.flags,
        record.port_name.encode()[:PORT_NAME_SIZE],
        record.first_ns,
        record.last_ns,
        min(losses.system, COUNT_MOST),
        losses.freezes,
        min(losses.card, COUNT_MOST),
    )
    _CRC.pack_into(block, _CRC_OFFSET, _checksum(block))
    if record.boot_id:
        _EXTENSION.pack_into(
            block,
            _EXTENSION_OFFSET,
            EXTENSION_MAGIC,
            *record[10:15],
            losses.from_boot_ns,
            losses.until_boot_ns,
            *losses[3:10],
        )
        _CRC.pack_into(block, _EXTENSION_CRC_OFFSET, _extension_checksum(block))
    else:
        block[_EXTENSION_OFFSET:_EXTENSION_END] = _NO_EXTENSION
    if record.flags & FLAG_TRAILER:
        _TRAILER.pack_into(block, record.length - TRAILER_SIZE, TRAILER_MAGIC, record.sequence)


def _checksum(block: memoryview | bytes | bytearray) -> int:
    head = bytes(block[:_CRC_OFFSET])
    return zlib.crc32(head[STATUS_OFFSET + 4 :], zlib.crc32(head[:STATUS_OFFSET] + _NO_STATUS))


def _extension_checksum(block: memoryview | bytes | bytearray) -> int:
    return zlib.crc32(memoryview(block)[_CRC_OFFSET:_EXTENSION_CRC_OFFSET])
