"""A checked filter as plain data. What is in such a tree makes sense; only what names mean is open.

A tree that `parse` returns is in one form: no And directly in an And, no Or in an Or, no Not in a Not, at
least two terms in each (but EVERYTHING), values normalised. So trees are equal if their texts say the same in
the same order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from allegro.filters.fields import Field, Operator


class Nothing(Enum):
    """The value `none`: the packet has no such thing."""

    NONE = "none"


NONE = Nothing.NONE


@dataclass(frozen=True)
class Network:
    """A subnet, or an address (prefix 32 or 128). Bits of `address` behind the prefix are 0."""

    version: int  # 4 or 6
    address: int
    prefix: int

    @property
    def bits(self) -> int:
        """Of an address of this version."""
        return 32 if self.version == 4 else 128

    def holds(self, version: int, address: int) -> bool:
        """Whether an address lies in it. An IPv4 address is in no IPv6 network, whatever it is mapped to."""
        return version == self.version and address >> self.bits - self.prefix == self.address >> (
            self.bits - self.prefix
        )


@dataclass(frozen=True)
class Mac:
    """48 bits: those of `mask` count, the others of `address` are 0."""

    address: int
    mask: int = (1 << 48) - 1


@dataclass(frozen=True)
class Ports:
    """Ranges (first, last), both included, in order, with a gap between each and the next."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Compare:
    """A field, an operator that it has, a value of its kind: Network, Mac, int, Ports, name, or NONE.

    NONE goes with EQUAL, NOT_EQUAL and EXACTLY of optional fields.
    """

    field: Field
    operator: Operator
    value: Network | Mac | int | Ports | str | Nothing


@dataclass(frozen=True)
class Bpf:
    """An expression of pcap-filter(7), as it is: asked of the frame with all its tags."""

    expression: str


@dataclass(frozen=True)
class Not:
    """True where the term is not."""

    term: "Tree"


@dataclass(frozen=True)
class And:
    """True where all terms are; so without terms everywhere."""

    terms: "tuple[Tree, ...]"


@dataclass(frozen=True)
class Or:
    """True where a term is."""

    terms: "tuple[Tree, ...]"


Tree = Compare | Bpf | Not | And | Or

Groups = Sequence[tuple[str, Tree]]
"""Link groups in their order: name, and what belongs to it (without conditions on groups)."""

EVERYTHING = And(())
"""What the empty text means."""


def name_matches(operator: Operator, wanted: str, name: str) -> bool:
    """Whether an interface or group called `name` is meant. For operators of names but NOT_EQUAL."""
    if operator is Operator.EXACTLY:
        return name == wanted
    if operator is Operator.LIKE:
        return wanted.casefold() in name.casefold()
    return name.casefold() == wanted.casefold()
