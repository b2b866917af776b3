"""Slicing rules from their texts to what the recorder is told. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from allegro.errors import InvalidInput
from allegro.filters.device import GroupTexts
from allegro.filters.kernel_program import RuleError, assembled, for_ports
from allegro.filters.parse import parse
from allegro.filters.slicing import BYTES_MAX, Action, Rule, described
from allegro.filters.translate import checked, device_with, names_group

MEASURING_PORTS = tuple(f"port{number}" for number in range(1, 65))
"""Names of ports for which there are programs, whether they are there yet or not; a machine has fewer."""


@dataclass(frozen=True)
class Text:
    """A rule as it is written; `action` is the value of an Action, `length` in bytes."""

    name: str
    filter: str
    action: str
    length: int | None = None


@dataclass(frozen=True)
class RuleSet:
    """Rules in words, and the program of each port; both empty if there are no rules."""

    described: str
    programs: dict[str, bytes]


def check(rule: Text) -> None:
    """Raises InvalidInput if the rule's filter is none, or not for the kernel. Any name may be one."""
    checked(rule.filter, groups=None)
    try:
        assembled([_read(rule)], MEASURING_PORTS[0])
    except RuleError as error:
        why = error.message.partition(": ")[2]
        raise InvalidInput(why[:1].upper() + why[1:], place="filter", remedy=error.remedy) from None


@lru_cache(8)  # checked when settings are read, changed, and told to the recorder
def rule_set(rules: tuple[Text, ...], groups: GroupTexts) -> RuleSet:
    """What these rules come to with these link groups. Raises RuleError, or InvalidInput for a filter that is
    none."""
    if not rules:
        return RuleSet("", {})
    read = [_read(rule) for rule in rules]
    asked = any(names_group(rule.tree) for rule in read)
    trees = [(name, parse(condition)) for name, condition in groups] if asked else []
    return RuleSet(described(read, trees), for_ports(read, MEASURING_PORTS, trees))


@lru_cache(256)
def _read(rule: Text) -> Rule:
    tree = parse(rule.filter, device_with(None, None))
    return Rule(rule.name, tree, Action(rule.action), rule.length or BYTES_MAX)
