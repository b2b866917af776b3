"""Numbers and times as a person reads them."""

from datetime import UTC, datetime

from allegro import words

UNKNOWN = "\u2013"

_BYTES = ("bytes", "kB", "MB", "GB", "TB", "PB")
_BITS = ("bit/s", "kbit/s", "Mbit/s", "Gbit/s")


def size(count: float | None) -> str:
    """`12.3 MB` (powers of 1000, as disks are sold)."""
    if count is None:
        return UNKNOWN
    return _scaled(count, _BYTES)


def bit_rate(bytes_per_s: float) -> str:
    """`940 Mbit/s`, as links are named."""
    return _scaled(bytes_per_s * 8, _BITS)


def number(count: float | None) -> str:
    """`1 234 567`, with thin spaces that do not break."""
    return UNKNOWN if count is None else f"{count:,.0f}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """`3 h 12 min`, never broken over two lines."""
    return words.duration(seconds).replace(" ", "\u00a0")


def moment(text: str | None) -> str:
    """A time of the API as `2026-11-21 14:30:05 UTC`. The browser shows it in its own time zone."""
    if not text:
        return UNKNOWN
    parsed = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    return f"{parsed:%Y-%m-%d %H:%M:%S} UTC"


def day(seconds: float) -> str:
    """Seconds since 1970 as `2026-11-21`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _scaled(value: float, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if value < 999.5:
            return f"{_digits(value, unit == units[0])}\u00a0{unit}"
        value /= 1000
    return f"{_digits(value, False)}\u00a0{units[-1]}"


def _digits(value: float, whole: bool) -> str:
    return f"{value:.0f}" if whole or value >= 99.95 else f"{value:.1f}"
