"""What can be written next: words that are right where they stand."""

import pytest

from allegro.filters.completion import Completion, complete, fields
from allegro.filters.device import Device
from allegro.filters.fields import Field
from allegro.filters.parse import parse
from allegro.filters.syntax import LONGEST

DEVICE = Device(interfaces=("port1", "port 2"), groups=("Fire wall",))


@pytest.mark.parametrize(
    ("text", "start", "words"),
    [
        ("i", 0, ("ip", "innerVlan", "interface")),
        ("SRC", 0, ("srcIp", "srcMac")),
        ("ip ", 3, ("==", "!=", "===")),
        ("ip =", 3, ("==", "===")),
        ("length <", 7, ("<", "<=")),
        ("vlan == ", 8, ("none",)),
        ("vlan < ", 7, ()),
        ("vlan == 7 ", 10, ("and", "or")),
        ("(vlan == 7 a", 11, ("and",)),
        ("(vlan == 7 ", 11, (")", "and", "or")),
        ("l4Protocol == t", 14, ("tcp",)),
        ("interface == ", 13, ("port1", '"port 2"')),
        ("interface ~ po", 12, ("port1",)),
        ("group == ", 9, ('"Fire wall"', "none")),
        ("colour == ", 10, ()),
        ("ip < ", 5, ()),
        ("vlan == 7 oder ", 15, ()),
        ('interface == "po', 14, ()),
        ("vlan == 7 or " * 400, 13 * 400, ()),
    ],
)
def test_what_follows(text: str, start: int, words: tuple[str, ...]) -> None:
    assert complete(text, DEVICE) == Completion(start, words)


def test_a_filter_can_be_made_of_first_suggestions_alone() -> None:
    begun = ["", "l4Protocol ", "l4Protocol == ", "l4Protocol == icmp ", "l4Protocol == icmp and not ("]
    for text, word in zip(begun, ("l4Protocol", "==", "icmp", "and", "vlan"), strict=True):
        assert word in complete(text, DEVICE).words
    assert {"ip", "not", "(", 'bpf("'} <= set(complete("vlan == 7 and ", DEVICE).words)
    assert len("vlan == 7 or " * 400) > LONGEST


def test_all_fields_with_what_can_be_asked_of_them() -> None:
    help_ = fields(DEVICE)
    assert [each.name for each in help_] == [field.type.name for field in Field]
    for each in help_:
        for operator in each.operators:
            for value in each.values:
                if operator in ("==", "!=", "==="):
                    parse(f"{each.name} {operator} {value}", DEVICE)
    by_name = {each.name: each for each in help_}
    assert by_name["interface"].values == ("port1", '"port 2"')
    assert by_name["vlan"].values == ("none",)
    assert by_name["dscp"].values[-1] == "none"
    assert by_name["vlan"].expects == "a number from 0 to 4095 (or none)"
