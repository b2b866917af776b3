from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allegro.capture.ring import record as blocks
from allegro.capture.ring.losses import Losses
from allegro.capture.ring.record import BlockFormatError, Times
from tests.unit.capture.blocks import Frame, block

RING = bytes(range(16))
FRAMES = [Frame(1_700_000_000_000_000_123, b"a" * 60), Frame(1_700_000_000_000_000_456, b"b" * 1514)]


def sealed(frames: list[Frame] = FRAMES, losses: Losses = Losses()) -> tuple[bytearray, blocks.Record]:  # noqa: B008
    image = block(frames, size=1 << 16)
    return image, blocks.seal(memoryview(image), RING, 77, 5, 3, "port3", losses)


@pytest.mark.spec("R1", "R5")
def test_a_record_says_what_it_holds() -> None:
    image, header = sealed(losses=Losses(7, 8, 9))
    assert blocks.read_record(bytes(image)) == header
    assert (blocks.ring_id_of(image), header.sequence, header.run) == (RING, 77, 5)
    assert (header.port_index, header.port_name, header.packets) == (3, "port3", 2)
    assert (header.first_ns, header.last_ns) == (FRAMES[0].time_ns, FRAMES[1].time_ns)
    assert (header.drops, header.losses.freezes, header.nic_missed) == (7, 8, 9)
    assert header.length == 4096
    assert header.used < header.length
    blocks.check(image[: header.length], header)


def test_packets_stay_untouched() -> None:
    before = block(FRAMES, size=1 << 16)
    after, header = sealed()
    packets = slice(blocks.FIRST_PACKET_OFFSET, header.used)
    assert after[packets] == before[packets]
    assert after[: blocks.PRIVATE_OFFSET] == before[: blocks.PRIVATE_OFFSET]


def test_a_block_filled_to_the_last_byte_has_no_trailer() -> None:
    # 256 bytes before the packets, 82 before each frame: 4096 - 256 = 3840 in one packet.
    image, header = sealed([Frame(1, bytes(3840 - 82))])
    assert header.used == header.length == 4096
    assert not header.flags & blocks.FLAG_TRAILER
    blocks.check(image, header)


def test_first_and_last_are_in_order_even_if_the_packets_are_not() -> None:
    _, header = sealed([Frame(2_000, b"x" * 60), Frame(1_000, b"x" * 60)])
    assert header.first_ns == 1_000
    assert header.last_ns == 2_000


def test_the_status_word_may_change() -> None:
    image, header = sealed()
    blocks.release(memoryview(image))
    assert not blocks.is_ready(image)
    assert blocks.read_record(image) == header


@pytest.mark.spec("R2")
@given(st.integers(0, 48 + 104 - 1), st.integers(1, 255))
def test_every_changed_byte_of_the_header_is_noticed(place: int, change: int) -> None:
    image, _ = sealed()
    image[place] ^= change
    status_word = range(blocks.STATUS_OFFSET, blocks.STATUS_OFFSET + 4)
    if place in status_word:
        blocks.read_record(image)
    else:
        with pytest.raises(BlockFormatError):
            blocks.read_record(image)


@pytest.mark.spec("R2")
@given(st.binary(max_size=600))
def test_garbage_is_refused_with_the_one_error(data: bytes) -> None:
    with pytest.raises(BlockFormatError):
        blocks.read_record(data)


@given(st.binary(min_size=256, max_size=600))
def test_a_damaged_descriptor_is_refused_or_sealed_within_the_block(data: bytes) -> None:
    with contextlib.suppress(BlockFormatError):
        header = blocks.seal(memoryview(bytearray(data)), RING, 1, 1, 1, "port1")
        assert header.used <= len(data)


@pytest.mark.spec("R2")
def test_a_torn_record_is_noticed_by_its_trailer() -> None:
    image, header = sealed([Frame(1_000 + number, bytes(1514)) for number in range(20)])
    image[header.length - 4096 : header.length] = bytes(4096)
    with pytest.raises(BlockFormatError, match="end"):
        blocks.check(image, header)
    with pytest.raises(BlockFormatError, match="cut off"):
        blocks.check(image[: header.length - 1], header)


def test_counts_too_large_for_their_field_are_held_at_the_largest() -> None:
    _, header = sealed(losses=Losses(1 << 40, 0, 0))
    assert header.drops == (1 << 32) - 1


TIMES = Times(bytes(range(100, 116)), 5_000, 5_333, 1_700_000_000_000_000_123 - 5_000, 0)
KINDS = Losses(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 4_000, 5_000)


@pytest.mark.spec("R9", "R12")
def test_a_record_knows_the_clock_that_nobody_sets_and_each_kind_of_loss() -> None:
    image = block(FRAMES, size=1 << 16)
    sealed_as = blocks.seal(memoryview(image), RING, 77, 5, 3, "port3", KINDS, TIMES)
    found = blocks.read_record(image, RING)
    assert found == sealed_as
    assert found.losses == KINDS
    assert (KINDS.system, KINDS.card, KINDS.refused) == (1 + 9 + 10, 3 + 4 + 5, 7 + 8)
    assert (found.boot_id, found.first_boot_ns, found.last_boot_ns) == TIMES[:3]
    assert found.first_boot_ns + found.wall_offset_ns == FRAMES[0].time_ns
    with pytest.raises(BlockFormatError, match="another ring"):
        blocks.read_record(image, bytes(16))


@pytest.mark.spec("R5", "U7")
def test_version_0_1_0_reads_all_losses_from_what_it_knows() -> None:
    """Its header ends at byte 152: the three numbers before the checksum are what it counts."""
    image = block(FRAMES, size=1 << 16)
    blocks.seal(memoryview(image), RING, 77, 5, 3, "port3", KINDS, TIMES)
    assert struct.unpack_from("<III", image, 136) == (KINDS.system, KINDS.freezes, KINDS.card)
    image[152:256] = bytes(104)  # and what it writes is read as it is
    found = blocks.read_record(image)
    assert (found.boot_id, found.first_boot_ns) == (b"", 0)
    assert found.losses == Losses(KINDS.system, KINDS.freezes, KINDS.card)


@pytest.mark.spec("R2")
@given(st.integers(152, 251), st.integers(1, 255))
def test_an_extension_with_a_changed_byte_is_not_believed(place: int, change: int) -> None:
    image = block(FRAMES, size=1 << 16)
    blocks.seal(memoryview(image), RING, 77, 5, 3, "port3", KINDS, TIMES)
    image[place] ^= change
    assert blocks.read_record(image).boot_id == b""


def test_what_an_earlier_use_of_the_memory_left_is_not_taken_for_an_extension() -> None:
    image = block(FRAMES, size=1 << 16)
    blocks.seal(memoryview(image), RING, 77, 5, 3, "port3", KINDS, TIMES)
    blocks.seal(memoryview(image), RING, 78, 5, 3, "port3")
    assert blocks.read_record(image).boot_id == b""
    assert blocks.read_record(image).losses == Losses()


def test_losses_are_added_up_with_their_times() -> None:
    assert KINDS.plus(Losses()) == KINDS
    assert Losses(drops=1, from_boot_ns=9, until_boot_ns=9).plus(KINDS)[:3] == (2, 2, 3)
    assert Losses(drops=1, from_boot_ns=9, until_boot_ns=9_000).plus(KINDS)[-2:] == (9, 9_000)
