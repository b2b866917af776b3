"""What a mistake in a filter is called: where, what is there, what was expected, the nearest known name."""

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from allegro.filters.fields import Field, Kind, Operator, operators
from allegro.filters.mistake import FilterError
from allegro.filters.values import NUMBERED, Unfit, expected

FIELDS = {field.type.name.lower(): field for field in Field}
"""By their names in lower case."""

OPERATORS = {operator.value: operator for operator in Operator} | {
    "eq": Operator.EQUAL,
    "ne": Operator.NOT_EQUAL,
}
"""By what they are written as, in lower case."""

CONDITION = "a condition such as ip == 192.0.2.1"

_ELSEWHERE = {
    "ip.addr": "ip",
    "ip.src": "srcIp",
    "ip.dst": "dstIp",
    "ipv6.addr": "ip",
    "ipv6.src": "srcIp",
    "ipv6.dst": "dstIp",
    "ipv4": "ip",
    "ipv6": "ip",
    "host": "ip",
    "net": "ip",
    "src": "srcIp",
    "dst": "dstIp",
    "eth.addr": "mac",
    "eth.src": "srcMac",
    "eth.dst": "dstMac",
    "ether": "mac",
    "tcp.port": "tcpPort",
    "udp.port": "udpPort",
    "vlan.id": "vlan",
    "frame.len": "length",
    "len": "length",
    "ip.dsfield.dscp": "dscp",
    "ip.proto": "l4Protocol",
    "proto": "l4Protocol",
    "protocol": "l4Protocol",
    "mpls.label": "mpls",
    "vxlan.vni": "vxlan",
    "vni": "vxlan",
    "iface": "interface",
}
"""What Wireshark and tcpdump call our fields."""

_SHOWN = 40


@dataclass(frozen=True)
class Word:
    """A piece of the text, and its offset."""

    text: str
    start: int


def too_long(most: int) -> FilterError:
    """The text has more than `most` characters."""
    return FilterError(f"The filter is longer than {most} characters.", column=most + 1, length=0)


def too_deep(start: int, most: int) -> FilterError:
    """The condition at `start` contains others, one in another, more than `most` times."""
    return _mistake(f"and, or and not are inside of each other more than {most} times here", Word("", start))


def unexpected(text: str, at: int, accepted: Collection[str], before: list[tuple[str, Word]]) -> FilterError:
    """What stands at offset `at` fits nothing.

    `accepted`: kinds of words that would (names of the grammar's terminals). `before`: kind and text of the
    words before it that are part of something unfinished.
    """
    found = re.compile(r'[^\s()"]+|.', re.DOTALL).match(text, at)
    word = Word(found[0] if found else "", at)
    if word.text == '"' and "STRING" in accepted:
        return _mistake("this quote is not closed", word)
    last = before[-1][1] if before else word
    if "OPERATOR" in accepted:
        return _no_operator(last, word)
    if "VALUE" in accepted:
        return _no_value(before[-2][1], last, word)
    if "STRING" in accepted:
        return _expected('an expression in double quotes such as "tcp port 80"', word)
    if "NAME" in accepted:
        return _expected(CONDITION, word)
    opened = next((one for kind, one in reversed(before) if kind == "LPAR"), None)
    if word.text == ")":
        return _mistake("this ')' closes nothing", word)
    if not word.text and opened:
        return _mistake(f"')' is missing: '(' at column {opened.start + 1} is not closed", word)
    more = "'and', 'or' or ')'" if opened else "'and', 'or' or the end"
    return _expected(more, word, remedy=_joining(text[max(0, at - 100) : at], word.text))


def unknown_field(name: Word) -> FilterError:
    """There is no such field."""
    lower = name.text.lower()
    if lower in ("and", "or"):
        return _expected(CONDITION, name)
    if lower == "bpf":
        return _mistake("bpf takes an expression in parentheses", name, 'Write bpf("tcp port 80").')
    names = [field.type.name for field in Field]
    if lower in _ELSEWHERE:
        remedy = f"It is called {_ELSEWHERE[lower]} here."
    elif any(lower in numbers for numbers in NUMBERED.values()):
        field = next(field for field, numbers in NUMBERED.items() if lower in numbers)
        remedy = f"Do you mean {field.type.name} == {lower}?"
    else:
        remedy = nearest(name.text, names) or f"The fields are {_listed(names, 'and')}."
    return _mistake(f"{_shown(name.text)} is no field", name, remedy)


def unfit_operator(field: Field, operator: Word) -> FilterError:
    """The field has no such operator."""
    message = f"{field.type.name} has no {operator.text}; {_listed(spelled(field))} is expected"
    many = field.type.kind is Kind.NETWORK
    remedy = f"For many addresses there are subnets: {field.type.name} == 10.0.0.0/8." if many else ""
    return _mistake(message, operator, remedy)


def unfit_value(field: Field, operator: Operator, value: Word, unfit: Unfit, written: str) -> FilterError:
    """The text is no value of the field. `written`: without quotes."""
    message = f"{_shown(value.text)} does not fit: {unfit.expected} is expected after "
    message += f"{field.type.name} {operator.value}"
    return _mistake(message, value, unfit.reason or nearest(written, NUMBERED.get(field, {})))


def unknown_name(field: Field, value: Word, written: str, names: Collection[str]) -> FilterError:
    """The device has nothing of this name. `written`: without quotes."""
    kind = "link group" if field is Field.GROUP else "interface"
    if not names:
        return _mistake(f"this device has no {kind}s", value)
    remedy = nearest(written, names) or f"There are {_listed(names, 'and')}."
    return _mistake(f"no {kind} is called {_shown(written)}", value, remedy)


def unfit_expression(text: Word, reason: str) -> FilterError:
    """libpcap does not accept it, for this reason."""
    return _mistake(f"bpf does not accept this expression: {reason}", text)


def spelled(field: Field) -> list[str]:
    """The operators of a field, in the order of the manual."""
    return [operator.value for operator in Operator if operator in operators(field)]


def nearest(name: str, known: Iterable[str]) -> str:
    """`Do you mean tcp?`; empty if nothing is near."""
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower()[:_SHOWN], by_lower, n=1)
    return f"Do you mean {by_lower[found[0]]}?" if found else ""


def _no_operator(name: Word, word: Word) -> FilterError:
    field = FIELDS.get(name.text.lower())
    if field is None:
        return unknown_field(name)
    if re.match(r"=[^=]|=$", word.text):
        return _mistake("= compares nothing", Word("=", word.start), "Do you mean ==?")
    return _expected(_listed(spelled(field)), word, after=name.text)


def _no_value(name: Word, operator: Word, word: Word) -> FilterError:
    field = FIELDS.get(name.text.lower())
    if field is None:
        return unknown_field(name)
    known = OPERATORS[operator.text.lower()]
    if known not in operators(field):
        return unfit_operator(field, operator)
    return _expected(expected(field, known), word, after=f"{name.text} {operator.text}")


def _joining(before: str, found: str) -> str:
    """What may be meant by something that stands where `and` or `or` is expected."""
    if found[:1] in ("&", "|"):
        return f"Do you mean {found[0] * 2}?"
    named = re.search(r'\b(interface|group)\b[^()"]*\s$', before, re.IGNORECASE)
    return "A name with blanks needs double quotes." if named and found[:1].isalnum() else ""


def _expected(what: str, word: Word, *, after: str = "", remedy: str = "") -> FilterError:
    place = f" after {after}" if after else ""
    there = f"not {_shown(word.text)}" if word.text else "but the filter ends"
    return _mistake(f"{what} is expected{place}, {there}", word, remedy)


def _mistake(message: str, word: Word, remedy: str = "") -> FilterError:
    return FilterError(
        f"Column {word.start + 1}: {message.removesuffix('.')}.",
        column=word.start + 1,
        length=len(word.text),
        remedy=remedy,
    )


def _shown(text: str) -> str:
    visible = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:_SHOWN])
    return f"'{visible}{'…' if len(text) > _SHOWN else ''}'"


def _listed(names: Iterable[str], joint: str = "or") -> str:
    *first, last = names
    return f"{', '.join(first)} {joint} {last}" if first else last
