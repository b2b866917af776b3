"""When uploads run. Pure rules: the time comes in, the decision goes out."""

import datetime as dt

NS = 1_000_000_000


def previous_run(now_ns: int, time_of_day: str, zone: dt.tzinfo | None = None) -> int:
    """The latest moment (ns since 1970) at or before now when the clock showed `time_of_day` (hh:mm).

    `zone` is the local time zone of the device, None that of the system. A time of day that does not exist
    on the day when summer time begins is moved by the missing hour; one that comes twice counts once.
    """
    today = _local(now_ns, zone).date()
    return max(
        moment
        for days in (1, 0, -1)
        if (moment := _moment(today - dt.timedelta(days), time_of_day, zone)) <= now_ns
    )


def next_run(now_ns: int, time_of_day: str, zone: dt.tzinfo | None = None) -> int:
    """The first moment after now when the clock shows `time_of_day`; see `previous_run`."""
    today = _local(now_ns, zone).date()
    return min(
        moment
        for days in (-1, 0, 1, 2)
        if (moment := _moment(today + dt.timedelta(days), time_of_day, zone)) > now_ns
    )


def run_is_owed(now_ns: int, last_run_ns: int, time_of_day: str, zone: dt.tzinfo | None = None) -> bool:
    """Whether the daily run is to be started now: it has come since the last one, or was missed (X4).

    `last_run_ns` is the start of the last run or the moment the export was switched on. If it lies in the
    future (the clock was set back), no run is owed until the clock has caught up with at most one day.
    """
    if last_run_ns - now_ns > 24 * 3600 * NS:
        return True
    return last_run_ns < previous_run(now_ns, time_of_day, zone)


def _local(now_ns: int, zone: dt.tzinfo | None) -> dt.datetime:
    return dt.datetime.fromtimestamp(now_ns // NS, zone)


def _moment(day: dt.date, time_of_day: str, zone: dt.tzinfo | None) -> int:
    hour, minute = time_of_day.split(":")
    return (
        int(dt.datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=zone).timestamp()) * NS
    )
