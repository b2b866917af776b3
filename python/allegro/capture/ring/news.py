"""What the recorder knows and no packet carries, as it stands in the ring: in records without packets.

Such a record is as long as the smallest one, has FLAG_NEWS, and holds its news as JSON where others have
packets::

    [{"kind": "PortClosed", "boot_ns": 5000, "wall_ns": 1795270000000000000, "port": "port2"}, …]

To version 0.1.0 it is a record of some port in which there happens to be no packet.  Losses are no news of
their own: a record of news says in its header what its port lost, as every record does, and comes soon when
no record with packets does.  Kinds and fields that a reader does not know are left out.  No I/O here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from allegro.capture.ring import record

LENGTH = record.ALIGNMENT
"""Bytes of a record of news on disk."""

_ROOM = LENGTH - record.FIRST_PACKET_OFFSET - record.TRAILER_SIZE
_TEXT_LENGTHS = (3000, 1000, 300)
"""What texts are cut to, in characters, if a single piece of news does not fit otherwise: of these, each may
take up to six bytes."""

KEPT_IN_MEMORY = "What came in meanwhile was kept in memory only."
KEPT_ON_ANOTHER_DISK = "What came in meanwhile was kept on another disk."
KEPT_ON_ANOTHER_DISK_AND_IN_MEMORY = (
    "What came in meanwhile was kept on another disk, and at last in memory only."
)
"""What the reason of a `RingOpened` may end with; files of it and of the ring in memory take it apart."""


@dataclass(frozen=True)
class News:
    """Something that happened at `boot_ns` (ns of CLOCK_BOOTTIME), when the wall clock said `wall_ns`."""

    boot_ns: int
    wall_ns: int


@dataclass(frozen=True)
class RingOpened(News):
    """The recorder has taken the ring into use, which it had not done since `since_boot_ns` (0: its start),
    for the reason `reason` (empty: it was only being opened). `begun` is 1 for a ring that takes the place of
    another one, and holds nothing that came in before. Until now one in memory was in use, since
    `memory_boot_ns` (0: none was)."""

    since_boot_ns: int = 0
    reason: str = ""
    begun: int = 0
    memory_boot_ns: int = 0


@dataclass(frozen=True)
class RingClosed(News):
    """The recorder ended, or took another ring into use: nothing follows of this run."""


@dataclass(frozen=True)
class PortOpened(News):
    """The port is recorded from now on."""

    port: str = ""


@dataclass(frozen=True)
class PortClosed(News):
    """The port is gone: no such interface."""

    port: str = ""


@dataclass(frozen=True)
class PortRenamed(News):
    """The port goes on under another name."""

    port: str = ""
    new_name: str = ""


@dataclass(frozen=True)
class LinkDown(News):
    """The port has no link."""

    port: str = ""


@dataclass(frozen=True)
class LinkUp(News):
    """The port has a link."""

    port: str = ""


@dataclass(frozen=True)
class ClockStepped(News):
    """The wall clock was set, by `size_ns` (negative: back), at most `within_ns` before `boot_ns`.

    `wall_ns` is what it said after that.
    """

    size_ns: int = 0
    within_ns: int = 0


@dataclass(frozen=True)
class RulesChanged(News):
    """The rules which packets are kept, and how much of each, are others from now on: these, in words (empty:
    none, all are kept whole), on these ports (their names, joined by comma and blank; empty: on all). They
    were put into force at most `within_ns` before `boot_ns`."""

    text: str = ""
    ports: str = ""
    within_ns: int = 0


@dataclass(frozen=True)
class RulesHeld(News):
    """These rules hold, and have held; told every few seconds, so that a later window knows them."""

    text: str = ""
    ports: str = ""


@dataclass(frozen=True)
class Discarded(News):
    """About so many packets of the port were discarded by a rule since `since_boot_ns`: none is lost."""

    port: str = ""
    packets: int = 0
    since_boot_ns: int = 0


KINDS: dict[str, type[News]] = {
    kind.__name__: kind
    for kind in (
        RingOpened,
        RingClosed,
        PortOpened,
        PortClosed,
        PortRenamed,
        LinkDown,
        LinkUp,
        ClockStepped,
        RulesChanged,
        RulesHeld,
        Discarded,
    )
}


def pack(news: Sequence[News]) -> tuple[bytes, int]:
    """The payload of one record, and how many of the news are in it (at least one if there is one)."""
    payload, count = b"[]", 0
    entries: list[dict[str, object]] = []
    for item in news:
        entries.append({"kind": type(item).__name__, **dataclasses.asdict(item)})
        longer = _encoded(entries)
        for longest in _TEXT_LENGTHS:
            if len(longer) <= _ROOM or count:
                break
            longer = _encoded([_shortened(entries[0], longest)])
        if len(longer) > _ROOM:
            break
        payload, count = longer, count + 1
    return payload, count


def parse(block: bytes | memoryview) -> tuple[News, ...]:
    """What a record of news tells; what cannot be understood is left out."""
    try:
        head = record.read_record(block)
        entries = json.loads(bytes(block[record.FIRST_PACKET_OFFSET : head.used]))
    except ValueError:
        return ()
    found = (_read(entry) for entry in (entries if isinstance(entries, list) else []))
    return tuple(item for item in found if item is not None)


def _read(entry: object) -> News | None:
    if not isinstance(entry, dict) or not isinstance(kind := KINDS.get(str(entry.get("kind"))), type):
        return None
    names = {field.name: str if field.type == "str" else int for field in dataclasses.fields(kind)}
    values = {name: entry[name] for name in names if name in entry}
    if any(type(value) is not names[name] for name, value in values.items()):
        return None
    try:
        return kind(**values)
    except TypeError:  # a time is missing
        return None


def _encoded(entries: list[dict[str, object]]) -> bytes:
    return json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _shortened(entry: dict[str, object], longest: int) -> dict[str, object]:
    return {name: value[:longest] if isinstance(value, str) else value for name, value in entry.items()}
