"""Time: the zone for the C library, and how the clock is.

`/etc/localtime` of the image points to `/run/allegro/localtime`, because the root file system is read-only.
The servers reach systemd-timesyncd by the files of the management ports (allegro.network.management).
"""

import ctypes
import fcntl
import logging
import re
import struct
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from allegro.errors import Conflict, InvalidInput, Unavailable
from allegro.settings.network import Time
from allegro.slow_look import SlowLook

ZONES = Path("/usr/share/zoneinfo")
RTC = Path("/dev/rtc0")
FIRST_YEAR, LAST_YEAR = 2026, 2099
"""What a clock can be set to: not before there was such a device, nor where the machine's own clock ends."""

_TIMEOUT_S = 30
_RTC_SET_TIME = 0x4024700A  # linux/rtc.h

# struct timex of 64 bits (linux/timex.h): its size, and where maxerror (microseconds) lies.
_TIMEX_SIZE, _TIMEX_MAXERROR = 208, 24
_UNKNOWN_ERROR_US = 16_000_000

KEPT_S = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClockState:
    """`server` is the one that is asked at the moment, empty if there is none."""

    zone: str
    utc_offset: str  # ±hh:mm
    synchronised: bool
    server: str
    address: str
    servers: tuple[str, ...]  # of the settings
    servers_from_network: tuple[str, ...]  # named by DHCP
    fallback_servers: tuple[str, ...]  # asked if there are no others


def set_zone(zone: str, localtime: Path, zones: Path = ZONES) -> None:
    """Lets `localtime` point to the zone; counts for this program at once. Raises OSError."""
    target = zones / zone
    if not localtime.is_symlink() or localtime.readlink() != target:
        partial = localtime.with_name(f".{localtime.name}.partial")
        partial.unlink(missing_ok=True)
        partial.symlink_to(target)
        partial.replace(localtime)
    time.tzset()


def apply(settings: Time, localtime: Path) -> None:
    """Puts the changed zone into effect. Raises Unavailable in plain words."""
    try:
        set_zone(settings.zone, localtime)
    except OSError as error:
        raise Unavailable(
            f"The time zone could not be put into effect ({error.strerror}).",
            place="time.zone",
            remedy="It applies after a restart.",
        ) from error


def set_by_hand(wanted_ns: int, now: ClockState, rtc: Path = RTC) -> None:
    """Sets the clock, and that of the machine, to `wanted_ns` (ns since 1970); `now` is how the clock is.

    Raises Conflict while a time server keeps the clock, InvalidInput, Unavailable.
    """
    if now.synchronised:
        server = f"the time server {now.server}" if now.server else "a time server"
        raise Conflict(
            f"The clock is kept by {server}, which would set it back.",
            place="time",
            remedy="Only a clock that no server keeps is set by hand.",
        )
    year = time.gmtime(wanted_ns // 1_000_000_000).tm_year
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise InvalidInput(f"The year must be {FIRST_YEAR} to {LAST_YEAR}.", place="time")
    log.info("The clock is set by hand, by %+.1f s", (wanted_ns - time.time_ns()) / 1e9)
    try:
        time.clock_settime_ns(time.CLOCK_REALTIME, wanted_ns)
    except OSError as error:
        raise Unavailable(f"The clock could not be set ({error.strerror}).", place="time") from error
    try:
        _set_rtc(rtc, wanted_ns // 1_000_000_000)
    except OSError as error:
        log.warning("The machine's own clock could not be set: %s", error.strerror)


def _set_rtc(rtc: Path, seconds: int) -> None:
    """In UTC, as the kernel keeps it. Raises OSError, also if there is none."""
    when = time.gmtime(seconds)
    # struct rtc_time: as struct tm, of which the last three do not count
    fields = (when.tm_sec, when.tm_min, when.tm_hour, when.tm_mday, when.tm_mon - 1, when.tm_year - 1900)
    with rtc.open("rb") as device:
        fcntl.ioctl(device, _RTC_SET_TIME, struct.pack("9i", *fields, 0, 0, 0))


_TIMESYNC = SlowLook(
    "time servers", lambda: _properties(["timedatectl", "show-timesync", "--all"]), kept_s=KEPT_S
)
"""What systemd-timesyncd says of its servers, asked by a program, so not for each page that shows it."""


def state(settings: Time) -> ClockState:
    """How the clock is. What systemd does not tell is left empty: a server of before may be another one."""
    seen = _TIMESYNC.latest()
    told = seen.value if seen.value and seen.unknown_since_ns is None else {}
    return read_state(settings, time.strftime("%z"), told, synchronised=is_synchronised())


def is_synchronised() -> bool:
    """Whether somebody keeps the clock, by the rule of systemd's timedated: the kernel does not expect the
    largest error that it knows (adjtimex(2), 16 s).
    """
    timex = ctypes.create_string_buffer(_TIMEX_SIZE)  # modes 0: only a look
    if ctypes.CDLL(None).adjtimex(timex) < 0:
        return False
    (largest_error_us,) = struct.unpack_from("l", timex, _TIMEX_MAXERROR)
    return bool(largest_error_us < _UNKNOWN_ERROR_US)


def read_state(settings: Time, offset: str, timesync: Mapping[str, str], *, synchronised: bool) -> ClockState:
    """From the properties that timedatectl(1) shows; `offset` is ±hhmm."""
    told: Sequence[str] = timesync.get("LinkNTPServers", "").split()
    return ClockState(
        zone=settings.zone,
        utc_offset=f"{offset[:-2]}:{offset[-2:]}",
        synchronised=synchronised,
        server=timesync.get("ServerName", ""),
        address=timesync.get("ServerAddress", ""),
        servers=settings.servers,
        servers_from_network=tuple(one for one in told if one not in settings.servers),
        fallback_servers=tuple(timesync.get("FallbackNTPServers", "").split()),
    )


def _properties(command: list[str]) -> dict[str, str]:
    """Raises OSError, RuntimeError."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.SubprocessError as error:
        raise RuntimeError(str(error)) from error
    return dict(re.findall(r"^(\w+)=(.*)$", done.stdout, re.MULTILINE))
