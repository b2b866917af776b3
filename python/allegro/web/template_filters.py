"""Numbers and times as a person reads them."""

import zoneinfo
from datetime import datetime

from allegro import words
from allegro.web.local_time import in_zone

UNKNOWN = "\u2013"

_BITS = ("bit/s", "kbit/s", "Mbit/s", "Gbit/s")


def size(count: float | None) -> str:
    """`12.3 MB`, never broken over two lines."""
    return UNKNOWN if count is None else _unbroken(words.size(count))


def bit_rate(bytes_per_s: float) -> str:
    """`940 Mbit/s`, as links are named."""
    return _unbroken(words.scaled(bytes_per_s * 8, _BITS))


def number(count: float | None) -> str:
    """`1 234 567`, with thin spaces that do not break."""
    return UNKNOWN if count is None else f"{count:,.0f}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """`3 h 12 min`, never broken over two lines."""
    return _unbroken(words.duration(seconds))


def moment(text: str | None, zone: str = "UTC") -> str:
    """A time of the API as `2026-11-21 15:30:05 CET`."""
    if not text:
        return UNKNOWN
    local = in_zone(text, zone)
    return f"{local:%Y-%m-%d %H:%M:%S} {_short(local)}"


def day(seconds: float, zone: str) -> str:
    """Seconds since 1970 as `2026-11-21`."""
    return f"{datetime.fromtimestamp(seconds, zoneinfo.ZoneInfo(zone)):%Y-%m-%d}"


def _short(local: datetime) -> str:
    """The usual letters of the zone, such as CET and CEST; where people have none, UTC+03:00."""
    letters = local.tzname() or ""
    return letters if letters.isalpha() else f"UTC{local.isoformat()[-6:]}"


def _unbroken(text: str) -> str:
    return text.replace(" ", "\u00a0")
