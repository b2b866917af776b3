"""The time window of a capture: [press - before, press + after], both ends included. No I/O."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from allegro.errors import InvalidInput
from allegro.words import SECOND_NS, moment

MAX_BEFORE_S = 86400
MAX_AFTER_S = 3600

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Span:
    """How far a capture reaches before and after its press, in nanoseconds."""

    before_ns: int
    after_ns: int


def checked_span(before_s: float, after_s: float) -> Span:
    """Raises InvalidInput unless 0 <= before_s <= 86400 and 0 <= after_s <= 3600 (seconds)."""
    return Span(
        _nanoseconds(before_s, "before_s", MAX_BEFORE_S), _nanoseconds(after_s, "after_s", MAX_AFTER_S)
    )


def checked_time(press_ns: int, span: Span, now_ns: int) -> int:
    """`press_ns`; raises InvalidInput if the window would begin in the future, or before 1970."""
    if press_ns < 0:
        raise InvalidInput("The time lies before 1970.", place="time")
    begin = press_ns - span.before_ns
    if begin > now_ns:
        raise InvalidInput(
            f"The window would begin in the future, at {moment(begin)};"
            f" the device's clock says {moment(now_ns)}.",
            place="time",
            remedy="Give an earlier time, or leave it out for now.",
        )
    return press_ns


def parsed_time(text: str, place: str = "time") -> int:
    """Nanoseconds since 1970 of an ISO 8601 time; without offset in UTC. Raises InvalidInput for `place`."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(
            f"{text!r} is not a time.", place=place, remedy="Write it like 2026-11-21T14:30:05Z."
        ) from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    try:
        time = time.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(
            f"{text!r} is, in UTC, not within the years 1 to 9999.",
            place=place,
            remedy="Write it like 2026-11-21T14:30:05Z.",
        ) from None
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000


def _nanoseconds(seconds: float, place: str, maximum: int) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise InvalidInput(
            f"Expected a number of seconds from 0 to {maximum} (got {seconds!r}).", place=place
        )
    if not 0 <= seconds <= maximum:
        raise InvalidInput(f"Must be from 0 to {maximum} seconds (got {seconds:g}).", place=place)
    return round(seconds * SECOND_NS)
