from typing import Any

import pytest

from allegro.errors import InvalidInput
from allegro.settings.recording import MOST_RULES
from allegro.settings.settings_file import validated
from allegro.supervisor.recorder_process import wanted_rules

pytestmark = pytest.mark.spec("R3", "F5")

GOOD = {"name": "phones", "filter": "udpPort == 5060", "bytes": 200}


def with_rules(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"recording": {"rules": rules}}


def test_rules_keep_their_order_and_only_those_in_force_count() -> None:
    settings = validated(
        with_rules(
            GOOD, {"name": "off", "action": "discard", "enabled": False}, {"name": "rest", "action": "whole"}
        )
    )
    assert [rule.name for rule in settings.recording.rules] == ["phones", "off", "rest"]
    assert [(rule.name, rule.length) for rule in settings.recording.rules_in_force()] == [
        ("phones", 200),
        ("rest", None),
    ]
    assert validated({}).recording.rules_in_force() == ()


@pytest.mark.parametrize(
    ("rule", "place", "words"),
    [
        ({**GOOD, "filter": "port = 80"}, "filter", r"Column 6: = compares nothing\. Do you mean ==\?"),
        ({**GOOD, "filter": 'bpf("arp")'}, "filter", "kernel cannot test bpf"),
        ({**GOOD, "filter": 'bpf("arp")', "enabled": False}, "filter", "kernel cannot test bpf"),
        ({**GOOD, "filter": "group == left"}, "filter", "slicing rule phones names a link group: Column"),
        ({**GOOD, "bytes": None}, "bytes", "how many bytes"),
        ({**GOOD, "bytes": 0}, "bytes", "at least 1"),
        ({**GOOD, "bytes": 65536}, "bytes", "at most 65535"),
        ({**GOOD, "name": ""}, "name", "not be empty"),
        ({**GOOD, "action": "shorten"}, "action", "'keep', 'discard' or 'whole'"),
    ],
)
def test_a_mistake_is_refused_with_its_place(rule: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        validated(with_rules(GOOD, rule))
    assert caught.value.place == f"recording.rules.1.{place}"


def test_the_rule_that_does_not_fit_any_more_is_named() -> None:
    many = " or ".join(f"ip == 10.{number // 200}.{number % 200}.1" for number in range(200))
    off = {**GOOD, "enabled": False, "filter": many}
    with pytest.raises(InvalidInput, match="more than the kernel can run") as caught:
        validated(with_rules(off, *({**GOOD, "name": f"list {row}", "filter": many} for row in range(20))))
    row = int(caught.value.place.split(".")[2])
    assert caught.value.place == f"recording.rules.{row}.filter"
    assert f'"list {row - 1}"' in caught.value.message
    validated(with_rules(off, *({**GOOD, "filter": many} for _ in range(row - 1))))


def test_there_is_a_most_of_rules() -> None:
    validated(with_rules(*(GOOD for _ in range(MOST_RULES))))
    with pytest.raises(InvalidInput, match="at most 64"):
        validated(with_rules(*(GOOD for _ in range(MOST_RULES + 1))))


@pytest.mark.spec("L4")
def test_a_rule_may_ask_for_a_link_group_and_follows_it() -> None:
    raw = with_rules({**GOOD, "filter": "group == phones", "action": "discard"})
    programs = []
    for vlan in ("7", "8"):
        settings = validated({**raw, "groups": {"links": [{"name": "phones", "vlans": vlan}]}})
        rules = wanted_rules(settings)
        assert rules.text.endswith(f"discard group == phones; link groups: phones (vlan == {vlan})")
        programs.append(rules.program("port1"))
    assert programs[0] != programs[1]
