"""Times as <input type=datetime-local> has them: in the device's own zone, not in that of the browser."""

import zoneinfo
from datetime import datetime

from allegro.errors import InvalidInput


def utc_of(typed: str, zone: str, place: str) -> str:
    """ISO 8601 with offset, of a local time as the input sends it. Raises InvalidInput for `place`.

    Of the hour that comes twice when summer time ends, the first is meant.
    """
    try:
        local = datetime.fromisoformat(typed)
    except ValueError:
        raise InvalidInput(f"{typed or 'Nothing'} is no date with a time.", place=place) from None
    return local.replace(tzinfo=zoneinfo.ZoneInfo(zone)).isoformat()


def local_of(utc: str, zone: str) -> str:
    """A time of the API as the input shows it, to the second."""
    moment = datetime.fromisoformat(f"{utc[:19]}+00:00")
    return f"{moment.astimezone(zoneinfo.ZoneInfo(zone)):%Y-%m-%dT%H:%M:%S}"
