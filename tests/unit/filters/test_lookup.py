"""Many filters at once, of which only those run that need what a packet has: the same as one by one."""

from __future__ import annotations

import random

import pytest

from allegro.capture import _packets
from allegro.filters.fields import Field, Operator
from allegro.filters.parse import parse
from allegro.filters.program import compiled, for_interface
from allegro.filters.reference import matches
from allegro.filters.tree import Compare, Network, Or, Tree
from tests.harness import random_packets
from tests.harness.frame_key import key_of
from tests.harness.layers import ethernet, ipv4, ipv6, labels, tcp, udp, vxlan
from tests.unit.capture.blocks import Frame
from tests.unit.filters.test_program import T, compare, verdicts

pytestmark = pytest.mark.spec("F4", "T4")


@pytest.mark.parametrize("seed", [1000, 1001])
def test_a_long_table_finds_what_the_plain_one_says(seed: int) -> None:
    compare(seed, frames=60, filters=150)


def addresses(count: int) -> Tree:
    """Any of so many: two facts each."""
    return Or(
        tuple(
            Compare(Field.IP, Operator.EQUAL, Network(4, 0x0A000000 + number, 32)) for number in range(count)
        )
    )


TEXTS = (
    *(f"ip == 10.0.0.{number}" for number in range(100)),
    # More columns than are looked up: each length of a subnet is one, for either end.
    *(f"srcIp == 10.128.1.2/{length} or dstIp == 10.0.0.9/{length}" for length in range(1, 33)),
    *(f"ip == 2001:db8::1/{length}" for length in (1, 7, 8, 64, 127, 128)),
    *(f"mac ~ {'02:00:00:00:00:0a'[: 3 * size - 1]}" for size in range(1, 6)),
    # Ranges that are values, and that are none.
    "portrange == 80-95", "portrange == 80-96", "portrange == 1,5,7,80",
    "length == 60", "length > 60", "vlan < 8", "port >= 65535",
    # Either end of a condition; nothing at all; everything.
    "ip == 10.0.0.1 and port == 80", "ip == 10.0.0.1 or port == 80", "not ip == 10.0.0.1", "ip != 10.0.0.1",
    "not (ip != 10.0.0.1 or port != 80)", "ip === 10.0.0.0/8", "port < 0", "", "vlan == none", "mpls === 100",
    "(length > 5 or dscp == 3) and (length > 6 or dscp == 4) and ip == 10.0.0.1", "interface == port2",
    "interface == port1 and vlan == 7", "mpls == 100 or vxlan == 5000", "l4Protocol == udp", "innerVlan == 7",
    # The same again and again: what is needed must not double with each.
    " and ".join(f"(length > {number} or dscp == 3)" for number in range(40))
    + " and ip == 10.0.0.1",
    " or ".join(f"(port == {number} and vlan == 7)" for number in range(60, 90)),
)  # fmt: skip
TREES = [addresses(500), addresses(600), *(parse(text) for text in TEXTS)]


def frames() -> list[bytes]:
    chance = random.Random(3)
    inner = ipv4(6, tcp(80, 5000), source="10.0.0.1", destination="10.0.2.2")
    return [
        *(
            ethernet(0x0800, ipv4(6, tcp(port, 443), source=source, destination="10.128.1.2"))
            for source in ("10.0.0.1", "10.0.0.99", "10.0.1.243", "10.0.2.87", "11.0.0.1")
            for port in (79, 80, 95, 96)
        ),
        ethernet(0x0800, inner, tags=((0x8100, 7),)),
        ethernet(0x0800, inner, tags=((0x88A8, 9), (0x8100, 7))),
        ethernet(0x8847, labels(16, 100) + inner),
        ethernet(0x86DD, ipv6(17, udp(4789, 4789, vxlan(5000)), source="2001:db8::1", destination="::")),
        *(random_packets.frame(chance) for _ in range(30)),
    ]


@pytest.mark.parametrize("rows", [len(TREES), 64, 1])
def test_rows_of_each_kind_beside_each_other(rows: int) -> None:
    received = [Frame(T + number, data) for number, data in enumerate(frames())]
    for begin in range(0, len(TREES), rows):
        trees = TREES[begin : begin + rows]
        programs = [for_interface(compiled(tree), "port1") for tree in trees]
        for tree, found in zip(trees, verdicts(received, programs), strict=True):
            keys = [key_of(one.data, interface="port1", length=len(one.data)) for one in received]
            assert found == [matches(tree, key) for key in keys], tree


def test_rows_are_made_once_and_used_by_all() -> None:
    """A handle outlives what it was made of."""
    rows = _packets.rows([bytearray(compiled(parse(f"port == {number}"))) for number in range(100)])
    assert _packets.match(b"", b"", 0, 2**62, 0, rows) == (0, (b"",) * 100)
    assert _packets.matching_parts(rows, b"") is None
    assert _packets.matching_parts(_packets.rows([]), b"") == []
