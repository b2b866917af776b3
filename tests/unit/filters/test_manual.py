"""The manual of filters is true: its examples find the packets that it says, its lists are whole."""

import json
import re
import struct

import pytest

from allegro.capture import _packets
from allegro.filters.device import Device
from allegro.filters.fields import Field
from allegro.filters.mistake import FilterError
from allegro.filters.numbers import CODE_POINTS, PROTOCOLS
from allegro.filters.parse import parse
from allegro.filters.program import for_interface
from allegro.filters.reference import matches
from allegro.filters.syntax import DEEPEST, LONGEST
from allegro.filters.translate import device_with, translated
from allegro.filters.tree import Tree
from allegro.settings.link_groups import LinkGroups
from tests.harness.frame_key import key_of
from tests.harness.judge import Judge
from tests.harness.qemu import REPOSITORY
from tests.unit.capture.blocks import Frame, block, index_of
from tests.unit.filters.manual_packets import PACKETS

MANUAL = (REPOSITORY / "docs/manual/filters.md").read_text()
EXAMPLES = re.findall(r"\| `([^`]+)` \| ([A-I](?: [A-I])*) \|$", MANUAL, re.MULTILINE)
PORTS = {"port1", "port2"}
GROUPS = LinkGroups.model_validate({"links": json.loads(re.findall(r"'groups\.links=(\[.*\])'", MANUAL)[0])})
JUDGE = Judge()


def test_there_is_an_example_for_each_field() -> None:
    rows = re.findall(r"^\| `(\w+)`(?: \||\()", MANUAL, re.MULTILINE)
    assert [name for name in rows if name != "eq"] == [field.type.name for field in Field]
    assert {name.split()[0].lower() for name, _ in EXAMPLES} >= {field.type.name.lower() for field in Field}
    assert len(EXAMPLES) >= 45


@pytest.mark.spec("F1", "F2", "F3", "F4", "F7")
@pytest.mark.parametrize(("text", "letters"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
def test_an_example_finds_what_the_manual_says(text: str, letters: str) -> None:
    """Asked plainly, and as captures ask."""
    tree = parse(text, device_with(sorted(PORTS), GROUPS.texts))
    plain = {letter for letter, (port, frame) in PACKETS.items() if passes(tree, port, frame)}
    assert plain == set(letters.split())
    shown, program = translated(text, sorted(PORTS), GROUPS.texts)
    assert parse(shown) == tree
    assert {letter for port in PORTS for letter in passing(port, program)} == plain


def passes(tree: Tree, port: str, frame: bytes) -> bool:
    groups = [(name, parse(condition)) for name, condition in GROUPS.texts]
    key = key_of(frame, interface=port)
    return matches(tree, key, groups, bpf=lambda expression: JUDGE(expression, frame, len(frame)))


def passing(port: str, program: bytes) -> list[str]:
    """The letters of the packets of a port that the program of extractions lets through."""
    here = [(letter, frame) for letter, (where, frame) in PACKETS.items() if where == port]
    whole = block([Frame(number, frame) for number, (_, frame) in enumerate(here)])
    window = (0, len(here), 0)
    _, (index,) = _packets.match(
        whole, index_of(whole), *window, _packets.rows([for_interface(program, port)])
    )
    return [here[number][0] for number, _, _ in struct.iter_unpack("<QII", index)]


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


@pytest.mark.spec("L4", "F5")
def test_a_group_is_refused_where_there_is_none() -> None:
    with pytest.raises(FilterError, match="no link groups"):
        parse("group == office", Device(groups=()))
