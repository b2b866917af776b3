"""Slicing rules: how much of each packet is recorded. The first rule that matches decides. No I/O.

Lengths are bytes on the wire, with all VLAN tags and without checksum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from allegro.filters.canonical import canonical
from allegro.filters.key import PacketKey
from allegro.filters.reference import matches
from allegro.filters.tree import EVERYTHING, Groups, Tree

BYTES_MAX = 65535
TAG_LENGTH = 4
TAG_OFFSET = 12
"""A VLAN tag stands behind the two MAC addresses (IEEE 802.1Q)."""

LONGEST_TEXT = 1500
"""Characters of `described`: it goes into a record of 4 KiB, where each may take up to two bytes."""

_ALL_NAMED = 40
"""Characters of a filter that are shown however many rules there are."""


class Action(Enum):
    """What becomes of a packet that a rule matches; the values are those of the settings."""

    KEEP = "keep"
    DISCARD = "discard"
    WHOLE = "whole"


@dataclass(frozen=True)
class Rule:
    """`length`: of KEEP, 1 to BYTES_MAX."""

    name: str
    tree: Tree
    action: Action
    length: int = BYTES_MAX


def deciding(rules: Sequence[Rule], key: PacketKey, groups: Groups = ()) -> Rule | None:
    """The first rule that matches; None if none does, and then the packet is kept whole."""
    return next((rule for rule in rules if matches(rule.tree, key, groups)), None)


def kept(rule: Rule | None, length: int, *, tag_taken_out: bool) -> int:
    """How much is kept of a packet of `length` bytes that this rule decides on.

    The kernel keeps a tag that it has taken out beside the packet, so as a whole: a packet that would end
    within that tag ends before it, with the eleventh byte, because with the twelfth the tag comes back.
    """
    if rule is None or rule.action is Action.WHOLE:
        return length
    if rule.action is Action.DISCARD:
        return 0
    wanted = rule.length
    if tag_taken_out and TAG_OFFSET <= wanted < TAG_OFFSET + TAG_LENGTH:
        wanted = TAG_OFFSET - 1
    return min(wanted, length)


def described(rules: Sequence[Rule], groups: Groups = ()) -> str:
    """The rules in words, in their order, in at most LONGEST_TEXT characters; empty if there are none.

    `groups` are those that decide about a rule.
    """
    for longest in (LONGEST_TEXT, 200, _ALL_NAMED):
        text = "; ".join(
            f"{number}. {rule.name}: {_deed(rule)} {_which(rule.tree, longest)}"
            for number, rule in enumerate(rules, 1)
        )
        if groups:
            text += "; link groups: " + ", ".join(
                f"{name} ({_which(tree, longest)})" for name, tree in groups
            )
        if len(text) <= LONGEST_TEXT:
            return text
    return text[: LONGEST_TEXT - 1] + "…"


def _deed(rule: Rule) -> str:
    match rule.action:
        case Action.KEEP:
            return f"keep {rule.length} byte{'s' * (rule.length != 1)} of"
        case Action.DISCARD:
            return "discard"
        case Action.WHOLE:
            return "keep whole"


def _which(tree: Tree, longest: int) -> str:
    text = "all packets" if tree == EVERYTHING else canonical(tree)
    return text if len(text) <= longest else text[: longest - 1] + "…"
