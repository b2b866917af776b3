"""The kernel's program of slicing rules against the slow and obvious meaning of each rule."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections.abc import Iterator, Sequence

import pytest

from allegro.errors import InvalidInput
from allegro.filters.kernel_program import WHOLE, RuleError, assembled
from allegro.filters.parse import parse
from allegro.filters.slicing import LONGEST_TEXT, Action, Rule, deciding, described, kept
from allegro.filters.tree import EVERYTHING, And, Bpf, Not, Or, Tree
from tests.harness import bpf_machine, random_packets
from tests.harness.bpf_machine import Received
from tests.harness.frame_key import key_of
from tests.harness.layers import ethernet, ipv4, tcp

pytestmark = pytest.mark.spec("R3", "F7")

ETHERNET_HEADER = 14
SHORTEST_TAGGED = 20
"""The kernel hands over nothing shorter (skb_vlan_untag, net/core/skbuff.c)."""
TAGS = (b"\x81\x00", b"\x88\xa8")
"""It takes out these, if they are the outer ones."""


def received(frame: bytes) -> Received:
    """What the kernel makes of a frame: it takes the outer tag out, of the two kinds that it knows."""
    if frame[12:14] in TAGS:
        return Received(frame[:12] + frame[16:], int.from_bytes(frame[14:16], "big"))
    return Received(frame)


def frames(chance: random.Random, count: int) -> Iterator[bytes]:
    while count:
        frame = random_packets.frame(chance)
        if len(frame) >= (SHORTEST_TAGGED if frame[12:14] in TAGS else ETHERNET_HEADER):
            count -= 1
            yield frame


def rules(chance: random.Random, count: int, groups: Sequence[str] = ()) -> list[Rule]:
    return [
        Rule(
            f"rule {number}",
            _without_bpf(random_packets.tree(chance, groups=groups)),
            chance.choice(tuple(Action)),
            chance.choice((1, 11, 12, 15, 16, 17, 40, 96, 65535)),
        )
        for number in range(count)
    ]


def _without_bpf(tree: Tree) -> Tree:
    match tree:
        case Bpf():
            return EVERYTHING
        case Not(term):
            return Not(_without_bpf(term))
        case And(terms):
            return And(tuple(_without_bpf(term) for term in terms))
        case Or(terms):
            return Or(tuple(_without_bpf(term) for term in terms))
    return tree


def bytes_in_the_file(answer: int, packet: Received) -> int:
    """What is kept of a packet if the program answers so: the tag is put back behind whole addresses."""
    captured = min(answer, len(packet.data))
    return captured + (4 if packet.tci is not None and captured >= 12 else 0)


def compare(seed: int, packets: int, sets: int) -> None:
    """Raises AssertionError with the first packet that the two see differently."""
    chance = random.Random(seed)
    sent = [(frame, received(frame)) for frame in frames(chance, packets)]
    keys = {
        interface: [key_of(frame, interface=interface) for frame, _ in sent]
        for interface in random_packets.INTERFACES
    }
    names = ("left", "Right")
    groups = [(name, _without_bpf(random_packets.tree(chance, 1))) for name in names]
    for _ in range(sets):
        ordered = rules(chance, chance.choice((1, 2, 3, 6)), names)
        interface = chance.choice(random_packets.INTERFACES)
        program = assembled(ordered, interface, groups)
        for (frame, packet), key in zip(sent, keys[interface], strict=True):
            rule = deciding(ordered, key, groups)
            wanted = kept(rule, len(frame), tag_taken_out=packet.tci is not None)
            found = bytes_in_the_file(bpf_machine.run(program, packet), packet)
            assert found == wanted, (ordered, groups, interface, frame.hex())


@pytest.mark.parametrize("seed", range(4))
def test_the_kernels_program_keeps_what_the_rules_say(seed: int) -> None:
    compare(seed, packets=150, sets=40)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(100, 150))
def test_the_kernels_program_keeps_what_the_rules_say_of_many(seed: int) -> None:
    compare(seed, packets=2000, sets=300)


def test_a_packet_cut_off_anywhere() -> None:
    """At every length of a frame: nothing is read behind the end, which would discard the packet."""
    chance = random.Random(3)
    for _ in range(12):
        whole = random_packets.frame(chance)
        ordered = rules(chance, 4)
        program = assembled(ordered, "port1")
        for size in range(SHORTEST_TAGGED, len(whole) + 1):
            frame = whole[:size]
            packet = received(frame)
            rule = deciding(ordered, key_of(frame, interface="port1"))
            wanted = kept(rule, size, tag_taken_out=packet.tci is not None)
            assert bytes_in_the_file(bpf_machine.run(program, packet), packet) == wanted, (
                ordered,
                frame.hex(),
            )


def rule(text: str, action: Action = Action.KEEP, length: int = 96, name: str = "a rule") -> Rule:
    return Rule(name, parse(text), action, length)


FRAME = ethernet(0x0800, ipv4(6, tcp(50000, 443, bytes(200))))
TAGGED = ethernet(0x0800, ipv4(6, tcp(50000, 443, bytes(200))), tags=((0x8100, 7),))


def test_the_first_rule_that_matches_decides() -> None:
    ordered = [
        rule("port == 443 and vlan == none", Action.WHOLE),
        rule("l4Protocol == tcp", length=60),
        rule("", Action.DISCARD),
    ]
    program = assembled(ordered, "port1")
    assert bpf_machine.run(program, received(FRAME)) == WHOLE
    assert bpf_machine.run(program, received(TAGGED)) == 56  # the tag is beside it
    assert bpf_machine.run(program, received(ethernet(0x0806, bytes(46)))) == 0
    assert bpf_machine.run(assembled([], "port1"), received(FRAME)) == WHOLE


@pytest.mark.parametrize(
    ("wanted", "untagged", "tagged"),
    [(1, 1, 1), (11, 11, 11), (12, 12, 11), (15, 15, 11), (16, 16, 16), (96, 96, 96), (65535, 254, 258)],
)
def test_bytes_are_those_on_the_wire(wanted: int, untagged: int, tagged: int) -> None:
    program = assembled([rule("", length=wanted)], "port1")
    for frame, expected in ((FRAME, untagged), (TAGGED, tagged)):
        packet = received(frame)
        assert bytes_in_the_file(bpf_machine.run(program, packet), packet) == expected


def test_a_rule_about_another_port_costs_nothing() -> None:
    ordered = [rule("interface == port2 and port == 80"), rule("port == 443", Action.DISCARD)]
    assert len(assembled(ordered, "port1")) == len(assembled(ordered[1:], "port1"))
    assert len(assembled(ordered, "port2")) > len(assembled(ordered, "port1"))
    behind = [rule("", Action.WHOLE), rule("port == 443")]
    assert assembled(behind, "port1") == assembled([], "port1") * 2


def test_what_the_kernel_cannot_test_is_named() -> None:
    ordered = [rule("port == 80"), rule('vlan == 7 and !(bpf("arp"))', name="no ARP")]
    with pytest.raises(RuleError) as caught:
        assembled(ordered, "port1")
    assert caught.value.message.startswith('Rule 2, "no ARP": the kernel cannot test bpf("arp")')
    assert caught.value.place == "1.filter"
    assert "other fields" in caught.value.remedy


def test_rules_that_are_too_much_are_refused_and_the_first_that_does_not_fit_is_named() -> None:
    many = " or ".join(f"ip == 10.{number // 256}.{number % 256}.1" for number in range(200))
    ordered = [rule(many, name=f"list {number}") for number in range(20)]
    with pytest.raises(RuleError, match="more than the kernel can run") as caught:
        assembled(ordered, "port1")
    number = caught.value.number
    assert len(assembled(ordered[:number], "port1")) <= 4096 * 8
    with pytest.raises(RuleError, match=f'Rule {number + 1}, "list {number}"'):
        assembled(ordered[: number + 1], "port1")
    with pytest.raises(InvalidInput, match='Rule 1, "a rule": the filter is too large'):
        assembled([Rule("a rule", Or((parse("port == 1"),) * 5000), Action.DISCARD)], "port1")


def test_long_rules_reach_over_a_jump_of_eight_bits() -> None:
    chance = random.Random(11)
    addresses = [f"10.0.{number}.0/24" for number in range(150)]
    ordered = [
        rule(" or ".join(f"dstIp == {each}" for each in addresses[:140]), length=20),
        rule("dstIp == 10.0.145.0/24", Action.DISCARD),
    ]
    program = assembled(ordered, "port1")
    assert len(program) // 8 > 512
    for number in [*range(150), *(chance.randrange(256) for _ in range(20))]:
        frame = ethernet(0x0800, ipv4(6, tcp(1, 2), destination=f"10.0.{number}.9"))
        expected = 20 if number < 140 else 0 if number == 145 else WHOLE
        assert bpf_machine.run(program, received(frame)) == expected, number


def test_this_machines_kernel_takes_the_programs_and_runs_them_as_they_are_meant() -> None:
    """By a pair of Unix sockets: any socket runs classic BPF on what it is to receive."""
    chance = random.Random(5)
    sent = [frame for frame in frames(chance, 40) if received(frame).tci is None]
    for _ in range(40):
        ordered = rules(chance, 4)
        program = assembled(ordered, "port1")
        assert kernel_keeps(program, sent) == [
            min(bpf_machine.run(program, Received(frame)), len(frame)) for frame in sent
        ]


def kernel_keeps(program: bytes, sent: list[bytes]) -> list[int]:
    """How many bytes of each frame a socket with this filter receives."""
    import ctypes

    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with contextlib.closing(left), contextlib.closing(right):
        right.settimeout(0)
        held = ctypes.create_string_buffer(program, len(program))
        right.setsockopt(
            socket.SOL_SOCKET, 26, struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(held))
        )
        found = []
        for frame in sent:
            left.send(frame)
            try:
                found.append(len(right.recv(65536)))
            except BlockingIOError:
                found.append(0)
    return found


def test_rules_in_words() -> None:
    ordered = [
        rule("vlan == 7", length=1, name="phones"),
        rule("", Action.WHOLE, name="rest"),
        rule("port == 80", Action.DISCARD, name="web"),
    ]
    assert described(ordered) == (
        "1. phones: keep 1 byte of vlan == 7; 2. rest: keep whole all packets; 3. web: discard port == 80"
    )
    assert described([]) == ""
    groups = [("phones", parse("vlan == 7"))]
    assert described([rule("group == phones", Action.DISCARD, name="x")], groups) == (
        "1. x: discard group == phones; link groups: phones (vlan == 7)"
    )
    long = [rule(" or ".join(["port == 80"] * 100), name="x" * 64)] * 64
    assert len(described(long)) == LONGEST_TEXT
    assert described(long[:5]).count("…") == 5
