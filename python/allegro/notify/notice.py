"""What is told: one sentence about one event."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal, get_args
from zoneinfo import ZoneInfo

Severity = Literal["info", "warning"]
WayName = Literal["mail", "webhook", "syslog"]
WAYS: tuple[WayName, ...] = get_args(WayName)


@dataclass(frozen=True)
class Notice:
    """`text`: a whole sentence. `time_ns` since 1970 (UTC), `zone` the time zone that the device had then.

    `id` (32 hex digits) is the same at each try. `number` grows with each message, from 1 on;
    0: it was never in the queue.
    """

    id: str
    time_ns: int
    kind: str
    severity: Severity
    device: str
    zone: str
    text: str
    number: int = 1

    @property
    def local(self) -> datetime:
        """When it happened, in the device's time zone, to the microsecond."""
        seconds, rest = divmod(self.time_ns, 1_000_000_000)
        return datetime.fromtimestamp(seconds, _zone(self.zone)).replace(microsecond=rest // 1000)

    @property
    def iso(self) -> str:
        """`2026-11-21T15:30:05.123456+01:00` (ISO 8601, RFC 3339)."""
        return self.local.isoformat(timespec="microseconds")

    @property
    def moment(self) -> str:
        """`2026-11-21 15:30:05 CET (UTC+01:00)`, for people."""
        local = self.local
        name, offset = local.strftime("%Z"), local.isoformat()[-6:]
        zone = name if name == "UTC" else f"UTC{offset}" if name[:1] in "+-" else f"{name} (UTC{offset})"
        return f"{local:%Y-%m-%d %H:%M:%S} {zone}"


def _zone(name: str) -> tzinfo:
    """UTC for one that another version of the firmware knew."""
    try:
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError):
        return UTC


def problem_id(way: str) -> str:
    """The id of the problem of the status that tells of this way's trouble."""
    return f"notify-{way}"
