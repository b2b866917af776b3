"""Records listed and checked by the C extension, many at once: it says what `ring.index` and `ring.record`
say one by one, whatever is damaged."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allegro.capture import _packets
from allegro.capture.ring import index
from allegro.capture.ring import record as blocks
from allegro.capture.ring.index import Packer, Progress
from allegro.capture.ring.losses import NO_LOSSES, Losses
from allegro.capture.ring.record import NOWHERE, BlockFormatError, Record, Times
from tests.unit.capture.blocks import Frame, block

RING = bytes(range(16))
T = 1_700_000_000_000_000_000
BOOTS = (bytes(range(16)), bytes(range(1, 17)))


def listed(count: int) -> list[Record]:
    """Mostly plain ones of ten ports; now and then losses, a step of the clock, another start, or none."""
    found = []
    for number in range(count):
        first, boot = T + number * 10**8, 10**12 + number * 10**8
        times = Times(BOOTS[number % 7 > 5], boot, boot + 9 * 10**7, first - boot, 0)
        if number % 11 == 10:
            times = times._replace(last_boot_ns=boot + 10**7, step_ns=8 * 10**7)
        if number % 13 == 12:
            times = Times()
        record = Record(
            sequence=number * 2 + 1,
            run=T + number // 40,
            length=4096,
            used=300,
            packets=number % 5,
            port_index=number % 10,
            flags=number % 2,
            port_name=f"port{number % 10}" if number % 10 else "p\xf6rt of 16 byte",
            first_ns=first,
            last_ns=first + 9 * 10**7,
            losses=Losses(drops=number) if number % 17 == 16 else NO_LOSSES,
            offset=number * 4096,
            segment=NOWHERE,
        )._replace(**times._asdict())
        found.append(record)
    return found


def one_by_one(data: bytes) -> list[Record]:
    return list(index.parse_on(data, NOWHERE, Progress()))


@pytest.mark.spec("R5", "R11")
def test_an_index_of_many_records_says_what_its_entries_say_one_by_one() -> None:
    known = listed(1000)
    data = b"".join(map(Packer().pack, known))
    assert list(index.parse(data)) == one_by_one(data) == known
    assert {type(record) for record in index.parse(data)} == {Record}
    plain = [record for record in known if record.losses is NO_LOSSES and not record.step_ns]
    for found in index.parse_lists(b"".join(map(Packer().pack, plain))):
        assert len(found) == 256 or found[-1] == plain[-1] or len({one.boot_id for one in found}) < 3


def test_entries_of_version_0_1_0_and_a_summary_are_left_to_the_slow_way() -> None:
    packer = Packer()
    data = b"".join(map(packer.pack, listed(5)))
    old = bytearray(data[-index.ENTRY_SIZE :])
    old[8:16] = struct.pack("<Q", 99)
    old[24:28] = struct.pack("<I", 99 * 4096)
    old[:4] = zlib.crc32(old[4:]).to_bytes(4, "little")
    data += bytes(old) + packer.pack_summary(index.Summary())
    assert len(one_by_one(data)) == 6
    assert list(index.parse(data)) == one_by_one(data)


@pytest.mark.spec("R2")
@given(st.integers(0, 12 * 96 - 1), st.integers(0, 7), st.booleans())
def test_a_damaged_index_ends_at_the_same_place(place: int, bit: int, sealed: bool) -> None:
    data = bytearray(b"".join(map(Packer().pack, listed(10))))
    place %= len(data)
    data[place] ^= 1 << bit
    begin = place // 96 * 96
    if sealed:  # made by somebody who knows the checksum
        data[begin : begin + 4] = zlib.crc32(data[begin + 4 : begin + 96], 0xA11E6202).to_bytes(4, "little")
    assert list(index.parse(bytes(data))) == one_by_one(bytes(data))


def test_what_lies_where_no_index_is_gives_nothing() -> None:
    for data in (b"", bytes(95), bytes(960), b"\1" * 960):
        assert list(index.parse(data)) == []
    arguments = (256, 0, 0, Record, b"", NO_LOSSES, NOWHERE)
    data = Packer().pack(listed(1)[0]._replace(boot_id=b""))
    for position in (-1, -96, 1, 96, 1 << 40):
        assert _packets.plain_records(data, position, *arguments) == []
    with pytest.raises(TypeError, match="a record is a tuple"):
        _packets.plain_records(data, 0, 256, 0, 0, dict, b"", NO_LOSSES, NOWHERE)  # type: ignore[type-var]


def run_of(*frames: int) -> tuple[bytearray, list[Record]]:
    """Records one behind the other, of so many packets each, in a file from byte 8192 on."""
    data, records = bytearray(), list[Record]()
    for number, count in enumerate(frames):
        image = block([Frame(T + at, bytes(60)) for at in range(count)], size=1 << 16)
        made = blocks.seal(memoryview(image), RING, 70 + number, 5, 3, "port3")
        records.append(made._replace(offset=8192 + len(data)))
        data += image[: made.length]
    return data, records


def is_sound(data: bytearray, record: Record) -> bool:
    begin = record.offset - 8192
    try:
        blocks.check(data[begin : begin + record.length], record)
    except BlockFormatError:
        return False
    return True


@pytest.mark.spec("R2")
def test_records_that_were_read_have_their_places() -> None:
    data, records = run_of(1, 40, 0, 3)
    before = bytes(4096)
    places = _packets.sound_places(before + data, 4096, records, 8192, 7)
    assert places == [
        (4096 + one.offset - 8192, one.used, max(one.first_ns - 7, 0), one.last_ns + 7) for one in records
    ]
    assert _packets.sound_places(data, 0, records[1:], records[1].offset, 0)[0] is None  # shifted
    assert _packets.sound_places(data, 0, [records[0]._replace(sequence=71)], 8192, 0) == [None]
    # An index that says more than is there costs the record, not the capture.
    assert _packets.sound_places(data, 0, [records[-1]._replace(used=1 << 20)], 8192, 0) == [None]
    early = records[0]._replace(first_ns=3, last_ns=(1 << 64) - 3)
    assert _packets.sound_places(data, 0, [early], 8192, 7) == [(0, early.used, 0, (1 << 64) - 1)]


@pytest.mark.spec("R2")
@given(st.integers(0, 3), st.sampled_from([*range(256), *range(4080, 4096)]), st.integers(0, 7))
def test_a_record_is_damaged_for_both(number: int, place: int, bit: int) -> None:
    data, records = run_of(1, 40, 0, 3)
    end = records[number].offset - 8192 + records[number].length
    at = records[number].offset - 8192 + place if place < 256 else end - 4096 + place
    data[at] ^= 1 << bit
    places = _packets.sound_places(data, 0, records, 8192, 0)
    assert [place is not None for place in places] == [is_sound(data, one) for one in records]


def test_records_outside_of_the_buffer_are_refused() -> None:
    data, (record,) = run_of(1)
    for outside in (
        record._replace(offset=8192 + len(data)),
        record._replace(offset=8191),
        record._replace(length=len(data) + 4096),
        record._replace(offset=(1 << 64) - 1),
    ):
        with pytest.raises(ValueError, match="outside the buffer"):
            _packets.sound_places(data, 0, [outside], 8192, 0)
    for at in (-1, len(data) + 1):
        with pytest.raises(ValueError, match="outside the buffer"):
            _packets.sound_places(data, at, [record], 8192, 0)
    with pytest.raises(OverflowError):
        _packets.sound_places(data, 0, [record._replace(sequence=-1)], 8192, 0)
    with pytest.raises(TypeError, match="a record is a tuple"):
        _packets.sound_places(data, 0, [5], 8192, 0)  # type: ignore[type-var]
