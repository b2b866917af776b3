"""Times and sizes as the device writes them in messages and files; texts of others as terminals get them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

SECOND_NS = 1_000_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIB = 1 << 20
_BYTES = ("bytes", "kB", "MB", "GB", "TB", "PB")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Unicode's control characters (ESC among them, and those of eight bits), what turns the direction of
writing, and halves of surrogate pairs."""


def utc(time_ns: int) -> str:
    """ISO 8601, `2026-11-21T14:30:05.123456789Z`, for ns since 1970; beyond the calendar a number."""
    seconds, rest = divmod(time_ns, SECOND_NS)
    try:
        return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
    except OverflowError:
        return f"{time_ns} ns"


def utc_or_none(time_ns: int | None) -> str | None:
    """The same, for a time that may not be known."""
    return None if time_ns is None else utc(time_ns)


def moment(time_ns: int) -> str:
    """`2026-11-21 14:30:05 UTC`, for people."""
    return f"{_EPOCH + timedelta(seconds=time_ns // SECOND_NS):%Y-%m-%d %H:%M:%S} UTC"


def exact_moment(time_ns: int) -> str:
    """`2026-11-21 14:30:05.123 UTC`: the same to the millisecond."""
    return f"{moment(time_ns)[:-4]}.{time_ns % SECOND_NS // 1_000_000:03d} UTC"


def duration(seconds: float) -> str:
    """The two largest units: `3 h 12 min`; below one second in milliseconds, but nothing is `0 s`."""
    if 0 < seconds < 1:
        return f"{max(int(seconds * 1000), 1)} ms"
    rest = round(seconds)
    for length, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if rest >= length:
            count, more = rest // length, rest % length // smaller
            return f"{count} {unit}" + (f" {more} {name}" if more else "")
    return f"{rest} s"


def size(count: float) -> str:
    """`12.3 MB` of a number of bytes: powers of 1000, as disks are sold, wherever the device shows a size."""
    return scaled(count, _BYTES)


def as_set(count: int) -> str:
    """`16 MiB (16.8 MB)`: a size that is set in MiB, rounded up, and what it is as sizes are shown."""
    return f"{-(-count // _MIB)} MiB ({size(count)})"


def scaled(value: float, units: Sequence[str]) -> str:
    """With the unit, each a thousand times the one before, in which it has one to three digits before the
    point; below 100 with one behind it, but whole in the first unit."""
    number = 0
    while value >= 999.5 and number < len(units) - 1:
        value, number = value / 1000, number + 1
    return f"{value:.0f} {units[number]}" if not number or value >= 99.95 else f"{value:.1f} {units[number]}"


def harmless(text: str) -> str:
    """One line in which nothing controls a terminal: who names a network or a server chooses its text."""
    return _CONTROL.sub("?", text)
