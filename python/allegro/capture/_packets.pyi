"""Types of the C extension `_packets`; the code is in `_packets.c`.

Times are nanoseconds since 1970 (UTC), unsigned 64 bits. An index is a sorted array of 16-byte entries in
the byte order of this machine: time (u64), offset of the packet's struct tpacket3_hdr in its block (u32),
flags (u32).
"""

from collections.abc import Sequence
from typing import Final, TypeVar, type_check_only

from typing_extensions import Buffer

_Record = TypeVar("_Record", bound=tuple[object, ...])

class BlockError(ValueError):
    """A block is torn, damaged or no block at all. `args`: what is wrong (str), offset in the block (int)."""

ENTRY_SIZE: Final[int]
"""Bytes of an index per packet."""

FLAG_LARGE: Final[int]
"""Flag in an index: larger than the wire takes, as a virtual machine's host left it (TP_STATUS_GSO_TCP)."""

FLAG_UNFINISHED: Final[int]
"""Flag in an index: its checksum is not computed yet (TP_STATUS_CSUMNOTREADY)."""

LARGEST_OVERHEAD: Final[int]
"""How much longer than the captured bytes an Enhanced Packet Block can be."""

def scan_all(
    buffer: Buffer, places: Sequence[tuple[int, int, int, int] | tuple[int, int, int, int, int]], /
) -> tuple[bytes, list[int]]:
    """Walks the packets of TPACKET_V3 blocks in one buffer: a place is (offset of the block, its size,
    earliest_ns, latest_ns; the last two of 64 bits without sign), or with the number of packets as a fifth
    that of some neighbours in a block: they begin there and lie in these bytes, behind which the next one
    begins or the block ends.

    Returns one index of the packets of all sound places, sorted by time (equal times: by offset), whose
    offsets count from the beginning of the buffer, which takes the place of the block for `emit` and `match`;
    and the numbers of the other places: where something points outside or contradicts the rest, or the time
    of a packet is not within the two that are given. Then a part of the block is left from what lay there
    before (a torn write).

    Raises ValueError if a place lies outside of the buffer, or the buffer is of 4 GiB or more; OverflowError
    if a number is negative or above 64 bits.
    """

def plain_records(
    data: Buffer,
    position: int,
    most: int,
    least_sequence: int,
    least_offset: int,
    kind: type[_Record],
    boot_id: bytes,
    losses: object,
    segment: object,
    /,
) -> list[_Record]:
    """The records of the plain entries of an index from `position` on, at most so many: one for each entry
    up to the first that is something else (damaged, of another kind, of version 0.1.0, with losses or a step
    of the clock, of an earlier number or offset than these), at which `allegro.capture.ring.index` looks.

    `kind` is Record; the others are what its fields of these names get, `boot_id` where the entry knows it.
    """

def sound_places(
    buffer: Buffer, at: int, records: list[_Record], begin: int, slack_ns: int, head_only: bool = ..., /
) -> list[tuple[int, int, int, int] | None]:
    """Where records lie that were read into `buffer` from `at` on, the first byte there being byte `begin` of
    the file: for each a place as `scan_all` takes it, with times that reach `slack_ns` further than the
    record's. None for what is not, or not whole, the record (`allegro.capture.ring.record.check`); with
    `head_only` their ends are not looked at.

    Raises ValueError if a record lies outside of the buffer.
    """

def emit(
    sources: Sequence[tuple[Buffer, Buffer, int, int, int]],
    start_ns: int,
    end_ns: int,
    out: Buffer,
    used: int,
    most: int = ...,
    classic: bool = ...,
    /,
) -> tuple[int, bool, int, int, tuple[tuple[int, int, int, int, int, int, int], ...]]:
    """Merges blocks by their moments on one time line; writes pcapng Enhanced Packet Blocks.

    A source is (block, its index from `scan_all`, number of the entry to go on with, interface number in the
    file, shift_ns). A packet's moment is its stamp minus the shift, so that blocks whose stamps come from
    clocks set differently are merged in the order in which they came in; the stamp itself is written. Packets
    with start_ns <= moment <= end_ns are written to `out` from offset `used` on, until none is left or the
    next one does not fit. Equal moments come in the order of the sources. A VLAN tag that the kernel took out
    is put back; a TCP or UDP checksum that the sender left to its card (TP_STATUS_CSUMNOTREADY) is completed
    where the frame is whole and its headers say where. Of each packet `most` bytes are kept (0: all), its
    length on the wire stays. `classic`: what is written are the records of a pcap file with nanoseconds,
    which know no interface.

    Returns (used, done, first_ns, last_ns, progress): the new fill of `out`; whether all packets up to
    `end_ns` are written; stamps of the first and last packet written by this call (0 if none); and per source
    (number of the entry to go on with, packets written, their bytes on the wire, how many of them the
    sender's offload made of several (TP_STATUS_GSO_TCP), came without checksum, have it now, and have less
    bytes than on the wire).

    Raises BlockError if a block does not hold what its index says, ValueError if an argument is out of range,
    OverflowError if a time or shift exceeds 64 bits with sign.
    """

@type_check_only
class Rows:
    """Filters that `rows` has made ready; a handle, which threads may share."""

def rows(programs: Sequence[Buffer], /) -> Rows:
    """Makes filters ready for `match` and `matching_parts`. They are programs of `allegro.filters`; those
    that need certain values (addresses, ports, VLANs …) run only on packets that have one of them.

    Raises ValueError for a program that is broken.
    """

def match(
    block: Buffer, index: Buffer, start_ns: int, end_ns: int, shift_ns: int, rows: Rows, /
) -> tuple[int, tuple[bytes, ...]]:
    """Looks which packets of a block filters let through: one walk for all of them.

    `index` is from `scan_all`, `rows` are for the interface that the block is of;
    start_ns <= moment <= end_ns is the window, and a moment a stamp minus the shift, as for `emit`.

    Returns how many packets lie in the window, and for each row the index of those that it lets through,
    in the order of `index`.

    Raises BlockError if a block does not hold what its index says, ValueError for an index that is broken or
    what are no rows, OverflowError if a time or shift exceeds 64 bits with sign.
    """

def matching_parts(rows: Rows, summary: Buffer, /) -> list[tuple[int, int, int]] | None:
    """Where in a record packets may be that match one of the rows, where no more than its summary is known:
    parts of its block (where the first packet begins, where the last one ends, how many they are), one behind
    the other with something between. None: anywhere.

    That there are none elsewhere is certain, for packets of the interface that the rows are for. With an
    empty summary nothing is known of the packets; what the rows themselves say (no packet of this interface)
    still holds.

    Raises ValueError for a summary that is broken, or what are no rows.
    """

def summarize(block: Buffer, room: int, /) -> bytes:
    """What the packets of a TPACKET_V3 block hold, in at most `room` bytes: addresses, ports, VLANs,
    protocols, MPLS labels, VXLAN networks. Few values are listed; many are in a bloom filter, or left out if
    even that has no room for them. Of a large block it tells which of its parts has what, if there is room.

    Empty if nothing can be told in so few bytes, or if the block is torn or damaged.
    """

def listed(
    summary: Buffer, /
) -> tuple[
    tuple[int, ...] | None,
    tuple[int, ...] | None,
    tuple[int, ...] | None,
    tuple[int, ...] | None,
    tuple[int, ...] | None,
    tuple[int, ...] | None,
    tuple[int, ...] | None,
    tuple[int, ...] | None,
]:
    """The values that a summary lists, ascending: IPv4 addresses as numbers, hashes of IPv6 addresses and of
    MAC addresses, ports, VLANs, protocols, MPLS labels, VXLAN networks. None: not listed, as there are too
    many, or not known.

    Raises ValueError for a summary that is broken.
    """
