"""What filters mean, where the manual has no example: groups in their order, names, laws that hold of all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allegro.filters.fields import Field, Operator
from allegro.filters.key import Fragment, PacketKey
from allegro.filters.parse import parse
from allegro.filters.reference import matches
from allegro.filters.tree import NONE, Compare, Groups, Not, Tree
from tests.harness.filter_trees import comparisons, trees

GROUPS: Groups = (
    ("Phones", parse("vlan == 7")),
    ("Office", parse("vlan != none")),
    ("Lost", parse("vlan == 7")),
)

KEYS = st.builds(
    PacketKey,
    length=st.integers(0, 30),
    interface=st.sampled_from(["port1", "port2", "Port 1"]),
    destination_mac=st.integers(0, 3),
    source_mac=st.integers(0, 3),
    vlans=st.lists(st.integers(0, 9), max_size=2).map(tuple),
    labels=st.lists(st.integers(0, 9), max_size=2).map(tuple),
    version=st.just(4),
    source=st.integers(0xC0000200, 0xC0000203),
    destination=st.integers(0xC0000200, 0xC0000203),
    dscp=st.integers(0, 9),
    protocol=st.sampled_from([1, 6, 17]),
    fragment=st.just(Fragment.NONE),
    source_port=st.integers(0, 9),
    destination_port=st.integers(0, 9),
    vni=st.none() | st.integers(0, 9),
)
"""Of packets that have most values, and few different ones."""


@pytest.mark.spec("L4")
@pytest.mark.parametrize(
    ("vlans", "passing"),
    [
        ((7,), {"group == Phones", "group ~ one", "group != office", "group != lost"}),
        ((100, 7), {"group == Phones", "group ~ one", "group != office", "group != lost"}),
        ((5,), {"group == office", "group === Office", "group != lost"}),
        ((), {"group == none", "group === none", "group != office", "group != lost"}),
    ],
)
def test_a_packet_belongs_to_the_first_group_that_matches(vlans: tuple[int, ...], passing: set[str]) -> None:
    texts = {"group == Phones", "group ~ one", "group == office", "group === Office", "group === office"}
    texts |= {"group != office", "group != lost", "group == lost", "group == none", "group === none"}
    key = PacketKey(60, vlans=vlans)
    assert {text for text in texts if matches(parse(text), key, GROUPS)} == passing


def test_capitals_count_for_exactly_alone() -> None:
    key = PacketKey(60, "Port 1")
    texts = ['interface == "PORT 1"', 'interface === "Port 1"', 'interface === "port 1"', "interface ~ ORT"]
    assert [matches(parse(text), key) for text in texts] == [True, True, False, True]


@pytest.mark.spec("F4")
@given(comparisons(), KEYS)
def test_not_equal_is_exactly_not_equal(compare: Compare, key: PacketKey) -> None:
    equal = Compare(compare.field, Operator.EQUAL, compare.value)
    different = Compare(compare.field, Operator.NOT_EQUAL, compare.value)
    assert matches(different, key, GROUPS) is not matches(equal, key, GROUPS)


@pytest.mark.spec("F4")
@given(trees(), KEYS)
def test_not_is_exactly_not(tree: Tree, key: PacketKey) -> None:
    assert matches(Not(tree), key, GROUPS) is not matches(tree, key, GROUPS)


@given(comparisons(), KEYS)
def test_exactly_is_stricter_than_equal(compare: Compare, key: PacketKey) -> None:
    exactly = Compare(compare.field, Operator.EXACTLY, compare.value)
    equal = Compare(compare.field, Operator.EQUAL, compare.value)
    assert not matches(exactly, key, GROUPS) or matches(equal, key, GROUPS)


def test_a_packet_without_the_value_matches_none_only() -> None:
    key = PacketKey(60)
    for field in Field:
        if field.type.optional:
            assert matches(Compare(field, Operator.EQUAL, NONE), key)
    assert not matches(
        parse("port == 0 or vlan == 0 or dscp <= 63 or l4Protocol >= 0 or ip == 0.0.0.0/0"), key
    )
    assert matches(parse("port != 0 and vlan != 0 and ip != ::/0"), key)
