"""What the summary of a record says of filters: never "nothing there" of a record with a matching packet."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import itertools
import random
import struct
from collections.abc import Sequence

import pytest

from allegro.capture import _packets
from allegro.capture.ring import record_summaries
from allegro.filters import libpcap
from allegro.filters.parse import parse
from allegro.filters.program import compiled, for_interface
from tests.harness import random_packets
from tests.harness.layers import ethernet, ipv4, ipv6, labels, tcp, udp
from tests.unit.capture.blocks import Frame, block, index_of
from tests.unit.filters.test_program import INTERFACES, WHENEVER, T, as_received

pytestmark = pytest.mark.spec("R13")

ROOM = 1 << 12


def image(frames: Sequence[Frame]) -> bytes:
    whole = block(frames, size=1024 + sum(len(one.data) + 96 for one in frames))
    (used,) = struct.unpack_from("<I", whole, 20)
    return bytes(whole[:used])  # nothing behind it that could be read without being noticed


def may_match(text: str, summary: bytes, interface: str = "port1") -> bool:
    return parts_of(text, summary, interface) != []


def parts_of(text: str, summary: bytes, interface: str = "port1") -> list[tuple[int, int, int]] | None:
    rows = _packets.rows([for_interface(compiled(parse(text)), interface)])
    return _packets.matching_parts(rows, summary)


def connections(count: int, *, port: int = 0) -> list[Frame]:
    """Each of two addresses and ports of their own."""
    return [
        Frame(
            T + number,
            ethernet(
                0x0800,
                ipv4(
                    6,
                    tcp(port or 1000 + number, port or 30_000 + number),
                    source=str(ipaddress.ip_address(0x0A000001 + number)),
                    destination=str(ipaddress.ip_address(0xC0000001 + number)),
                ),
            ),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("room", [0, 30, 60, 120, ROOM])
def test_a_record_with_a_matching_packet_is_never_passed_over(room: int) -> None:
    chance = random.Random(room)
    names = ("left", "rest")
    passed_over = 0
    for _ in range(60):
        frames = [
            as_received(number, random_packets.frame(chance), chance)
            for number in range(chance.choice((1, 2, 5, 30)))
        ]
        groups = tuple((name, random_packets.tree(chance, 1)) for name in names)
        whole = image(frames)
        index, summary = index_of(whole), _packets.summarize(whole, room)
        assert len(summary) <= room
        for _ in range(20):
            tree = random_packets.tree(chance, groups=names)
            program = for_interface(compiled(tree, groups, libpcap.compiled), chance.choice(INTERFACES))
            rows = _packets.rows([program])
            _, (matching,) = _packets.match(whole, index, *WHENEVER, rows)
            if _packets.matching_parts(rows, summary) != []:
                continue
            assert not matching, (tree, [frame.sent.hex() for frame in frames])
            passed_over += 1
    assert passed_over > 10  # by the names of ports, even if nothing is known


ABSENT = (
    "ip == 192.0.2.9", "ip == 192.0.2.0/24", "srcIp == 10.2.0.0/16", "ip == 2001:db8::9",
    "port == 81", "tcpPort == 1", "portrange == 100-120,65000-", "vlan == 8", "outerVlan > 7",
    "innerVlan == 1", "ip == 2001:db8::/32 && port == 81",
    "l4Protocol == sctp", "mpls == 16", "vxlan == 1", "mac == 00:00:00:00:00:09",
    "ip == 10.0.0.1 && port == 81", "!(port != 81)", "(port == 80 || vlan == 7) && ip == 192.0.2.9",
    "tcpPort == 80 && mpls != none",
)  # fmt: skip
PRESENT = (
    "ip == 10.0.0.1", "ip == 10.0.0.0/8", "srcIp == 10.0.0.1 && dstIp == 10.0.0.2", "ip == 2001:db8::1",
    "ip == 2001:db8::/32", "port == 80", "tcpPort < 81", "portrange == 70-90", "vlan == 7", "outerVlan < 8",
    "l4Protocol == udp",
    "ip != 192.0.2.9", "vlan == none", "length > 10", "dscp == 0", "port == 81 || ip == 10.0.0.1", "",
)  # fmt: skip
SMALL = image(
    [
        Frame(T, ethernet(0x0800, ipv4(6, tcp(80, 5000), source="10.0.0.1", destination="10.0.0.2"))),
        Frame(T, ethernet(0x86DD, ipv6(17, udp(5, 6), source="2001:db8::1", destination="2001:db8::2")), 7),
    ]
)


@pytest.mark.parametrize("text", ABSENT)
def test_what_is_in_no_packet(text: str) -> None:
    assert not may_match(text, _packets.summarize(SMALL, ROOM))
    assert may_match(text, b"")


@pytest.mark.parametrize("text", PRESENT)
def test_what_is_in_a_packet(text: str) -> None:
    assert may_match(text, _packets.summarize(SMALL, ROOM))


def test_the_port_needs_no_summary() -> None:
    assert not may_match("interface == port2 && ip == 10.0.0.1", b"")
    assert may_match("interface == port2 || ip == 10.0.0.1", b"")


@pytest.mark.parametrize("count", [200, 500, 1500])
def test_many_values_leave_few_doubts(count: int) -> None:
    """In a full block: what is there is found, of what is not few per cent."""
    whole = image(connections(count))
    summary = _packets.summarize(whole, ROOM - record_summaries.ENTRY_SIZE)
    assert len(summary) <= ROOM - record_summaries.ENTRY_SIZE
    assert all(
        may_match(f"ip == 192.0.0.{number} && port == {999 + number}", summary) for number in range(1, 100)
    )
    doubts = sum(may_match(f"ip == 172.16.{number // 256}.{number % 256}", summary) for number in range(1000))
    assert doubts <= 80
    assert not may_match("l4Protocol == udp", summary)  # what has few values is listed in any case
    assert not may_match("vlan != none && ip == 10.0.0.1", summary)


def test_too_many_values_of_one_kind_do_not_cost_the_others_theirs() -> None:
    frames = connections(7000)
    shared = [Frame(one.time_ns, one.data[:34] + b"\0\x50\0\x51" + one.data[38:]) for one in frames]
    summary = _packets.summarize(image(shared), ROOM)
    assert not may_match("port == 443", summary)
    assert may_match("port == 80", summary)
    doubts = sum(may_match(f"ip == 172.16.{number // 256}.{number % 256}", summary) for number in range(1000))
    assert doubts < 700  # 14,000 addresses in four thousand bytes


def test_a_quiet_record_is_told_exactly_in_a_twentieth_of_its_length() -> None:
    frames = connections(6)
    summary = _packets.summarize(image(frames), record_summaries.room(4096))
    assert record_summaries.ENTRY_SIZE + len(summary) <= 4096 / 20
    assert not any(may_match(f"ip == 172.16.0.{number}", summary) for number in range(256))
    assert not may_match("ip == 11.0.0.0/8 || port == 2000", summary)


def test_values_chosen_to_fall_into_the_same_places_are_given_up() -> None:
    """Such as these, by the hash in the source: to look for a free place would take ever longer."""
    frames = [
        Frame(T + number, ethernet(0x0800, ipv4(6, tcp(80, 81), source=source)))
        for number in range(1500)
        if (source := str(ipaddress.ip_address(0x0A000000 + number * 32411)))
    ]
    summary = _packets.summarize(image(frames), ROOM)
    assert all(may_match(f"ip == 10.0.0.0 && port == {port}", summary) for port in (80, 81))
    assert may_match("ip == 172.16.0.1", summary)
    assert not may_match("port == 443", summary)


def slot_of(kind: int, value: int) -> int:
    """By the hash in the source, of the largest table."""
    return ((kind << 32 | value) * 0x9E3779B97F4A7C15 % 2**64 >> 40) % 2**15


def addresses_in(slot: int, count: int) -> list[int]:
    """IPv4 addresses that fall into one slot."""
    found = [next(value for value in itertools.count(0x0A000000) if slot_of(1, value) == slot)]
    while len(found) < count:
        following = (found[-1] + step for step in (25_639, 32_411, 58_050))
        found.append(next(value for value in following if slot_of(1, value) == slot))
    return found


def test_values_chosen_so_that_the_table_cannot_grow_are_tried_once() -> None:
    """These fit into the first table, around its end, and not into a larger one; then that one has to do, and
    its room is the others'."""
    chosen = addresses_in(1948, 110) + addresses_in(2047, 240)
    ports = [port for port in range(1000, 60_000) if 400 < slot_of(4, port) % 2048 < 1900][:900]
    packets = [udp(80, 81) for _ in chosen] + [udp(*two) for two in zip(ports[::2], ports[1::2], strict=True)]
    sources = chosen + chosen[:1] * 450
    frames = [
        Frame(T + number, ethernet(0x0800, ipv4(17, packet, source=str(ipaddress.ip_address(source)))))
        for number, (packet, source) in enumerate(zip(packets, sources, strict=True))
    ]
    summary = _packets.summarize(image(frames), 1 << 16)
    assert all(may_match(f"port == {port}", summary) for port in (80, *ports))
    assert not may_match("port == 60001", summary)


def in_bursts(chance: random.Random, room: int) -> list[Frame]:
    """For a while packets of few kinds, then of others; more than a small record holds."""
    frames: list[Frame] = []
    while sum(len(one.data) + 90 for one in frames) < room:
        kinds = [random_packets.frame(chance) for _ in range(2)]
        for _ in range(chance.choice((1, 20, 200))):
            data = chance.choice(kinds) + bytes(chance.choice((0, 200, 1400)))
            frames.append(as_received(len(frames), data, chance))
    return frames


@pytest.mark.parametrize("room", [120, 400, ROOM])
def test_of_a_large_record_the_parts_have_all_packets_that_match(room: int) -> None:
    chance = random.Random(room)
    told = 0
    for _ in range(4):
        whole = image(in_bursts(chance, chance.choice((70_000, 300_000))))
        index, summary = index_of(whole), _packets.summarize(whole, room)
        assert len(summary) <= room
        for _ in range(60):
            program = compiled(random_packets.tree(chance), (), libpcap.compiled)
            rows = _packets.rows([for_interface(program, "port1")])
            _, (matching,) = _packets.match(whole, index, *WHENEVER, rows)
            parts = _packets.matching_parts(rows, summary)
            if parts is None:
                continue
            found, damaged = _packets.scan_all(
                whole, [(begin, end - begin, 0, 2**63, packets) for begin, end, packets in parts]
            )
            assert not damaged
            assert len(found) == sum(packets for *_, packets in parts) * _packets.ENTRY_SIZE
            assert _packets.match(whole, found, *WHENEVER, rows)[1] == (matching,)
            told += 0 < len(found) < len(index)
    assert told > 10 or room < ROOM


def test_a_large_record_of_few_values_knows_its_parts_exactly() -> None:
    frames = [
        dataclasses.replace(one, time_ns=T + number)
        for number, one in enumerate([*connections(3) * 400, *connections(4)[3:], *connections(3) * 400])
    ]
    whole = image(frames)
    summary = _packets.summarize(whole, ROOM)
    assert parts_of("ip == 10.0.0.1", summary) is None
    assert parts_of("ip == 10.0.0.9", summary) == []
    ((begin, end, packets),) = parts_of("ip == 10.0.0.4", summary) or [(0, 0, 0)]
    at = 256 + 1200 * (len(whole) - 256) // len(frames)
    assert at - (1 << 15) < begin <= at < end < at + (1 << 15)
    assert packets < 300


def test_a_small_record_has_the_form_that_it_always_had() -> None:
    """So that the release before reads it, and this one what that wrote."""
    known = (
        "0101ff0000000000020002000200040001000200000000000100000a0200000adec08a71bac19cd2f0ce4177b93fb8ad"
        "05000000060000005000000088130000070000000600000011000000"
    )
    assert _packets.summarize(SMALL, ROOM).hex() == known


def test_a_large_record_with_little_room_has_no_parts() -> None:
    whole = image(connections(1500))
    summary = _packets.summarize(whole, ROOM)
    assert summary[0] == 1
    assert parts_of("ip == 10.0.0.1", summary) is None


def test_of_two_packets_that_differ_in_one_byte_both_are_told() -> None:
    """Those of a known conversation are passed over: by whatever byte it is told from others."""
    udp_packet = ethernet(0x0800, ipv4(17, udp(1000, 2000, bytes(16))))
    for frame in (udp_packet, udp_packet[:38]):
        for place in range(len(frame)):
            other = bytearray(frame)
            other[place] ^= 0x11
            both = [Frame(T, frame), Frame(T, bytes(other))]
            told = _packets.summarize(image(both), ROOM)
            assert told == _packets.summarize(image(both[::-1]), ROOM)
            assert told == _packets.summarize(image(both * 3), ROOM)


def test_damaged_blocks_have_no_summary() -> None:
    whole = bytearray(image(connections(3)))
    assert _packets.summarize(whole[:40], ROOM) == b""
    assert _packets.summarize(whole[:-1], ROOM) == b""
    whole[256:260] = (1 << 30).to_bytes(4, "little")  # where the second packet lies
    assert _packets.summarize(whole, ROOM) == b""


def test_a_broken_summary_is_refused() -> None:
    rows = _packets.rows([compiled(parse("port == 1"))])
    small, large = (_packets.summarize(one, ROOM) for one in (SMALL, image(connections(500))))
    assert (small[0], large[0]) == (1, 2)
    for whole in (small, large):
        for broken in (b"\x01", b"\x03" + whole[1:], whole[:2] + b"\xff\xff" + whole[4:], whole[:20]):
            with pytest.raises(ValueError, match="summary"):
                _packets.matching_parts(rows, broken)
        chance = random.Random(1)
        for _ in range(300):  # whatever it holds, nothing but itself is read
            damaged = bytearray(whole[: chance.randrange(8, len(whole))])
            damaged[chance.randrange(min(len(damaged), 200))] ^= 1 << chance.randrange(8)
            with contextlib.suppress(ValueError):
                _packets.matching_parts(rows, bytes(damaged))


def test_labels_and_tags() -> None:
    inner = ipv4(17, udp(1, 2))
    frames = [
        Frame(T, ethernet(0x8847, labels(100, 200) + inner)),
        Frame(T, ethernet(0x0800, inner, tags=((0x88A8, 5), (0x8100, 6)))),
    ]
    summary = _packets.summarize(image(frames), ROOM)
    assert may_match("mpls == 200", summary)
    assert may_match("innerVlan == 6", summary)
    assert not may_match("mpls == 300 || vlan == 9", summary)
