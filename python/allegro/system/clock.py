"""Time: the zone for the C library, and how the clock is.

`/etc/localtime` of the image points to `/run/allegro/localtime`, because the root file system is read-only.
The servers reach systemd-timesyncd by the files of the management ports (allegro.network.management).
"""

import logging
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from allegro.errors import Unavailable
from allegro.settings.network import Time

ZONES = Path("/usr/share/zoneinfo")
_TIMEOUT_S = 30

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


def state(settings: Time) -> ClockState:
    """How the clock is. What systemd does not tell is left empty."""
    synchronised = _properties(["timedatectl", "show", "--property=NTPSynchronized"])
    server = _properties(["timedatectl", "show-timesync", "--all"])
    return read_state(settings, time.strftime("%z"), synchronised, server)


def read_state(
    settings: Time, offset: str, show: Mapping[str, str], timesync: Mapping[str, str]
) -> ClockState:
    """From the properties that timedatectl(1) shows; `offset` is ±hhmm."""
    told: Sequence[str] = timesync.get("LinkNTPServers", "").split()
    return ClockState(
        zone=settings.zone,
        utc_offset=f"{offset[:-2]}:{offset[-2:]}",
        synchronised=show.get("NTPSynchronized") == "yes",
        server=timesync.get("ServerName", ""),
        address=timesync.get("ServerAddress", ""),
        servers=settings.servers,
        servers_from_network=tuple(one for one in told if one not in settings.servers),
        fallback_servers=tuple(timesync.get("FallbackNTPServers", "").split()),
    )


def _properties(command: list[str]) -> dict[str, str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("The state of the clock cannot be asked: %s", error)
        return {}
    return dict(re.findall(r"^(\w+)=(.*)$", done.stdout, re.MULTILINE))
