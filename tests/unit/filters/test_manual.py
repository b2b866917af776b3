"""The manual of filters is true: its examples find the packets that it says, its lists are whole."""

import re

import pytest

from allegro.filters.canonical import canonical
from allegro.filters.device import Device
from allegro.filters.fields import Field
from allegro.filters.mistake import FilterError
from allegro.filters.numbers import CODE_POINTS, PROTOCOLS
from allegro.filters.parse import parse
from allegro.filters.reference import matches
from allegro.filters.syntax import DEEPEST, LONGEST
from tests.harness.frame_key import key_of
from tests.harness.qemu import REPOSITORY
from tests.unit.filters.manual_packets import PACKETS

MANUAL = (REPOSITORY / "docs/manual/filters.md").read_text()
EXAMPLES = re.findall(r"\| `([^`]+)` \| ([A-I](?: [A-I])*) \|$", MANUAL, re.MULTILINE)
PORTS = {"port1", "port2"}


def test_there_is_an_example_for_each_field() -> None:
    rows = re.findall(r"^\| `(\w+)`(?: \||\()", MANUAL, re.MULTILINE)
    assert [name for name in rows if name != "eq"] == [field.type.name for field in Field]
    assert {name.split()[0].lower() for name, _ in EXAMPLES} >= {field.type.name.lower() for field in Field}
    assert len(EXAMPLES) >= 45


@pytest.mark.spec("F1", "F2", "F3", "F4", "F7")
@pytest.mark.parametrize(("text", "letters"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
def test_an_example_finds_what_the_manual_says(text: str, letters: str) -> None:
    tree = parse(text, Device(interfaces=tuple(PORTS), groups=()))
    assert parse(canonical(tree)) == tree
    found = [
        letter
        for letter, (port, frame) in PACKETS.items()
        # libpcap's own verdict on such expressions is asked where it is used
        if matches(tree, key_of(frame, interface=port), bpf={"arp": letter == "E"}.__getitem__)
    ]
    assert found == letters.split()


def test_the_packets_are_as_long_as_the_manual_says() -> None:
    rows = re.findall(r"^\| ([A-I]) \| .* \| (port\d) \| (\d+) \|$", MANUAL, re.MULTILINE)
    assert {letter: (port, int(size)) for letter, port, size in rows} == {
        letter: (port, len(frame)) for letter, (port, frame) in PACKETS.items()
    }


def test_names_and_limits_are_those_of_the_language() -> None:
    (row,) = re.findall(r"^\| `l4Protocol` \|.*$", MANUAL, re.MULTILINE)
    assert set(re.findall(r"`([a-z]+\d?)`", row.split("|")[2])) <= PROTOCOLS.keys()
    (row,) = re.findall(r"^\| `dscp` \|.*$", MANUAL, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row.split("|")[2])) <= CODE_POINTS.keys()
    assert f"{LONGEST:,} characters" in MANUAL
    assert f"{DEEPEST} times" in MANUAL


@pytest.mark.spec("F5")
def test_a_group_is_refused_where_there_is_none() -> None:
    assert "This version has no link groups" in MANUAL
    with pytest.raises(FilterError):
        parse("group == office", Device(groups=()))
