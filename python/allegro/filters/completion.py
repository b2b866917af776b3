"""What can be written next in a filter: for a page or a shell that helps while somebody types."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from allegro.filters import explain, syntax
from allegro.filters.device import ANY_DEVICE, Device
from allegro.filters.explain import Word
from allegro.filters.fields import ORDERS, Field, Kind, Operator, operators
from allegro.filters.tree import NONE
from allegro.filters.values import NUMBERED, expected, written


@dataclass(frozen=True)
class FieldHelp:
    """A field with what can be asked of it. `values`: those known by name; `expects`: all, in words."""

    name: str
    operators: tuple[str, ...]
    values: tuple[str, ...]
    expects: str


@dataclass(frozen=True)
class Completion:
    """What the piece of the text from offset `start` on can be replaced with, each a whole word."""

    start: int
    words: tuple[str, ...]


def fields(device: Device = ANY_DEVICE) -> tuple[FieldHelp, ...]:
    """All fields, in the order of the manual."""
    return tuple(
        FieldHelp(
            field.type.name,
            tuple(explain.spelled(field)),
            tuple(_values(field, Operator.EQUAL, device)),
            expected(field, Operator.EQUAL),
        )
        for field in Field
    )


MOST_SEEN = 20
"""Values of packets that are offered at a time: who types on finds others."""

Seen = Callable[[], Mapping[Field, Sequence[str]]]


def complete(text: str, device: Device = ANY_DEVICE, seen: Seen = dict) -> Completion:
    """What can follow on `text`, which ends at the cursor; no words if nothing can, or the text breaks the
    grammar. A value before that is none of its field does not keep back what may follow.

    `seen`: values that packets have had, as filters write them; asked only where one can stand.
    """
    if len(text) > syntax.LONGEST:
        return Completion(len(text), ())
    begun = re.search(r'(?:[=!<>~&|]+|[^\s()"=!<>~&|]*)$', text)
    start = begun.start() if begun else len(text)
    accepted, before = syntax.accepted_after(text[:start])
    piece = text[start:].lower()
    words = [word for kind in sorted(accepted) for word in _words(kind, before, device)]
    fitting = [word for word in words if word.lower().startswith(piece)]
    if "VALUE" in accepted and (field := _asked_field(before)):
        others = (word for word in seen().get(field, ()) if word.startswith(piece) and word not in fitting)
        fitting += itertools.islice(others, MOST_SEEN)
    return Completion(start, tuple(fitting))


def _words(kind: str, before: list[tuple[str, Word]], device: Device) -> list[str]:
    """The words of a kind that the grammar accepts."""
    match kind:
        case "NAME":
            return [*(field.type.name for field in Field), 'bpf("', "not", "("]
        case "OPERATOR":
            field = explain.FIELDS.get(before[-1][1].text.lower())
            return explain.spelled(field) if field else []
        case "VALUE":
            field = _asked_field(before)
            return _values(field, _operator(before), device) if field else []
        case "_AND":
            return ["and", "or"]
        case "RPAR":
            return [")"]
    return []


def _asked_field(before: list[tuple[str, Word]]) -> Field | None:
    """The field of the value that follows; None where the operator does not go with it."""
    field = explain.FIELDS.get(before[-2][1].text.lower())
    return field if field and _operator(before) in operators(field) else None


def _operator(before: list[tuple[str, Word]]) -> Operator:
    return explain.OPERATORS[before[-1][1].text.lower()]


def _values(field: Field, operator: Operator, device: Device) -> list[str]:
    names = (device.groups if field is Field.GROUP else device.interfaces) or ()
    found = [written(field, name) for name in names] if field.type.kind is Kind.NAME else []
    found += NUMBERED.get(field, {})
    if field.type.optional and operator not in ORDERS and operator is not Operator.LIKE:
        found.append(written(field, NONE))
    return found
