"""Values of fields, from text and back: addresses, numbers, ports, names."""

import ipaddress
import re
from dataclasses import dataclass

from allegro.filters.fields import PORT_MAX, Field, Kind, Operator
from allegro.filters.numbers import CODE_POINTS, PROTOCOLS
from allegro.filters.tree import NONE, Mac, Network, Nothing, Ports

Value = Network | Mac | int | Ports | str | Nothing

NUMBERED = {Field.L4_PROTOCOL: PROTOCOLS, Field.DSCP: CODE_POINTS}
"""Fields whose numbers have names."""

BARE = re.compile(r'[^\s()"!=<>~&|]+')
"""What needs no quotes."""

_MAC_BYTES = re.compile(r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){0,4})?", re.IGNORECASE)
_MAC_WORDS = re.compile(r"[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,10}|0[xX][0-9a-fA-F]{1,8}", re.ASCII)
# Each blank can be one of only one \s*: with several in a row the time grows with a power of their number.
_RANGE = re.compile(r"([0-9]{1,5})?(?:\s*(-)\s*([0-9]{1,5})?)?", re.ASCII)


@dataclass(frozen=True)
class Unfit(Exception):
    """A text that is no value of the field. `expected`: what would be; `reason`: a sentence, or empty."""

    expected: str
    reason: str = ""


def expected(field: Field, operator: Operator) -> str:
    """What a value of the field looks like, in words."""
    kind = field.type
    match kind.kind:
        case Kind.NETWORK:
            words = "an address or a subnet such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32"
        case Kind.MAC if operator is Operator.LIKE:
            words = "the first bytes of a MAC address such as 00:1b:21"
        case Kind.MAC:
            words = "a MAC address such as 00:1b:21:3a:4f:05"
        case Kind.PORTS:
            words = "ports and ranges such as 80,100-120,-10,65000-"
        case Kind.NAME:
            words = "a name, in quotes if it has blanks"
        case Kind.NUMBER if field is Field.L4_PROTOCOL:
            words = "a protocol such as tcp, udp or icmp, or its number from 0 to 255"
        case Kind.NUMBER if field is Field.DSCP:
            words = "a number from 0 to 63 or a name such as ef, cs5 or af41"
        case Kind.NUMBER:
            words = f"a number from 0 to {kind.largest}"
    return f"{words} (or none)" if kind.optional and operator in _WITH_NONE else words


_WITH_NONE = (Operator.EQUAL, Operator.NOT_EQUAL, Operator.EXACTLY)


def read(field: Field, operator: Operator, text: str, *, quoted: bool = False) -> Value:
    """The value that `text` means for a field with an operator that it has; raises Unfit."""
    wanted = expected(field, operator)
    if text.lower() == "none" and not quoted and field.type.optional and operator in _WITH_NONE:
        return NONE
    match field.type.kind:
        case Kind.NETWORK:
            return _network(text, wanted)
        case Kind.MAC:
            return _mac(text, wanted, begins=operator is Operator.LIKE)
        case Kind.NUMBER:
            return _number(field, text, wanted)
        case Kind.PORTS:
            return _ports(text, wanted)
        case Kind.NAME:
            if not text.strip():
                raise Unfit(wanted)
            return text


def _network(text: str, wanted: str) -> Network:
    if "%" in text:
        raise Unfit(wanted, "Packets have no zones (%).")
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Unfit(wanted) from None
    return Network(found.version, int(found.network_address), found.prefixlen)


def _mac(text: str, wanted: str, *, begins: bool) -> Mac:
    if not _MAC_BYTES.fullmatch(text) and not _MAC_WORDS.fullmatch(text):
        raise Unfit(wanted)
    digits = re.sub(r"[^0-9a-f]", "", text.lower())
    if len(digits) < 12 and not begins:
        raise Unfit(wanted, "To compare the first bytes only, use ~.")
    rest = 48 - 4 * len(digits)
    return Mac(int(digits, 16) << rest, ((1 << 48) - 1) >> rest << rest)


def _number(field: Field, text: str, wanted: str) -> int:
    names = NUMBERED.get(field, {})
    if text.lower() in names:
        return names[text.lower()]
    if not _NUMBER.fullmatch(text):
        several = field in (Field.PORT, Field.TCP_PORT, Field.UDP_PORT) and re.search("[,-]", text)
        raise Unfit(wanted, "For several ports and ranges there is portrange." if several else "")
    number = int(text, 16 if text[:2].lower() == "0x" else 10)
    if number > field.type.largest:
        raise Unfit(wanted)
    return number


def _ports(text: str, wanted: str) -> Ports:
    ranges = []
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        if not found or not (found[1] or found[3]):
            raise Unfit(wanted)
        first = int(found[1] or 0)
        last = int(found[3]) if found[3] else PORT_MAX if found[2] else first
        if last > PORT_MAX or first > PORT_MAX:
            raise Unfit(wanted, f"Ports go from 0 to {PORT_MAX}.")
        if first > last:
            raise Unfit(wanted, f"{part.strip()} ends before it begins.")
        ranges.append((first, last))
    return Ports(_merged(ranges))


def _merged(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def written(field: Field, value: Value) -> str:
    """The text that `read` understands as this value, quotes included."""
    match value:
        case Nothing():
            return "none"
        case Network(version, address, prefix):
            shown = str(ipaddress.IPv4Address(address) if version == 4 else ipaddress.IPv6Address(address))
            return shown if prefix == value.bits else f"{shown}/{prefix}"
        case Mac(address, mask):
            return address.to_bytes(6, "big")[: mask.bit_count() // 8].hex(":")
        case Ports(ranges):
            return ",".join(_range(first, last) for first, last in ranges)
        case int():
            return next(
                (name for name, number in NUMBERED.get(field, {}).items() if number == value), str(value)
            )
        case str():
            return value if BARE.fullmatch(value) and value.lower() != "none" else quoted(value)


def _range(first: int, last: int) -> str:
    if first == last:
        return str(first)
    if (first, last) == (0, PORT_MAX):
        return "0-"
    return f"{first or ''}-{last if last < PORT_MAX else ''}"


def quoted(text: str) -> str:
    r"""In double quotes, with \ before quotes and backslashes of its own."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def unquoted(text: str) -> str:
    """What stands between the quotes."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
