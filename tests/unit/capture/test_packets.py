from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allegro.capture import _packets
from tests.unit.capture import pcapng_reader
from tests.unit.capture.blocks import NS, Frame, block, index_of, is_sound

ALL = (-(2**63), 2**63 - 1)
T = 1_763_762_605 * NS + 999_999_000
PREFIX = bytes.fromhex("0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000")
INTERFACE = bytes.fromhex("01000000200000000100000000000000090001000900000000000000" + "20000000")


def frame(time_ns: int, number: int = 0, length: int = 60, **more: int | None) -> Frame:
    data = struct.pack(">6s6sHI", b"\x02" * 6, b"\x04" * 6, 0x88B5, number) + bytes(range(256)) * 6
    return Frame(time_ns, data[:length], **more)  # type: ignore[arg-type]


def packets_of(out: bytes | bytearray, interfaces: int = 4) -> list[pcapng_reader.Packet]:
    return pcapng_reader.read(PREFIX + INTERFACE * interfaces + bytes(out)).packets


def entries(index: bytes) -> list[tuple[int, int]]:
    return [(time_ns, offset) for time_ns, offset, _ in struct.iter_unpack("<QII", index)]


def emit_all(
    blocks: list[bytes | bytearray], start_ns: int = 0, end_ns: int = ALL[1], room: int = 1 << 20
) -> bytes:
    """Everything in the window, the output buffer filled as often as necessary."""
    indexes = [index_of(image) for image in blocks]
    positions = [0] * len(blocks)
    result = b""
    while True:
        out = bytearray(room)
        sources = [
            (image, index, position, number, 0)
            for number, (image, index, position) in enumerate(zip(blocks, indexes, positions, strict=True))
        ]
        used, done, _, _, progress = _packets.emit(sources, start_ns, end_ns, out, 0)
        result += out[:used]
        positions = [position for position, *_ in progress]
        if done:
            return result


def test_scan_gives_time_and_place_of_every_packet() -> None:
    frames = [frame(T + number, number) for number in range(100)]
    index = index_of(block(frames))
    assert [time_ns for time_ns, _ in entries(index)] == [one.time_ns for one in frames]
    assert [offset for _, offset in entries(index)] == [256 + 144 * number for number in range(100)]


def test_scan_sorts_by_time_and_keeps_the_order_of_equal_times() -> None:
    times = [5, 3, 9, 3, 5, 1]
    index = index_of(block([frame(T + time) for time in times]))
    assert entries(index) == sorted((T + time, 256 + 144 * number) for number, time in enumerate(times))


@pytest.mark.spec("R2")
def test_a_page_with_packets_of_an_older_lap_is_noticed_by_their_times() -> None:
    """Frames of one length, as with calls: every page of the block before could be one of this block."""
    older = block([frame(T - 3600 * NS + number, 9000 + number, 200) for number in range(400)])
    image = block([frame(T + number, number, 200) for number in range(400)])
    bounds = (T - NS // 2, T + 400 + NS // 2)
    assert is_sound(image, *bounds)
    image[5 * 4096 : 9 * 4096] = older[5 * 4096 : 9 * 4096]
    assert len(index_of(image)) == 400 * _packets.ENTRY_SIZE
    assert not is_sound(image, *bounds)


def test_the_bounds_of_time_belong_to_the_record() -> None:
    image = block([frame(T), frame(T + 5)])
    assert is_sound(image, T, T + 5)
    for bounds in ((T + 1, T + 5), (T, T + 4)):
        assert not is_sound(image, *bounds)
    for bounds in ((-1, 5), (0, 2**64)):
        with pytest.raises(OverflowError):
            is_sound(image, *bounds)


Place = tuple[int, int, int, int]


def laid_out(blocks: list[bytearray]) -> tuple[bytearray, list[Place]]:
    """Blocks in one buffer, at some distance from each other."""
    buffer, places = bytearray(), list[Place]()
    for image in blocks:
        buffer += bytes(100)
        places.append((len(buffer), len(image), 0, 2**64 - 1))
        buffer += image
    return buffer, places


@pytest.mark.spec("T6")
@pytest.mark.parametrize("times", [([1, 2], [3], [], [4, 9]), ([5, 3], [4, 4, 1], [4])])
def test_several_blocks_have_one_index_by_which_they_come_out_as_one_by_one(
    times: tuple[list[int], ...],
) -> None:
    blocks = [
        block([frame(T + time, 10 * number + time) for time in of_block], size=4096)
        for number, of_block in enumerate(times)
    ]
    buffer, places = laid_out(blocks)
    index, damaged = _packets.scan_all(buffer, places)
    assert damaged == []
    assert entries(index) == sorted(
        (time_ns, place[0] + offset)
        for image, place in zip(blocks, places, strict=True)
        for time_ns, offset in entries(index_of(image))
    )
    out = bytearray(1 << 16)
    used, done, *_ = _packets.emit([(buffer, index, 0, 0, 0)], *ALL, out, 0)
    assert done
    assert [one.data for one in packets_of(out[:used])] == [
        one.data for one in packets_of(emit_all([*blocks]))
    ]


@pytest.mark.spec("R2")
def test_a_damaged_block_costs_no_other_one() -> None:
    blocks = [block([frame(T + number, number)], size=4096) for number in range(6)]
    blocks[0][0] = 9
    blocks[3][256 + 24 : 256 + 26] = b"\xff\xff"
    buffer, places = laid_out(blocks)
    places[5] = (*places[5][:2], T, T + 4)
    index, damaged = _packets.scan_all(buffer, places)
    assert damaged == [0, 3, 5]
    assert [time_ns - T for time_ns, _ in entries(index)] == [1, 2, 4]


def test_places_outside_of_the_buffer_are_refused() -> None:
    for place in ((0, 4097), (4097, 0), (-1, 5), (5, -1), (4000, 97)):
        with pytest.raises(ValueError, match="outside the buffer"):
            _packets.scan_all(bytes(4096), [(*place, 0, 9)])
    for wrong in ([5], 5, [(1, 2, 3)]):
        with pytest.raises(TypeError):
            _packets.scan_all(bytes(4096), wrong)  # type: ignore[arg-type]
    assert _packets.scan_all(b"", []) == (b"", [])


@pytest.mark.spec("T9")
def test_frames_as_a_virtual_machines_host_made_them_are_marked() -> None:
    frames = [frame(T), frame(T + 1, status=1 << 3), frame(T + 2, status=1 << 8), frame(T + 3, status=1 << 7)]
    index = index_of(block([*frames, frame(T + 4, status=1 << 3 | 1 << 8)]))
    large, unfinished = _packets.FLAG_LARGE, _packets.FLAG_UNFINISHED
    flags = [flags for _, _, flags in struct.iter_unpack("<QII", index)]
    assert flags == [0, unfinished, large, 0, large | unfinished]


def test_an_empty_block_has_an_empty_index() -> None:
    assert index_of(block([])) == b""


@pytest.mark.spec("R1")
@pytest.mark.parametrize("length", [0, 1, 13, 14, 60, 61, 62, 63, 1514])
def test_packets_come_out_as_they_went_in(length: int) -> None:
    sent = [frame(T + number, number, length) for number in range(5)]
    got = packets_of(emit_all([block(sent)]))
    assert [(one.time_ns, one.data, one.wire, one.interface) for one in got] == [
        (one.time_ns, one.data, length, 0) for one in sent
    ]


@pytest.mark.spec("R1")
@pytest.mark.parametrize("tpid", [0x8100, 0x88A8, None])
@pytest.mark.parametrize("tci", [0, 1, 0x0FFF, 0xE123])
def test_a_stripped_vlan_tag_is_put_back(tci: int, tpid: int | None) -> None:
    sent = frame(T, 7, 62, tci=tci, tpid=tpid)
    (got,) = packets_of(emit_all([block([sent])]))
    assert got.data == sent.sent
    assert got.wire == 66
    assert got.data[12:16] == struct.pack(">HH", tpid or 0x8100, tci)


@pytest.mark.spec("R1", "R3")
def test_a_tagged_packet_that_was_cut_short() -> None:
    behind = frame(T, 0, 20, tci=5, wire=1500)
    within = frame(T + 1, 0, 11, tci=5, wire=1500)
    first, second = packets_of(emit_all([block([behind, within])]))
    assert (first.data, first.wire) == (behind.sent, 1504)
    assert (second.data, second.wire) == (within.data, 1504)


@pytest.mark.spec("T3")
def test_the_window_is_exact_to_the_nanosecond() -> None:
    image = block([frame(T + number) for number in range(10)])
    got = packets_of(emit_all([image], T + 3, T + 6))
    assert [one.time_ns - T for one in got] == [3, 4, 5, 6]
    assert packets_of(emit_all([image], T + 10)) == []
    assert packets_of(emit_all([image], 0, T - 1)) == []


@given(
    times=st.lists(st.lists(st.integers(0, 50), max_size=40), max_size=7),
    start=st.integers(0, 50),
    length=st.integers(0, 50),
    room=st.integers(96, 400),
)
def test_a_merge_is_the_sorted_sum_of_its_sources(
    times: list[list[int]], start: int, length: int, room: int
) -> None:
    images = [block([frame(T + time, place) for place, time in enumerate(one)], size=8192) for one in times]
    expected = sorted(
        (T + time, source, place)
        for source, one in enumerate(times)
        for place, time in enumerate(one)
        if start <= time <= start + length
    )
    got = packets_of(emit_all(list(images), T + start, T + start + length, room), interfaces=7)
    assert [(one.time_ns, one.interface, int.from_bytes(one.data[14:18])) for one in got] == expected


@pytest.mark.spec("R9")
def test_stamps_of_clocks_set_differently_are_merged_by_moments() -> None:
    """Set back by 5 s between the first and the second block: an answer does not come before its question."""
    before = block([frame(T + 10 * NS + number, number) for number in range(3)])
    after = block([frame(T + 5 * NS + number, 3 + number) for number in range(3)])
    sources = [
        (image, index_of(image), 0, 0, shift) for image, shift in ((after, T), (before, T + 5 * NS + 3))
    ]
    out = bytearray(4096)
    used, _, first, last, _ = _packets.emit(sources, 5 * NS - 2, 5 * NS + 1, out, 0)
    got = packets_of(out[:used])
    assert [int.from_bytes(one.data[14:18]) for one in got] == [1, 2, 3, 4]
    assert [one.time_ns for one in got] == [T + 10 * NS + 1, T + 10 * NS + 2, T + 5 * NS, T + 5 * NS + 1]
    assert (first, last) == (got[0].time_ns, got[3].time_ns)


def l3(version: int, protocol: int, payload: bytes, options: bytes = b"", **more: int) -> bytes:
    """An IP packet; `options` are IPv4 options or IPv6 extension headers with their next-header chain."""
    if version == 4:
        total = more.get("total", 20 + len(options) + len(payload))
        head = (0x45 + len(options) // 4, 0, total, 1, more.get("fragment", 0), 64, protocol, 0)
        return struct.pack(">BBHHHBBH4s4s", *head, b"\x0a\0\0\1", b"\xc0\xa8\0\2") + options + payload
    following = more.get("following", protocol)
    total = more.get("total", len(options) + len(payload))
    return (
        struct.pack(">IHBB16s16s", 6 << 28, total, following, 64, b"\xfe" * 16, b"\x20" * 16)
        + options
        + payload
    )


TCP_HEAD = struct.pack(">HHIIBBHHH", 1000, 2000, 1, 2, 0x50, 0x10, 1000, 0x1234, 0)
UDP_HEAD = struct.pack(">HHHH", 53, 2000, 11, 0x1234)
MACS = b"\x02\0\0\0\0\2" + b"\x02\0\0\0\0\1"
UNFINISHED, LARGE = 1 << 3, 1 << 8


def ones_complement(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def emitted(frames: list[Frame]) -> tuple[list[bytes], tuple[int, int, int]]:
    """The frames as written, and how many were large, came unfinished, were completed."""
    image = block(frames)
    out = bytearray(1 << 20)
    used, done, _, _, ((_, _, _, *counts),) = _packets.emit([(image, index_of(image), 0, 0, 0)], *ALL, out, 0)
    assert done
    large, unfinished, completed, shortened = counts
    assert shortened == sum(bool(one.wire) for one in frames)
    return [one.data for one in packets_of(out[:used])], (large, unfinished, completed)


@pytest.mark.spec("T9")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", [6, 17])
@pytest.mark.parametrize("tags", [b"", b"\x81\0\0\5", b"\x88\xa8\0\5\x81\0\0\6"])
@pytest.mark.parametrize("tail", [b"", b"x", b"xyz" * 400, bytes(5)])
def test_a_checksum_left_to_the_card_is_completed(
    version: int, protocol: int, tags: bytes, tail: bytes
) -> None:
    payload = (TCP_HEAD if protocol == 6 else UDP_HEAD) + tail
    options = b"" if version == 4 else b"\x3c" + bytes(7) + bytes([protocol, 0]) + bytes(6)
    packet = l3(version, protocol, payload, options, **({"following": 0} if version == 6 else {}))
    sent = MACS + tags + (b"\x08\0" if version == 4 else b"\x86\xdd") + packet + b"pad"
    (got,), counts = emitted([Frame(T, sent, status=UNFINISHED)])
    assert counts == (0, 1, 1)
    field = 16 if protocol == 6 else 6
    start = len(sent) - 3 - len(payload)
    assert (
        got[: start + field] + got[start + field + 2 :] == sent[: start + field] + sent[start + field + 2 :]
    )
    addresses = packet[12:20] if version == 4 else packet[8:40]
    pseudo = addresses + struct.pack(">II", protocol, len(payload))
    assert ones_complement(pseudo + got[start:-3]) == 0xFFFF


@pytest.mark.spec("T9")
@pytest.mark.parametrize(
    "sent",
    [
        b"\x08\0" + l3(4, 6, TCP_HEAD, fragment=0x2000),
        b"\x08\0" + l3(4, 6, TCP_HEAD, fragment=7),
        b"\x08\0" + l3(4, 6, TCP_HEAD, total=60),
        b"\x08\0" + l3(4, 6, TCP_HEAD, total=10),
        b"\x08\0" + l3(4, 6, TCP_HEAD[:19]),
        b"\x08\0" + l3(4, 1, TCP_HEAD),
        b"\x86\xdd" + l3(6, 44, TCP_HEAD),
        b"\x86\xdd" + l3(6, 6, TCP_HEAD, b"\6\xff" + bytes(6), following=0),
        b"\x86\xdd" + l3(6, 6, TCP_HEAD, total=60),
        b"\x08\6" + bytes(40),
        b"\x08\0",
        b"\x81\0",
        b"\x81\0\0\0\x08",
        b"",
    ],
)
def test_where_the_headers_do_not_say_where_nothing_is_changed(sent: bytes) -> None:
    (got,), counts = emitted([Frame(T, MACS + sent, status=UNFINISHED)])
    assert got == MACS + sent
    assert counts == (0, 1, 0)


@pytest.mark.spec("T9")
def test_only_what_came_unfinished_and_whole_is_completed_and_large_ones_are_counted() -> None:
    sent = MACS + b"\x08\0" + l3(4, 6, TCP_HEAD + bytes(3000))
    huge = MACS + b"\x08\0" + l3(4, 6, TCP_HEAD + bytes(66_000), total=0)
    frames = [
        Frame(T, sent),
        Frame(T + 1, sent[:60], wire=len(sent), status=UNFINISHED),
        Frame(T + 2, sent, status=UNFINISHED | LARGE),
        Frame(T + 3, huge, status=UNFINISHED | LARGE),
        Frame(T + 4, sent, status=LARGE),
    ]
    got, counts = emitted(frames)
    assert [one == frame.data for one, frame in zip(got, frames, strict=True)] == [
        True,
        True,
        False,
        False,
        True,
    ]
    assert counts == (3, 3, 2)


@pytest.mark.spec("R2", "T9")
@given(
    data=st.binary(max_size=120), head=st.sampled_from([b"\x08\0E", b"\x08\0F", b"\x86\xdd`", b"\x81\0", b""])
)
def test_no_frame_without_checksum_crashes(data: bytes, head: bytes) -> None:
    emitted([Frame(T, MACS + head + data, status=UNFINISHED)])


def test_emit_tells_how_far_it_came() -> None:
    image = block([frame(T + number, number) for number in range(4)])
    index = index_of(image)
    out = bytearray(10 + 3 * 92)
    used, done, first, last, progress = _packets.emit([(image, index, 0, 2, 0)], T + 1, T + 9, out, 10)
    assert (used, done, first, last, progress) == (
        10 + 3 * 92,
        True,
        T + 1,
        T + 3,
        ((4, 3, 180, 0, 0, 0, 0),),
    )
    assert out[:10] == bytes(10)
    nothing = (4, 0, 0, 0, 0, 0, 0)
    assert _packets.emit([(image, index, 4, 2, 0)], T + 1, T + 9, out, 10) == (10, True, 0, 0, (nothing,))
    assert _packets.emit([], 0, 1, out, 0) == (0, True, 0, 0, ())


def test_an_output_buffer_too_small_for_a_packet_stays_as_it_is() -> None:
    image = block([frame(T)])
    source = (image, index_of(image), 0, 0, 0)
    assert _packets.emit([source], *ALL, bytearray(91), 0)[:2] == (0, False)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ((b"", b"", -1, 0, 0), ValueError),
        ((b"", b"", 1, 0, 0), ValueError),
        ((b"", b"x", 0, 0, 0), ValueError),
        ((b"", b"", 0, -1, 0), ValueError),
        ((b"", b"", 0, 2**32, 0), ValueError),
        ((b"", b"", 0, 0, 2**63), OverflowError),
        ((b"", b"", 0, 0), TypeError),
        (("", b"", 0, 0, 0), TypeError),
        ([b"", b"", 0, 0, 0], TypeError),
        (None, TypeError),
    ],
)
def test_wrong_sources_are_refused(source: object, error: type[Exception]) -> None:
    good = block([frame(T)])
    with pytest.raises(error):
        _packets.emit([(good, index_of(good), 0, 0, 0), source], *ALL, bytearray(999), 0)  # type: ignore[list-item]


@pytest.mark.parametrize("used", [-1, 11])
def test_a_fill_outside_the_buffer_is_refused(used: int) -> None:
    with pytest.raises(ValueError, match="used"):
        _packets.emit([], 0, 1, bytearray(10), used)


@pytest.mark.parametrize("window", [(-(2**63) - 1, 0), (0, -(2**63) - 1), (0, 2**63)])
def test_times_outside_64_bits_are_refused(window: tuple[int, int]) -> None:
    with pytest.raises(OverflowError):
        _packets.emit([], *window, bytearray(10), 0)


def test_an_output_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(TypeError):
        _packets.emit([], 0, 1, b"constant", 0)


def damaged(offset: int, form: str, value: int) -> bytearray:
    image = block([frame(T), frame(T + 1), frame(T + 2)], size=4096)
    struct.pack_into(form, image, offset, value)
    return image


SECOND = 256 + 144

DAMAGED = {
    "shorter": b"",
    "shorter, 2": bytes(47),
    "not a TPACKET_V3": bytes(48),
    "cut off": damaged(20, "<I", 4097),
    "as many packets": damaged(20, "<I", 300),
    "first packet": damaged(16, "<I", 47),
    "first packet, 2": damaged(16, "<I", 0xFFFFFFFF),
    "disagree": damaged(12, "<I", 2),
    "disagree, 2": damaged(12, "<I", 4),
    "as many packets, 2": damaged(12, "<I", 0xFFFFFFFF),
    "disagree, 3": damaged(SECOND, "<I", 0),
    "overlap": damaged(SECOND, "<I", 8),
    "outside": damaged(SECOND, "<I", 4000),
    "outside, 2": damaged(SECOND, "<I", 0xFFFFFFFF),
    "impossible time": damaged(SECOND + 8, "<I", NS),
    "impossible length": damaged(SECOND + 12, "<I", 61),
    "impossible length, 2": damaged(SECOND + 16, "<I", 0xFFFFFFFF),
    "own header": damaged(SECOND + 24, "<H", 47),
    "beyond": damaged(SECOND + 24, "<H", 0xFFFF),
}


@pytest.mark.spec("R2")
@pytest.mark.parametrize("image", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_block_is_no_sound_one(image: bytes) -> None:
    assert not is_sound(image)


def test_emit_checks_again_what_scan_has_checked() -> None:
    image = block([frame(T)])
    index = index_of(image)
    for bad in (bytes(100), image[:300], image[:256]):
        with pytest.raises(_packets.BlockError):
            _packets.emit([(bad, index, 0, 0, 0)], *ALL, bytearray(999), 0)


def use(image: bytes | bytearray) -> None:
    """What extraction does with a block that it does not know to be good."""
    _, damaged = _packets.scan_all(image, [(0, len(image), 0, 2**64 - 1)] * 2)
    if damaged:
        assert damaged == [0, 1]
        return
    index = index_of(image)
    got = packets_of(emit_all([image], room=1 << 21))
    assert len(got) == len(index) // _packets.ENTRY_SIZE


@pytest.mark.spec("R2")
@given(st.binary(max_size=2000))
def test_random_bytes_never_crash(image: bytes) -> None:
    use(image)
    use(b"\x02\0\0\0" + image[4:])


@pytest.mark.spec("R2")
@settings(max_examples=400)
@given(
    count=st.integers(0, 30),
    length=st.integers(0, 100),
    changes=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=6),
    end=st.integers(0, 4096),
)
def test_flipped_bytes_and_torn_ends_never_crash(
    count: int, length: int, changes: list[tuple[int, int]], end: int
) -> None:
    image = block([frame(T + number, number, length) for number in range(count)], size=8192)
    for offset, value in changes:
        image[offset] = value
    use(image)
    use(image[:end])


@pytest.mark.spec("R2")
def test_every_header_field_set_to_every_extreme_never_crashes() -> None:
    good = block([frame(T + number, number, tci=number) for number in range(4)], size=4096)
    places = [*range(48), *range(256, 304), *range(SECOND, SECOND + 48)]
    for place in places:
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            image = bytearray(good)
            image[place] = value
            use(image)


@pytest.mark.spec("R2")
@given(index=st.binary(max_size=160), size=st.integers(0, 600), seed=st.integers(0, 99))
def test_a_false_index_never_crashes(index: bytes, size: int, seed: int) -> None:
    image = random.Random(seed).randbytes(size)
    index = index[: len(index) // 16 * 16]
    near = b"".join(struct.pack("<QII", 1, offset % 600, 0) for offset in index)
    for one in (index, near):
        try:
            _packets.emit([(image, one, 0, 0, seed - 50)], *ALL, bytearray(4096), 0)
        except ValueError as error:
            assert error.args  # noqa: PT017 - a BlockError or a too small buffer, nothing else
