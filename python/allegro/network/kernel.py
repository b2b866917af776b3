"""What is told to the kernel directly, because systemd-networkd has no word for it, or comes too late."""

import ctypes
import fcntl
import json
import socket
import struct
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from allegro.network.links import PORT_GROUP_MASK

SYSFS = Path("/sys")
PROC = Path("/proc")

_IP_TIMEOUT_S = 30

# linux/sockios.h and linux/ethtool.h
_SIOCETHTOOL = 0x8946
_GET_STRING_SET_INFO = 0x37
_GET_STRINGS = 0x1B
_GET_FEATURES = 0x3A
_SET_FEATURES = 0x3B
_FEATURE_NAMES = 4  # ETH_SS_FEATURES
_NAME_LENGTH = 32  # ETH_GSTRING_LEN

MERGING = (
    "rx-gro",
    "rx-gro-hw",
    "rx-gro-list",
    "rx-lro",
    "rx-udp-gro-forwarding",
)
"""Features by which kernel or card join packets before they are recorded (names as the kernel gives them)."""

STRIPPING = (
    "rx-vlan-hw-parse",
    "rx-vlan-stag-hw-parse",
)
"""Features by which the card takes VLAN tags out of packets. The kernel puts them back, but not every driver
hands over the whole tag: e1000 loses the priority, and a bridged packet would leave the device changed."""


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


def keep_packets_whole(name: str) -> list[str]:
    """Switches off MERGING and STRIPPING, so that packets are recorded and passed on as they came.

    Returns those that could be switched off. Raises OSError if the device is gone or knows no features.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        names = _feature_names(control, name)
        blocks = -(-len(names) // 32)
        answer = _ethtool(control, name, struct.pack("II", _GET_FEATURES, blocks) + bytes(16 * blocks))
        # struct ethtool_get_features_block: available, requested, active, never_changed
        states = [struct.unpack_from("4I", answer, 8 + 16 * block) for block in range(blocks)]
        unwanted = [
            (number, feature)
            for number, feature in enumerate(names)
            if feature in MERGING + STRIPPING
            and (states[number // 32][0] & ~states[number // 32][3]) >> number % 32 & 1
            and states[number // 32][2] >> number % 32 & 1
        ]
        if unwanted:
            # struct ethtool_set_features_block: valid, requested
            valid = [0] * blocks
            for number, _ in unwanted:
                valid[number // 32] |= 1 << number % 32
            request = struct.pack("II", _SET_FEATURES, blocks)
            request += b"".join(struct.pack("II", bits, 0) for bits in valid)
            _ethtool(control, name, request)
        return [feature for _, feature in unwanted]


def _feature_names(control: socket.socket, name: str) -> list[str]:
    # struct ethtool_sset_info: command, reserved, mask of string sets, then one length for each set asked for
    answer = _ethtool(control, name, struct.pack("IIQI", _GET_STRING_SET_INFO, 0, 1 << _FEATURE_NAMES, 0))
    count = struct.unpack_from("I", answer, 16)[0]
    head = struct.pack("III", _GET_STRINGS, _FEATURE_NAMES, count)
    answer = _ethtool(control, name, head + bytes(count * _NAME_LENGTH))
    strings = (answer[12 + n * _NAME_LENGTH : 12 + (n + 1) * _NAME_LENGTH] for n in range(count))
    return [text.split(b"\0", 1)[0].decode("ascii", "replace") for text in strings]


def _ethtool(control: socket.socket, name: str, request: bytes) -> bytes:
    """One SIOCETHTOOL call (netdevice(7)); returns the structure as the kernel left it."""
    buffer = ctypes.create_string_buffer(request, len(request))
    # struct ifreq: name, then a pointer to the structure
    fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP16x", name.encode(), ctypes.addressof(buffer)))
    return buffer.raw
