"""Times in the device's own zone, not in that of the browser; those that come twice when clocks go back.

Of an hour that comes twice `which` says which is meant: FIRST or SECOND, as a form sends it.
"""

import zoneinfo
from datetime import UTC, date, datetime

from allegro.errors import InvalidInput

FIRST, SECOND = "0", "1"


def readings(local: datetime, zone: str) -> tuple[datetime, ...]:
    """The moments at which clocks in the zone show this: one, two in order, or none of an hour left out."""
    place = zoneinfo.ZoneInfo(zone)
    moments = {local.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1)}
    found = (moment.astimezone(place) for moment in sorted(moments))
    return tuple(each for each in found if each.replace(tzinfo=None, fold=0) == local)


def utc_of(typed: str, zone: str, place: str, which: str = "") -> str:
    """ISO 8601 with offset, of a local time as <input type=datetime-local> sends it.

    Raises InvalidInput for `place`, also of a time that comes twice if `which` does not say which is meant.
    """
    try:
        local = datetime.fromisoformat(typed).replace(tzinfo=None)
        found = readings(local, zone)
    except (ValueError, OverflowError):  # of the first and the last day that there are
        raise InvalidInput(f"{typed or 'Nothing'} is no date with a time.", place=place) from None
    if not found:
        raise InvalidInput(
            f"There is no such time in {zone}: the clocks are set forward then.",
            place=place,
            remedy="Type an earlier or a later one.",
        )
    if len(found) > 1 and which not in (FIRST, SECOND):
        raise InvalidInput(
            f"This time comes twice in {zone}, because the clocks are set back then.",
            place=place,
            remedy="Choose which is meant.",
        )
    return found[int(which) if len(found) > 1 else 0].isoformat()


def comes_twice(typed: str, zone: str) -> bool:
    """Whether a time as the input sends it has to be told apart."""
    try:
        return len(readings(datetime.fromisoformat(typed).replace(tzinfo=None), zone)) > 1
    except (ValueError, OverflowError):
        return False


def in_zone(utc: str, zone: str) -> datetime:
    """A time of the API (UTC, ISO 8601), to the second."""
    return datetime.fromisoformat(f"{utc[:19]}+00:00").astimezone(zoneinfo.ZoneInfo(zone))


def local_of(utc: str, zone: str) -> str:
    """A time of the API as the input shows it, to the second."""
    return f"{in_zone(utc, zone):%Y-%m-%dT%H:%M:%S}"


def which_of(utc: str, zone: str) -> str:
    """FIRST or SECOND: what `local_of` does not say. Empty of a time that comes once."""
    if not comes_twice(local_of(utc, zone), zone):
        return ""
    return SECOND if in_zone(utc, zone).fold else FIRST


def start_of(day: date, zone: str) -> str:
    """ISO 8601 with offset: the first moment of the day in the zone."""
    return datetime(day.year, day.month, day.day, tzinfo=zoneinfo.ZoneInfo(zone)).isoformat()
