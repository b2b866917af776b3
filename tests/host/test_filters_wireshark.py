"""Filters against Wireshark's display filters: the same frames pass, and where not, it is known why."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from allegro.filters.canonical import canonical
from allegro.filters.key import PacketKey
from allegro.filters.parse import parse
from allegro.filters.reference import matches
from tests.harness.display_filter import display_filter
from tests.harness.frame_key import key_of
from tests.harness.layers import ethernet, ipv4, ipv6, labels, sctp, tcp, udp, vxlan
from tests.harness.qemu import REPOSITORY
from tests.harness.sharkd import Frame, verdicts

pytestmark = [pytest.mark.spec("F1", "F2", "F3", "F4", "F7"), pytest.mark.timeout(300)]

NO_REASSEMBLY = {"ip.defragment": "FALSE", "ipv6.defragment": "FALSE"}
"""We look at each packet by itself."""

V4 = ("192.0.2.1", "192.0.2.2", "10.1.2.3", "10.200.0.9", "224.0.0.251")
V6 = ("2001:db8::1", "2001:db8::2", "2001:db8:1::9", "fe80::a", "ff02::fb")
PORTS = (7, 80, 100, 110, 8080, 40000, 65535)
VLANS = (0, 1, 7, 100, 4095)

_ADDRESSES = ("192.0.2.1", "192.0.2.0/30", "10.0.0.0/8", "10.1.2.3/31", "2001:db8::1", "2001:db8::/32")
_MACS = ("02:a1:1e:00:00:0a", "02:a1:1e:00:00:09", "ff:ff:ff:ff:ff:ff")
_ORDERS = "== != === < <= > >="
_TAGS = "vlan outerVlan innerVlan mpls vxlan dscp"


def _atoms(fields: str, operators: str, values: Sequence[str]) -> list[str]:
    """Every field with every operator and value."""
    return [" ".join(words) for words in itertools.product(fields.split(), operators.split(), values)]


ATOMS = (
    *_atoms("ip srcIp dstIp", "== !=", _ADDRESSES),
    *_atoms("ip", "===", _ADDRESSES),
    *_atoms("mac srcMac dstMac", "== !=", _MACS),
    *_atoms("mac", "===", _MACS),
    *_atoms("mac srcMac dstMac", "~", ["02:a1:1e"]),
    *_atoms("port tcpPort udpPort", _ORDERS, ["100"]),
    *_atoms("portrange", "== != ===", ["80", "80,100-120,-10,65000-"]),
    *_atoms(_TAGS, _ORDERS, ["7"]),
    *_atoms("vlan mpls length vxlan", _ORDERS, ["100"]),
    *_atoms("l4Protocol", "== != < >=", ["tcp", "udp", "icmpv6", "200"]),
    *_atoms("dscp", "==", ["ef", "cs0", "af41"]),
    *_atoms("interface", "== != === ~", ["port1", "PORT2", "ort"]),
    *_atoms(f"ip srcIp port tcpPort l4Protocol {_TAGS}", "== !=", ["none"]),
    "vlan == 0",
)


@dataclass
class _Packet:
    """Pieces of a frame, each a header whole."""

    chance: random.Random
    pieces: list[bytes] = field(default_factory=list)

    def frame(self) -> Frame:
        """At times cut behind one of its headers, as if a short snap length had been set."""
        data = b"".join(self.pieces)
        kept = self.chance.choice((len(self.pieces),) * 4 + tuple(range(1, len(self.pieces))))
        return self.chance.choice(("port1", "port2")), b"".join(self.pieces[:kept]), len(data)


def _packets(count: int, seed: int) -> list[Frame]:
    chance = random.Random(seed)
    return [_packet(chance) for _ in range(count)]


def _packet(chance: random.Random) -> Frame:
    made = _Packet(chance)
    macs = [bytes.fromhex(mac.replace(":", "")) for mac in _MACS[:2]]
    chance.shuffle(macs)
    if chance.random() < 0.1:
        macs[0] = b"\xff" * 6
    tags = chance.choice(((), (), (0x8100,), (0x8100, 0x8100), (0x88A8, 0x8100), (0x9100, 0x8100), (0x88A8,)))
    kind = chance.choice((0x0800,) * 4 + (0x86DD,) * 4 + (0x8847, 0x8848, 0x0806, 0x88B5))
    types = (*tags, kind)
    made.pieces.append(b"".join(macs) + types[0].to_bytes(2, "big"))
    for following in types[1:]:
        tag = chance.choice((0, 0xA000)) | chance.choice(VLANS)
        made.pieces.append(tag.to_bytes(2, "big") + following.to_bytes(2, "big"))
    if kind in (0x8847, 0x8848):
        stack = labels(*chance.choices((16, 100, 1048575), k=chance.randint(1, 8)))
        made.pieces += [stack[at : at + 4] for at in range(0, len(stack), 4)]
        kind = chance.choice((0x0800, 0x86DD))
    if kind == 0x0800:
        _ipv4(chance, made)
    elif kind == 0x86DD:
        _ipv6(chance, made)
    elif kind == 0x0806:
        made.pieces.append(bytes.fromhex("0001080006040001 02a11e000009 c0000201 000000000000 c0000202"))
    else:
        made.pieces.append(bytes(46))
    return made.frame()


def _transport(chance: random.Random) -> tuple[int, list[bytes]]:
    protocol = chance.choice((6, 6, 17, 17, 17, 132, 1, 58, 47, 50, 89, 103))
    source, destination = chance.choice(PORTS), chance.choice(PORTS)
    if protocol == 6:
        return protocol, [tcp(source, destination)]
    if protocol == 17 and chance.random() < 0.3:
        return protocol, [udp(50000, 4789, vxlan(0))[:8], vxlan(chance.choice((7, 100, 1 << 23)))]
    if protocol == 17:
        return protocol, [udp(source, destination, bytes(4))]
    return protocol, [sctp(source, destination)] if protocol == 132 else [bytes(16)]


def _ipv4(chance: random.Random, made: _Packet) -> None:
    protocol, rest = _transport(chance)
    more, offset = chance.choice(((False, 0),) * 4 + ((True, 0), (True, 100), (False, 185)))
    head = ipv4(
        protocol,
        b"".join(rest),
        source=chance.choice(V4),
        destination=chance.choice(V4),
        dscp=chance.choice((0, 7, 34, 46)),
        options=chance.choice((b"", b"", bytes.fromhex("94040000"), bytes([1] * 40))),
        more=more,
        offset=offset,
    )
    made.pieces += [head[: len(head) - sum(map(len, rest))], *rest]


def _ipv6(chance: random.Random, made: _Packet) -> None:
    protocol, rest = _transport(chance)
    extensions: list[bytes] = []
    following = protocol
    if chance.random() < 0.3:
        more, offset = chance.choice(((True, 0), (False, 0), (True, 9), (False, 9)))
        extensions.insert(0, bytes([following, 0]) + (offset << 3 | more).to_bytes(2, "big") + bytes(4))
        following = 44
    for number, body in (
        (60, bytes([1, 4]) + bytes(4)),
        (43, bytes([253]) + bytes(5)),
        (0, bytes([1, 12]) + bytes(12)),
    ):
        if chance.random() < 0.2:
            size = 2 + len(body)
            extensions.insert(0, bytes([following, size // 8 - 1]) + body)
            following = number
    payload = b"".join((*extensions, *rest))
    head = ipv6(
        following,
        payload,
        source=chance.choice(V6),
        destination=chance.choice(V6),
        dscp=chance.choice((0, 7, 34, 46)),
    )
    made.pieces += [head[:40], *extensions, *rest]


def _filters(count: int, seed: int) -> list[str]:
    """All the atoms, and combinations of them until there are `count`."""
    chance = random.Random(seed)
    texts = list(ATOMS)
    while len(texts) < count:
        one, two, three = chance.sample(ATOMS, 3)
        if sum("vlan" in atom.lower() for atom in (one, two, three)) > 1:
            continue  # Wireshark 4.0 takes vlan.id for vlan.id#1 if both are in a filter
        joined = f"({one}) {chance.choice(('and', 'or', '&&', '||'))} {chance.choice(('', '!'))}({two})"
        texts.append(
            chance.choice((joined, f"not ({joined})", f"({joined}) and {three}", f"{three} or {joined}"))
        )
    return texts


def _keys(frames: list[Frame]) -> list[PacketKey]:
    return [key_of(data, interface=port, length=length) for port, data, length in frames]


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 20))])
def test_the_same_frames_pass_as_in_wireshark(tmp_path: Path, seed: int) -> None:
    frames = _packets(400, seed)
    keys = _keys(frames)
    trees = [parse(text) for text in _filters(400, seed)]
    judged = verdicts(tmp_path, frames, [display_filter(tree) for tree in trees], NO_REASSEMBLY)
    differences = {}
    telling = 0
    for tree, theirs in zip(trees, judged, strict=True):
        ours = {number for number, key in enumerate(keys) if matches(tree, key)}
        telling += 0 < len(ours) < len(frames)
        if ours != theirs:
            number = min(ours ^ theirs)
            differences[canonical(tree)] = (display_filter(tree), number in ours, frames[number])
    assert differences == {}
    assert telling >= 300


@dataclass(frozen=True)
class Difference:
    """A packet of which a filter says something else than Wireshark, and why."""

    reason: str
    frame: bytes
    text: str
    ours: bool
    display: str = ""


_WEB = ipv4(6, tcp(50000, 80))
_INNER = ethernet(0x0800, ipv4(6, tcp(50000, 80), source="10.9.9.9"))
_PADDED = ipv4(17, b"").ljust(46, b"\0")
_ICMP_ERROR = ipv4(1, bytes([3, 1]) + bytes(6) + ipv4(17, udp(50000, 80), source="10.9.9.9"))
_AUTHENTICATED = bytes([6, 4]) + bytes(22) + tcp(50000, 80)
_OPTIONS = bytes([60, 0, 1, 4]) + bytes(4)
_MANY_OPTIONS = _OPTIONS * 8 + bytes([6, 0, 1, 4]) + bytes(4)
_THREE_TAGS = ((0x8100, 1), (0x8100, 2), (0x8100, 3))
_PPPOE = bytes.fromhex("11000001") + (len(_WEB) + 2).to_bytes(2, "big") + bytes.fromhex("0021")
_SNAP = bytes.fromhex("aaaa03000000") + b"\x08\x00" + _WEB

DIFFERENCES = (
    Difference(
        "!= of Wireshark is not true for packets without the field",
        ethernet(0x0806, bytes.fromhex("0001080006040001") + bytes(20)),
        "ip != 10.0.0.1",
        True,
        "ip.addr != 10.0.0.1",
    ),
    Difference(
        "of IP in IP, the outer addresses count",
        ethernet(0x0800, ipv4(4, ipv4(6, tcp(50000, 80), source="10.9.9.9"))),
        "ip == 10.9.9.9",
        False,
    ),
    Difference(
        "what lies in VXLAN is not looked at",
        ethernet(0x0800, ipv4(17, udp(50000, 4789, vxlan(7, _INNER)))),
        "ip == 10.9.9.9",
        False,
    ),
    Difference(
        "VXLAN is told by the destination port; Wireshark tries the lower port first",
        ethernet(0x0800, ipv4(17, udp(7, 4789, vxlan(7)))),
        "vxlan == 7",
        True,
    ),
    Difference(
        "the packet that an ICMP error quotes is not looked at",
        ethernet(0x0800, _ICMP_ERROR),
        "ip == 10.9.9.9",
        False,
    ),
    Difference(
        "behind an authentication header there are no ports in IPv4",
        ethernet(0x0800, ipv4(51, _AUTHENTICATED)),
        "tcpPort == 80",
        False,
    ),
    Difference(
        "extension headers are followed as far as the eighth",
        ethernet(0x86DD, ipv6(60, _MANY_OPTIONS + tcp(50000, 80))),
        "tcpPort == 80",
        False,
    ),
    Difference(
        "nothing is seen behind a third tag", ethernet(0x0800, _WEB, tags=_THREE_TAGS), "port == 80", False
    ),
    Difference(
        "labels are followed as far as the eighth",
        ethernet(0x8847, labels(*range(16, 25)) + _WEB),
        "ip == 192.0.2.1",
        False,
    ),
    Difference("nothing is seen behind PPPoE", ethernet(0x8864, _PPPOE + _WEB), "ip == 192.0.2.1", False),
    Difference("nothing is seen behind LLC and SNAP", ethernet(len(_SNAP), _SNAP), "ip == 192.0.2.1", False),
    Difference(
        "the IP header's total length is not looked at",
        ethernet(0x0800, _PADDED),
        "port == 0",
        True,
    ),
    Difference(
        "a header that is cut off has none of its values",
        ethernet(0x0800, _WEB)[: 14 + 18],
        "srcIp == 192.0.2.1",
        False,
    ),
)


def test_known_differences_are_there_and_have_the_reasons_of_the_manual(tmp_path: Path) -> None:
    frames = [("port1", each.frame, len(each.frame)) for each in DIFFERENCES]
    displayed = [each.display or display_filter(parse(each.text)) for each in DIFFERENCES]
    judged = verdicts(tmp_path, frames, displayed, NO_REASSEMBLY)
    keys = _keys(frames)
    found = {
        each.reason: (matches(parse(each.text), keys[number]), number in theirs)
        for number, (each, theirs) in enumerate(zip(DIFFERENCES, judged, strict=True))
    }
    assert found == {each.reason: (each.ours, not each.ours) for each in DIFFERENCES}
    manual = (REPOSITORY / "docs/manual/filters.md").read_text()
    assert [each.reason for each in DIFFERENCES if each.reason not in manual] == []


def test_wireshark_gives_a_whole_packets_ports_to_its_last_fragment(tmp_path: Path) -> None:
    payload = udp(50000, 80, bytes(16))
    frames = [
        ("port1", ethernet(0x0800, ipv4(17, payload[:16], more=True)), 50),
        ("port1", ethernet(0x0800, ipv4(17, payload[16:], offset=2)), 42),
    ]
    assert verdicts(tmp_path, frames, ["udp.port == 80"]) == [{1}]
    assert verdicts(tmp_path, frames, ["udp.port == 80"], NO_REASSEMBLY) == [{0}]
    assert [matches(parse("udpPort == 80"), key) for key in _keys(frames)] == [True, False]
