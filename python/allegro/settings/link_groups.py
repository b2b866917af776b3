"""Link groups: names for parts of what the measuring ports receive, for filters.

A group is a condition of the filter language, made here as text: what it means is said in one place only.
"""

import re
from collections.abc import Sequence
from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from allegro.settings.base import Section, Text, mistake

MOST = 100

_LONGEST = 4096  # of a filter (allegro.filters.syntax)
_SEPARATOR = re.compile(r"[\s,;]+")
_PORT = re.compile(r"[A-Za-z0-9._-]{1,32}")

_CRITERIA = {"interfaces": "interface", "vlans": "vlan", "mpls": "mpls", "vxlan": "vxlan"}
"""Fields of a group → fields of filters."""

_LARGEST = {"vlans": 4095, "mpls": (1 << 20) - 1, "vxlan": (1 << 24) - 1}  # IEEE 802.1Q, RFC 3032, RFC 7348


class LinkGroup(Section):
    """A packet belongs to it if each criterion that is not empty has a value that the packet has."""

    name: Text = Field(min_length=1, max_length=64, description='For filters: group == "Firewall"')
    interfaces: Text = Field(
        default="", max_length=1024, title="Ports", description="Names of measuring ports; empty: any"
    )
    vlans: Text = Field(
        default="",
        max_length=1024,
        title="VLANs",
        description="Ids of any VLAN tag, none: without one; empty: any",
    )
    mpls: Text = Field(
        default="", max_length=1024, title="MPLS labels", description="Any of the labels, none; empty: any"
    )
    vxlan: Text = Field(
        default="", max_length=1024, title="VXLAN", description="Network numbers (VNI), none; empty: any"
    )

    @field_validator("name")
    @classmethod
    def _name_has_no_blanks_around(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is empty")
        return value.strip()

    @field_validator("interfaces")
    @classmethod
    def _interfaces_are_names(cls, value: str) -> str:
        names = _values(value)
        for name in names:
            if not _PORT.fullmatch(name):
                raise ValueError(f"{name} is not the name of a port; write port1, port2, …")
        return ", ".join(names)

    @field_validator(*_LARGEST)
    @classmethod
    def _numbers_are_numbers(cls, value: str, info: ValidationInfo) -> str:
        largest = _LARGEST[str(info.field_name)]
        values = [each.lower() for each in _values(value)]
        for each in values:
            if each != "none" and not (each.isascii() and each.isdigit() and int(each) <= largest):
                raise ValueError(f"{each} is not a number from 0 to {largest}, and not none")
        numbers = sorted({int(each) for each in values if each != "none"})
        return ", ".join([*map(str, numbers), *(["none"] if "none" in values else [])])

    @model_validator(mode="after")
    def _something_is_asked_for(self) -> Self:
        if not self.filter:
            raise mistake(
                "at least one of ports, VLANs, MPLS labels and VXLAN numbers is needed", "", "interfaces"
            )
        if len(self.filter) > _LONGEST:
            raise mistake("there are too many values in this group", "", "name")
        return self

    @property
    def filter(self) -> str:
        """What belongs to it, as the text of a filter; the order of the groups is not looked at."""
        parts = []
        for name, field in _CRITERIA.items():
            terms = [f"{field} == {each}" for each in _values(getattr(self, name))]
            if terms:
                parts.append(terms[0] if len(terms) == 1 else f"({' or '.join(terms)})")
        return " and ".join(parts)


class LinkGroups(Section):
    """Link groups."""

    links: tuple[LinkGroup, ...] = Field(
        default=(),
        max_length=MOST,
        title="Link groups",
        description="A packet belongs to the first group that it fits; within a field one value is enough",
        json_schema_extra={"ordered": True},
    )

    @field_validator("links")
    @classmethod
    def _each_name_once(cls, value: tuple[LinkGroup, ...]) -> tuple[LinkGroup, ...]:
        names = [each.name.casefold() for each in value]
        for row, name in enumerate(names):
            if name in names[:row]:
                raise mistake(f"there is a group {value[row].name} already", value[row].name, row, "name")
        return value

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Name and filter of each, in their order."""
        return tuple((group.name, group.filter) for group in self.links)


def _values(text: str) -> Sequence[str]:
    """In their order, each once."""
    return list(dict.fromkeys(part for part in _SEPARATOR.split(text) if part))
