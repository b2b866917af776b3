from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allegro.capture import blocks
from allegro.capture.blocks import BlockFormatError, Losses
from tests.unit.capture.blocks import Frame, block

RING = bytes(range(16))
FRAMES = [Frame(1_700_000_000_000_000_123, b"a" * 60), Frame(1_700_000_000_000_000_456, b"b" * 1514)]


def sealed(frames: list[Frame] = FRAMES, losses: Losses = Losses()) -> tuple[bytearray, blocks.RecordHeader]:  # noqa: B008
    image = block(frames, size=1 << 16)
    return image, blocks.seal(memoryview(image), RING, 77, 5, 3, "port3", losses)


@pytest.mark.spec("R1", "R5")
def test_a_record_says_what_it_holds() -> None:
    image, header = sealed(losses=Losses(7, 8, 9))
    assert blocks.read_header(bytes(image)) == header
    assert (header.ring_id, header.sequence, header.run) == (RING, 77, 5)
    assert (header.port_index, header.port_name, header.packets) == (3, "port3", 2)
    assert (header.first_ns, header.last_ns) == (FRAMES[0].time_ns, FRAMES[1].time_ns)
    assert (header.drops, header.freezes, header.nic_missed) == (7, 8, 9)
    assert header.length == 4096
    assert header.used < header.length
    blocks.check_complete(image[: header.length], header)


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
    blocks.check_complete(image, header)


def test_first_and_last_are_in_order_even_if_the_packets_are_not() -> None:
    _, header = sealed([Frame(2_000, b"x" * 60), Frame(1_000, b"x" * 60)])
    assert header.first_ns == 1_000
    assert header.last_ns == 2_000


def test_the_status_word_may_change() -> None:
    image, header = sealed()
    blocks.release(memoryview(image))
    assert not blocks.is_ready(image)
    assert blocks.read_header(image) == header


@pytest.mark.spec("R2")
@given(st.integers(0, blocks.RECORD_HEADER_END - 1), st.integers(1, 255))
def test_every_changed_byte_of_the_header_is_noticed(place: int, change: int) -> None:
    image, _ = sealed()
    image[place] ^= change
    status_word = range(blocks.STATUS_OFFSET, blocks.STATUS_OFFSET + 4)
    if place in status_word:
        blocks.read_header(image)
    else:
        with pytest.raises(BlockFormatError):
            blocks.read_header(image)


@pytest.mark.spec("R2")
@given(st.binary(max_size=600))
def test_garbage_is_refused_with_the_one_error(data: bytes) -> None:
    with pytest.raises(BlockFormatError):
        blocks.read_header(data)


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
        blocks.check_complete(image, header)
    with pytest.raises(BlockFormatError, match="cut off"):
        blocks.check_complete(image[: header.length - 1], header)


def test_counts_too_large_for_their_field_are_held_at_the_largest() -> None:
    _, header = sealed(losses=Losses(1 << 40, 0, 0))
    assert header.drops == (1 << 32) - 1
