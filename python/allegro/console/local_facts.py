"""What the console asks the system itself, so that it has something to say when nothing else works.

The kernel's own tables, without a further program: this runs every other second, on the smallest device too.
"""

import contextlib
import os
import socket
import struct
import time
from pathlib import Path

from allegro.capture import status as recorder_status
from allegro.console.screen import Interface
from allegro.paths import Paths
from allegro.system.health import RECORDER_SILENT_S
from allegro.version import own_version

SYSFS = Path("/sys")

# linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h
_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST_DUMP = 0x301
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence number, port
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, device
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr: length, type
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_F_TENTATIVE = 0x40
_SCOPE_GLOBAL = 0
_REPLY_SIZE = 1 << 16
_REPLY_TIMEOUT_S = 2.0

_OPERATING = ("up", "unknown")


def clock() -> str:
    """The time of day, UTC; minutes, so that it changes the screen once a minute only."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def host_name() -> str:
    """The name of the device."""
    return os.uname().nodename


def firmware() -> str:
    """The version that runs."""
    return own_version()


def system_id(paths: Paths) -> str:
    """The id of the installation; empty if it cannot be read."""
    try:
        return paths.system_id.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def recorder_state(paths: Paths) -> str:
    """What the recorder says of itself; empty if it has been silent for some seconds."""
    try:
        told = recorder_status.from_json(paths.recorder_status.read_bytes())
    except (OSError, ValueError):
        return ""
    age_s = time.time() - told.time_ns / 1e9
    return told.state if abs(age_s) <= RECORDER_SILENT_S else ""


def interfaces(sysfs: Path = SYSFS) -> tuple[Interface, ...]:
    """Network devices with their addresses, by name; without loopback and bridges. Raises OSError."""
    known = addresses()
    found = []
    for entry in sorted((sysfs / "class/net").iterdir(), key=lambda entry: entry.name):
        if entry.name != "lo" and not (entry / "bridge").exists():
            found.append(Interface(entry.name, _has_link(entry), tuple(known.get(entry.name, ()))))
    return tuple(found)


def _has_link(entry: Path) -> bool:
    try:
        return (entry / "operstate").read_text().strip() in _OPERATING
    except OSError:  # unplugged while it was looked at
        return False


def addresses() -> dict[str, list[str]]:
    """Addresses with prefix length that others can reach, by device (rtnetlink(7)). Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as kernel:
        kernel.settimeout(_REPLY_TIMEOUT_S)
        question = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        kernel.send(
            _HEADER.pack(_HEADER.size + len(question), _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0) + question
        )
        found: dict[str, list[str]] = {}
        while True:
            ended, part = parse_addresses(kernel.recv(_REPLY_SIZE))
            for index, address in part:
                with contextlib.suppress(OSError):  # unplugged while it was looked at
                    found.setdefault(socket.if_indextoname(index), []).append(address)
            if ended:
                return found


def parse_addresses(reply: bytes) -> tuple[bool, list[tuple[int, str]]]:
    """One reply of the kernel: whether it was the last one, and (device's number, address/prefix length)."""
    found: list[tuple[int, str]] = []
    at = 0
    while at + _HEADER.size <= len(reply):
        length, kind, _, _, _ = _HEADER.unpack_from(reply, at)
        if kind in (_NLMSG_DONE, _NLMSG_ERROR) or length < _HEADER.size:
            return True, found
        if kind == _RTM_NEWADDR:
            family, prefix, flags, scope, index = _ADDRESS.unpack_from(reply, at + _HEADER.size)
            raw = _local(reply[at + _HEADER.size + _ADDRESS.size : at + length])
            if scope == _SCOPE_GLOBAL and raw and not flags & _IFA_F_TENTATIVE:
                found.append((index, f"{socket.inet_ntop(family, raw)}/{prefix}"))
        at += (length + 3) & ~3
    return False, found


def _local(attributes: bytes) -> bytes:
    """The device's own address: IFA_LOCAL, or IFA_ADDRESS where there is no other (IPv6)."""
    values = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if length < _ATTRIBUTE.size:
            break
        values[kind] = attributes[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS, b"")
