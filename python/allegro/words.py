"""Times and sizes as the device writes them in messages and files; texts of others as terminals get them."""

import re
from datetime import UTC, datetime, timedelta

SECOND_NS = 1_000_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIB = 1 << 20

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


def mebibytes(size: int) -> str:
    """`12 MiB` of a number of bytes, rounded up; from ten of them on in GiB."""
    return f"{-(-size // _MIB)} MiB" if size < 10 * 1024 * _MIB else f"{size / (1024 * _MIB):.0f} GiB"


def harmless(text: str) -> str:
    """One line in which nothing controls a terminal: who names a network or a server chooses its text."""
    return _CONTROL.sub("?", text)
