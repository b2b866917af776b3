"""Link groups: what they ask for, what is refused, and where."""

from typing import Any

import pytest

from allegro.errors import InvalidInput
from allegro.filters.fields import Field
from allegro.filters.parse import parse
from allegro.settings.lenient import understood
from allegro.settings.link_groups import _LARGEST, _LONGEST, LinkGroup, LinkGroups
from allegro.settings.model import Settings
from allegro.settings.settings_file import validated

pytestmark = pytest.mark.spec("L4")

FIREWALL = {"name": "Firewall", "interfaces": "port1,port2", "vlans": "20 7;none"}


def test_values_of_a_criterion_are_or_and_criteria_are_and() -> None:
    group = LinkGroup.model_validate(FIREWALL)
    assert (group.interfaces, group.vlans) == ("port1, port2", "7, 20, none")
    assert (
        group.filter
        == "(interface == port1 or interface == port2) and (vlan == 7 or vlan == 20 or vlan == none)"
    )
    more = LinkGroup(name="x", mpls="16", vxlan="5000")
    assert more.filter == "mpls == 16 and vxlan == 5000"
    parse(group.filter)


def test_numbers_go_as_far_as_those_of_the_filter_language() -> None:
    fields = {"vlans": Field.VLAN, "mpls": Field.MPLS, "vxlan": Field.VXLAN}
    assert {name: field.type.largest for name, field in fields.items()} == _LARGEST
    from allegro.filters.syntax import LONGEST

    assert LONGEST == _LONGEST


@pytest.mark.parametrize(
    ("groups", "place", "words"),
    [
        ([{"name": "", "vlans": "7"}], "groups.links.0.name", "empty"),
        ([{"name": " ", "vlans": "7"}], "groups.links.0.name", "empty"),
        ([{"name": "x"}], "groups.links.0.interfaces", "At least one of"),
        ([{"name": "x", "vlans": "4096"}], "groups.links.0.vlans", "4096 is not a number from 0 to 4095"),
        ([{"name": "x", "mpls": "-1"}], "groups.links.0.mpls", "-1 is not a number"),
        ([{"name": "x", "interfaces": 'a"b'}], "groups.links.0.interfaces", "is not the name of a port"),
        (
            [FIREWALL, {"name": "firewall", "vlans": "1"}],
            "groups.links.1.name",
            "a group firewall already",
        ),
        ([{"name": str(each), "vlans": "1"} for each in range(101)], "groups.links", "at most 100"),
        (
            [{"name": "x", "interfaces": " ".join(map(str, range(100, 350)))}],
            "groups.links.0.name",
            "here are too many values",
        ),
    ],
)
def test_a_mistake_is_told_at_its_field(groups: list[dict[str, Any]], place: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        validated({"groups": {"links": groups}})
    assert refused.value.place == place
    assert words in refused.value.message


USING = {"trigger": {"filter": "group == firewall and port == 80"}}


def test_a_filter_may_name_a_group_that_is_there_and_no_other() -> None:
    settings = validated({"groups": {"links": [FIREWALL]}, **USING})
    assert settings.groups.texts[0][0] == "Firewall"
    for groups in ([], [{"name": "Firewal", "vlans": "7"}]):
        with pytest.raises(InvalidInput) as refused:
            validated({"groups": {"links": groups}, **USING})
        assert refused.value.place == "trigger.filter"
        assert "filter of the USB capture trigger names a link group" in refused.value.message
    assert "Do you mean Firewal?" in refused.value.message


def test_a_file_with_a_filter_of_a_group_that_is_gone_loses_that_filter_alone() -> None:
    read = understood({"trigger": {"filter": "group == Gone", "before_s": 7}, "links": {"mode": "sink"}})
    assert (read.settings.trigger.filter, read.settings.trigger.before_s) == ("", 7)
    assert read.settings.links.mode == "sink"
    assert [each.place for each in read.refused] == ["trigger.filter"]


def test_without_groups_nothing_is_asked_of_filters() -> None:
    assert Settings().groups == LinkGroups()
    assert LinkGroups().texts == ()
