"""What can be written next: words that are right where they stand."""

import pytest

from allegro.filters.completion import MOST_SEEN, Completion, complete, fields
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


def test_values_that_packets_have_had_follow_on_the_devices_own_names() -> None:
    seen = {
        Field.IP: ["192.0.2.9", "192.0.2.200", "10.0.0.1"],
        Field.VLAN: [str(number) for number in range(100, 200)],
        Field.INTERFACE: ["port9"],
    }

    def known() -> dict[Field, list[str]]:
        return seen

    assert complete("ip == 19", DEVICE, known) == Completion(6, ("192.0.2.9", "192.0.2.200"))
    assert complete("ip != ", DEVICE, known).words == ("none", *seen[Field.IP])
    assert complete("vlan == ", DEVICE, known).words == ("none", *seen[Field.VLAN][:MOST_SEEN])
    assert complete("vlan < 15", DEVICE, known).words == tuple(seen[Field.VLAN][50:60])
    assert complete("ip < 1", DEVICE, known).words == ()


def test_what_packets_have_had_is_not_looked_at_where_no_value_can_stand() -> None:
    def seen() -> dict[Field, list[str]]:
        raise AssertionError

    assert complete("ip", DEVICE, seen).words == ("ip",)
    assert complete("ip == 192.0.2.1 a", DEVICE, seen).words == ("and",)
