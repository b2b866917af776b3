"""What is told to the kernel directly, because systemd-networkd has no word for it, or comes too late."""

import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from allegro.network.links import PORT_GROUP_MASK

SYSFS = Path("/sys")
PROC = Path("/proc")

_IP_TIMEOUT_S = 30


def rename(steps: Sequence[tuple[str, str]]) -> str:
    """Renames devices in this order, taking each down first; returns the complaints of `ip`, if any.

    One that fails does not keep the others from being renamed.
    """
    if not steps:
        return ""
    lines = "".join(f"link set dev {old} down\nlink set dev {old} name {new}\n" for old, new in steps)
    return _ip(lines)


def delete_links(names: Iterable[str]) -> str:
    """Deletes virtual devices such as bridges; returns what `ip` complained of, empty if nothing."""
    lines = "".join(f"link delete dev {name}\n" for name in names)
    return _ip(lines) if lines else ""


def _ip(lines: str) -> str:
    try:
        done = subprocess.run(
            ["ip", "-force", "-batch", "-"],
            input=lines,
            capture_output=True,
            text=True,
            timeout=_IP_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return " ".join(done.stderr.split())


def largest_mtu(names: Iterable[str]) -> dict[str, int]:
    """The largest MTU (bytes) that each of these devices can, as far as its driver says so."""
    wanted = set(names)
    if not wanted:
        return {}
    command = ["ip", "-details", "-json", "link", "show"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_IP_TIMEOUT_S)
        found = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    return {one["ifname"]: one["max_mtu"] for one in found if one["ifname"] in wanted and one.get("max_mtu")}


def device_names(sysfs: Path = SYSFS) -> list[str]:
    """The names of all network devices there are, sorted. Raises OSError."""
    return sorted(path.name for path in (sysfs / "class/net").iterdir())


def has_link(name: str, sysfs: Path = SYSFS) -> bool:
    """Whether something is plugged in at the other end; False also for a port that is down or not there."""
    try:
        return (sysfs / "class/net" / name / "carrier").read_text().strip() == "1"
    except OSError:
        return False


def pass_group_frames(ports: Iterable[str], sysfs: Path = SYSFS) -> list[str]:
    """Lets these ports of a bridge pass on frames to 01:80:C2:00:00:0x (see `links`); returns those changed.

    A port that is not (yet) part of a bridge is left alone: call again when it may be. Raises OSError if the
    kernel refuses.
    """
    changed = []
    for name in ports:
        mask = sysfs / "class/net" / name / "brport/group_fwd_mask"
        try:
            if int(mask.read_text(), 0) != PORT_GROUP_MASK:
                mask.write_text(f"{PORT_GROUP_MASK:#x}\n")
                changed.append(name)
        except FileNotFoundError:
            continue
    return changed


def switch_off_ipv6(names: Iterable[str], proc: Path = PROC) -> None:
    """With IPv6 a port or bridge would send of its own when it is up (RFC 4861, RFC 3810). Raises OSError."""
    for name in names:
        path = proc / "sys/net/ipv6/conf" / name / "disable_ipv6"
        if path.exists() and path.read_text().strip() != "1":
            path.write_text("1\n")
