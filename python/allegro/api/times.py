"""Times as the API writes them: ISO 8601, UTC, with all nine digits of the nanoseconds."""

from datetime import UTC, datetime

SECOND_NS = 1_000_000_000


def utc(time_ns: int) -> str:
    """`2026-11-21T14:30:05.123456789Z` for nanoseconds since 1970."""
    seconds, nanoseconds = divmod(time_ns, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def utc_or_none(time_ns: int | None) -> str | None:
    """The same, for a time that may not be known."""
    return None if time_ns is None else utc(time_ns)
