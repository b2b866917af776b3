"""The reader of frames that all faster ones are judged by: right at known frames, and cut at every length."""

import struct

import pytest

from allegro.filters.key import Fragment, PacketKey
from tests.harness import layers
from tests.harness.frame_key import key_of
from tests.harness.layers import ethernet, ipv4, ipv6, labels, sctp, tcp, udp, vxlan

pytestmark = pytest.mark.spec("F3", "F7")

HERE, THERE = 0xC0000201, 0xC0000202
WEB = ipv4(6, tcp(50000, 80), dscp=46)
OPTIONS = bytes.fromhex("94040000")


def key(frame: bytes) -> dict[str, object]:
    """What is there, but length and MAC addresses."""
    empty = PacketKey(len(frame), destination_mac=layers.DESTINATION, source_mac=layers.SOURCE)
    return {name: value for name, value in vars(key_of(frame)).items() if value != getattr(empty, name)}


WEB_KEY: dict[str, object] = {
    "version": 4,
    "source": HERE,
    "destination": THERE,
    "dscp": 46,
    "protocol": 6,
    "source_port": 50000,
    "destination_port": 80,
}


@pytest.mark.parametrize(
    ("tags", "vlans"),
    [
        ((), ()),
        (((0x8100, 7),), (7,)),
        (((0x8100, 0xE000),), (0,)),
        (((0x88A8, 0x4000 | 100), (0x8100, 0xB007)), (100, 7)),
        (((0x9100, 100), (0x8100, 7)), (100, 7)),
    ],
)
def test_a_packet_is_the_same_behind_tags(tags: tuple[tuple[int, int], ...], vlans: tuple[int, ...]) -> None:
    found = key(ethernet(0x0800, WEB, tags=tags))
    assert found.pop("vlans", ()) == vlans
    assert found == WEB_KEY


def test_behind_a_third_tag_nothing_is_looked_at() -> None:
    tags = ((0x88A8, 1), (0x8100, 2), (0x8100, 3))
    assert key(ethernet(0x0800, WEB, tags=tags)) == {"vlans": (1, 2)}


def test_ipv4_with_options_and_in_fragments() -> None:
    assert key(ethernet(0x0800, ipv4(17, udp(5, 6), options=OPTIONS)))["destination_port"] == 6
    first = key(ethernet(0x0800, ipv4(17, udp(5, 6), more=True)))
    assert (first["fragment"], first["source_port"]) == (Fragment.FIRST, 5)
    for more in (True, False):
        later = key(ethernet(0x0800, ipv4(17, udp(5, 6), more=more, offset=185)))
        assert (later["fragment"], later["protocol"], "source_port" in later) == (Fragment.LATER, 17, False)


def test_what_is_no_ip_packet_has_no_addresses() -> None:
    assert key(ethernet(0x0806, bytes(28))) == {}
    assert key(ethernet(0x0800, b"\x65" + WEB[1:])) == {}
    assert key(ethernet(0x0800, b"\x44" + WEB[1:])) == {}  # a header of 16 bytes
    assert key(ethernet(0x86DD, b"\x45" + ipv6(6, tcp(1, 2))[1:])) == {}


def test_ipv6_behind_its_extension_headers() -> None:
    plain = key(ethernet(0x86DD, ipv6(17, udp(5, 6), dscp=46)))
    assert (plain["version"], plain["dscp"], plain["protocol"], plain["source_port"]) == (6, 46, 17, 5)
    options, routing = bytes([43, 1]) + bytes(14), bytes([51, 0]) + bytes(6)
    authentication = bytes([60, 4]) + bytes(22)  # in units of 4 bytes, minus 2 (RFC 4302)
    destination = bytes([132, 0]) + bytes(6)
    long = ipv6(0, options + routing + authentication + destination + sctp(7, 8))
    found = key(ethernet(0x86DD, long))
    assert (found["protocol"], found["source_port"], found["destination_port"]) == (132, 7, 8)


def test_ipv6_in_fragments() -> None:
    def fragment(offset: int, more: bool, following: int = 17) -> dict[str, object]:
        head = struct.pack("!BBHI", following, 0, offset << 3 | more, 1)
        return key(ethernet(0x86DD, ipv6(44, head + udp(5, 6))))

    assert fragment(0, True)["fragment"] is Fragment.FIRST
    assert fragment(0, True)["source_port"] == 5
    assert "fragment" not in fragment(0, False)
    later = fragment(9, False, following=60)
    assert (later["fragment"], later["protocol"], "source_port" in later) == (Fragment.LATER, 60, False)


def test_extension_headers_without_end_are_given_up() -> None:
    more = bytes([60, 0]) + bytes(6)
    last = bytes([17, 0]) + bytes(6)
    assert key(ethernet(0x86DD, ipv6(60, more * 7 + last + udp(5, 6))))["source_port"] == 5
    found = key(ethernet(0x86DD, ipv6(60, more * 8 + last + udp(5, 6))))
    assert "protocol" not in found
    assert "source" in found


def test_mpls_labels_and_what_lies_behind_them() -> None:
    assert key(ethernet(0x8847, labels(100, 16) + WEB)) == WEB_KEY | {"labels": (100, 16)}
    assert key(ethernet(0x8848, labels(3) + ipv6(6, tcp(1, 2))))["version"] == 6
    assert key(ethernet(0x8847, labels(3) + bytes(20))) == {"labels": (3,)}  # a pseudowire's control word
    assert key(ethernet(0x8847, labels(*range(8)) + WEB))["source"] == HERE
    assert key(ethernet(0x8847, labels(*range(9)) + WEB)) == {"labels": tuple(range(8))}


def test_vxlan_network_identifier() -> None:
    def vni(payload: bytes, port: int = 4789) -> object:
        return key(ethernet(0x0800, ipv4(17, udp(1, port, payload)))).get("vni")

    assert vni(vxlan(5000, ethernet(0x0800, WEB))) == 5000
    assert vni(vxlan(5000)) == 5000
    assert vni(vxlan(5000), port=4790) is None
    assert vni(bytes(8)) is None
    assert vni(vxlan(5000)[:7]) is None


def test_a_frame_cut_anywhere_says_what_its_bytes_say() -> None:
    whole = ethernet(0x0800, ipv4(17, udp(1, 4789, vxlan(5))), tags=((0x88A8, 100), (0x8100, 7)))
    full = key_of(whole)
    for size in range(len(whole)):
        cut = key_of(whole[:size], length=len(whole))
        expected = PacketKey(
            len(whole),
            destination_mac=full.destination_mac if size >= 14 else None,
            source_mac=full.source_mac if size >= 14 else None,
            vlans=full.vlans if size >= 22 else full.vlans[:1] if size >= 18 else (),
            version=4 if size >= 42 else None,
            source=full.source if size >= 42 else None,
            destination=full.destination if size >= 42 else None,
            dscp=0 if size >= 42 else None,
            protocol=17 if size >= 42 else None,
            source_port=1 if size >= 46 else None,
            destination_port=4789 if size >= 46 else None,
        )
        assert cut == expected, size
    assert full.vni == 5


def test_an_extension_header_cut_off_hides_what_follows() -> None:
    head = struct.pack("!BBHI", 17, 0, 1, 1)
    whole = ethernet(0x86DD, ipv6(0, bytes([44, 0]) + bytes(6) + head + udp(5, 6)))
    for size in range(54, 70):
        found = key(whole[:size])
        assert "protocol" not in found, size
        assert "fragment" not in found, size
    assert key(whole[:70])["protocol"] == 17
