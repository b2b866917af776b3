"""sharkd's answers as plain data, checked: what gave them has read what strangers have sent. No I/O.

JSON-RPC: https://wiki.wireshark.org/sharkd-JSON-RPC-Request-Syntax, of Wireshark 4.0 to 4.4.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from allegro.packets.capture_blocks import LARGEST

LONGEST_TEXT = 1000
"""Characters of a line of the table or of the details; the rest is cut off."""

MOST_DETAILS = 5000
DEEPEST = 40
MOST = 10_000
"""Rows of a table, or pieces of a stream: a thousand packets have no more."""

Transport = Literal["TCP", "UDP"]
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)

COLUMNS = ("%m", "time", "%us", "%ud", "%p", "%L", "%i")
"""What the table shows, by the formats of Wireshark's columns; addresses as they are."""

_TIME = "frame.time_epoch:1"
_LATEST_S = 253402300800  # the year 10000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Nonsense(ValueError):
    """What came is no answer to what was asked."""


@dataclass(frozen=True)
class Row:
    """One packet in the table. `time`: ISO 8601, UTC, to the nanosecond; `length` in bytes, on the wire."""

    number: int
    time: str
    source: str
    destination: str
    protocol: str
    length: int
    info: str


@dataclass(frozen=True)
class Detail:
    """A line of what is known of a packet, with those below it. `at` and `length` say which of its bytes it
    is about; None: that is not known, or not of these bytes."""

    text: str
    at: int | None = None
    length: int | None = None
    below: Sequence[Detail] = ()


@dataclass(frozen=True)
class Details:
    """A packet: what is known of it, its bytes, and the streams that it is of (sharkd's filters for them).
    `cut`: there were more details."""

    tree: Sequence[Detail]
    data: bytes
    streams: Mapping[Transport, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True)
class Piece:
    """What one packet carried of a stream."""

    number: int
    from_server: bool
    data: bytes


@dataclass(frozen=True)
class Stream:
    """What client and server said to each other. The client is who spoke first."""

    client: str
    server: str
    pieces: Sequence[Piece]


def column_numbers(info: object) -> dict[str, str]:
    """What `frames` is asked for, so that it shows COLUMNS; from the answer to `info`. Raises Nonsense."""
    columns = map(_dict, _list(_dict(info).get("columns")))
    known = {str(each.get("format")): number for number, each in enumerate(columns)}
    try:
        return {
            f"column{place}": _TIME if name == "time" else str(known[name])
            for place, name in enumerate(COLUMNS)
        }
    except KeyError as error:
        raise Nonsense(f"There is no column {error}.") from None


def rows(answer: object) -> list[Row]:
    """What `frames` answers. Raises Nonsense."""
    found = []
    for each in _few(answer):
        texts = _list(_dict(each).get("c"))
        if len(texts) != len(COLUMNS):
            raise Nonsense("A row has other columns.")
        number, moment, source, destination, protocol, length, info = map(_text, texts)
        found.append(
            Row(_number(number), _time(moment), source, destination, protocol, _number(length), info)
        )
    return found


def details(answer: object) -> Details:
    """What `frame` answers. Raises Nonsense."""
    value = _dict(answer)
    left = [MOST_DETAILS]
    tree = _tree(value.get("tree", []), left, 0)
    streams: dict[Transport, str] = {}
    for each in _list(value.get("fol", [])):
        if isinstance(each, list) and len(each) >= 2 and each[0] in TRANSPORTS:
            streams[each[0]] = _plain(each[1])[:LONGEST_TEXT]
    data = _bytes(value.get("bytes", ""))
    if len(data) > LARGEST:
        raise Nonsense("A packet is larger than any.")
    return Details(tree, data, streams, left[0] < 0)


def stream(answer: object) -> Stream:
    """What `follow` answers. Raises Nonsense."""
    value = _dict(answer)
    pieces = [
        Piece(_number(each.get("n", 0)), bool(each.get("s", 0)), _bytes(each.get("d", "")))
        for each in map(_dict, _few(value.get("payloads", [])))
    ]
    return Stream(_end(value, "c"), _end(value, "s"), pieces)


def _end(value: Mapping[str, Any], side: str) -> str:
    host, port = _text(value.get(f"{side}host", "")), _text(value.get(f"{side}port", ""))
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tree(value: object, left: list[int], depth: int) -> list[Detail]:
    found: list[Detail] = []
    for each in map(_dict, _list(value)):
        if each.get("g") is True and depth:  # Wireshark's own computing, which its packet list hides as well
            continue
        left[0] -= 1
        if left[0] < 0:
            break
        at, length = _place(each)
        below = _tree(each["n"], left, depth + 1) if "n" in each and depth < DEEPEST else []
        found.append(Detail(_text(each.get("l", "")), at, length, below))
    return found


def _place(each: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Which bytes of the packet a detail is of; those of something put together or unpacked are others."""
    place = each.get("h")
    if "ds" in each or not (isinstance(place, list) and len(place) == 2):
        return None, None
    at, length = map(_number, place)
    return at, length


def _time(text: str) -> str:
    seconds, _, fraction = text.partition(".")
    digits = seconds + fraction
    if not (seconds and digits.isdecimal() and digits.isascii() and int(seconds) < _LATEST_S):
        raise Nonsense("A packet has no time.")
    nanoseconds = fraction[:9].ljust(9, "0")
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds}Z"


def _text(value: object) -> str:
    """Without characters that would control a terminal, or turn a line around."""
    return _CONTROL.sub("·", _plain(value)[:LONGEST_TEXT])


def _number(value: object) -> int:
    try:
        number = int(_plain(value)[:20])
    except ValueError:
        raise Nonsense("There is something else where a number belongs.") from None
    if not 0 <= number < 1 << 40:
        raise Nonsense("A number is out of range.")
    return number


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(_plain(value), validate=True)
    except ValueError:
        raise Nonsense("There is something else where bytes belong.") from None


def _plain(value: object) -> str:
    """What is no list or object, as text."""
    if isinstance(value, list | dict):
        raise Nonsense("There is something else where a text belongs.")
    return str(value)


def _few(value: object) -> list[Any]:
    found = _list(value)
    if len(found) > MOST:
        raise Nonsense("There are more than there can be.")
    return found


def _dict(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Nonsense("There is something else where an object belongs.")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise Nonsense("There is something else where a list belongs.")
    return value
