"""Which network device is what: `mgmt0` for management, `port1`, `port2`, … for measuring.

The rule for a device that starts for the first time:

1. Devices are taken in the order of the bus: built-in ones (PCI and the like) by address, then USB adapters
   by the position of their socket. WiFi adapters are left alone.
2. The first built-in one is management (`mgmt0`), the others are `port1` … `portN`, USB adapters last.
3. A single USB adapter beside built-in ones is spare: it is management and never measures. It is `mgmt0`,
   and all built-in ones measure, if that leaves none of these without a partner (their number is even) or if
   there is but one of them. Otherwise the first built-in one stays `mgmt0`, and the adapter is `mgmt1`.
4. Without built-in ones the first USB adapter is management.

Names stay with their devices, known by MAC address, or by the place on the bus where that tells nothing, so
that a device that is missing, late or new never turns a management port into a measuring one or swaps the
cables of a link. A new device gets the lowest free number. Only when no management port is left at start is
everything assigned anew.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from allegro.errors import InvalidInput

FIRST_MANAGEMENT = "mgmt0"
Kind = Literal["wired", "usb", "wifi"]

SYSFS = Path("/sys")
_ETHERNET = "1"  # ARPHRD_ETHER, linux/if_arp.h
_PERMANENT = "0"  # NET_ADDR_PERM, linux/netdevice.h
_PCI_ADDRESS = re.compile(r"([0-9a-f]{4,}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")


@dataclass(frozen=True)
class NetworkDevice:
    """A physical network device.

    `bus_path` is its place below /sys/devices, `dev_port` counts the ports of one card. `mac` is written as
    in sysfs; it is not `permanent` if it was made up by software.
    """

    name: str
    kind: Kind
    bus_path: str
    mac: str
    driver: str = ""
    permanent: bool = True
    dev_port: int = 0


def read_devices(sysfs: Path = SYSFS) -> list[NetworkDevice]:
    """All physical Ethernet and WiFi devices (Documentation/ABI/testing/sysfs-class-net of the kernel)."""
    found = []
    for entry in sorted((sysfs / "class/net").iterdir()):
        try:
            if (entry / "device").exists() and (entry / "type").read_text().strip() == _ETHERNET:
                found.append(_read_device(entry, sysfs))
        except OSError:  # unplugged while it was looked at
            continue
    return found


def _read_device(entry: Path, sysfs: Path) -> NetworkDevice:
    path = (entry / "device").resolve()
    bus_path = str(path.relative_to((sysfs / "devices").resolve()))
    kind: Kind = "wired"
    if (entry / "phy80211").exists() or (entry / "wireless").exists():
        kind = "wifi"
    elif re.search(r"(^|/)usb\d+/", bus_path):
        kind = "usb"
    driver = path / "driver"
    return NetworkDevice(
        name=entry.name,
        kind=kind,
        bus_path=bus_path,
        mac=_text(entry / "address"),
        permanent=_text(entry / "addr_assign_type") == _PERMANENT,
        driver=driver.resolve().name if driver.exists() else "",
        dev_port=int(_text(entry / "dev_port") or 0),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def in_bus_order(devices: Iterable[NetworkDevice]) -> list[NetworkDevice]:
    """Wired devices: built-in ones by address, then USB adapters by socket."""
    return sorted((one for one in devices if one.kind != "wifi"), key=_order)


def _order(device: NetworkDevice) -> tuple[object, ...]:
    # The innermost PCI address counts: lspci shows the same order. What follows it (virtio3, 1-2.1) is
    # compared with its numbers as numbers.
    addresses = list(_PCI_ADDRESS.finditer(device.bus_path))
    address: tuple[int, ...] = ()
    rest = device.bus_path
    if addresses:
        address = tuple(int(part, 16) for part in addresses[-1].groups())
        rest = device.bus_path[addresses[-1].end() :]
    natural = tuple(
        (1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.findall(r"\d+|\D+", rest)
    )
    return (device.kind == "usb", address, natural, device.dev_port, device.name)


def assign(
    devices: Sequence[NetworkDevice], known: Mapping[str, str], *, running: bool = False
) -> dict[str, str]:
    """Present name → wanted name of every wired device, by the rule above.

    `known`: key (see `keys`) → name from earlier. `running`: the device is in use, so present names stay
    as well, even if no management port is left.
    """
    wired = in_bus_order(devices)
    kept = {one.name: one.name for one in wired if running and _is_ours(one.name)}
    kept = _with_known(kept, wired, known)
    has_management = any(_is_management(name) for name in kept.values())
    if not kept or not (has_management or running):
        return _assign_all(wired)
    usb = [one for one in wired if one.kind == "usb"]
    for device in wired:
        if device.name not in kept:
            spare = device.kind == "usb" and len(usb) == 1
            kept[device.name] = _free("mgmt", 0, kept) if spare else _free("port", 1, kept)
    return kept


def keys(devices: Iterable[NetworkDevice]) -> dict[str, str]:
    """Present name → what a device is known by: its MAC address, or its place on the bus.

    Cheap cards share one address, some drivers make one up at each start: then it tells nothing.
    """
    wired = in_bus_order(devices)
    macs = [one.mac for one in wired]
    return {
        one.name: one.mac
        if one.permanent and macs.count(one.mac) == 1
        else f"place:{one.bus_path}:{one.dev_port}"
        for one in wired
    }


def remembered(devices: Sequence[NetworkDevice], known: Mapping[str, str]) -> dict[str, str]:
    """What is known from now on: present names, and those of absent devices that nobody else has taken."""
    present = {key: name for name, key in keys(devices).items() if _is_ours(name)}
    taken = set(present.values())
    absent = {key: name for key, name in known.items() if key not in present and name not in taken}
    return absent | present


def reassigned(devices: Sequence[NetworkDevice], changes: Mapping[str, str]) -> dict[str, str]:
    """Present name → wanted name of every wired device, after a user's changes (present → wanted).

    Raises InvalidInput that names the wrong one.
    """
    present = [one.name for one in in_bus_order(devices) if _is_ours(one.name)]
    for old, new in changes.items():
        if old not in present:
            raise InvalidInput(
                f"There is no port {old}.", place=old, remedy=f"There are {', '.join(present) or 'none'}."
            )
        if not _is_ours(new):
            raise InvalidInput(
                f"{new} is no name of a port.",
                place=old,
                remedy="Management ports are mgmt0, mgmt1, …, measuring ports port1, port2, …",
            )
    wanted = {name: changes.get(name, name) for name in present}
    for name, new in wanted.items():
        if list(wanted.values()).count(new) > 1 and name in changes:
            raise InvalidInput(
                f"Two ports would be {new}.", place=name, remedy="Give the other one another name, too."
            )
    if FIRST_MANAGEMENT not in wanted.values():
        raise InvalidInput(
            f"No port would be {FIRST_MANAGEMENT}, and the device could not be reached.",
            place=next(iter(changes), ""),
            remedy=f"Make another port {FIRST_MANAGEMENT}.",
        )
    return wanted


def measuring(names: Iterable[str]) -> list[str]:
    """The measuring ports among these names, by number."""
    return sorted((name for name in names if re.fullmatch(r"port\d+", name)), key=lambda name: int(name[4:]))


def management(names: Iterable[str]) -> list[str]:
    """The management ports among these names, by number."""
    return sorted((name for name in names if _is_management(name)), key=lambda name: int(name[4:]))


def rename_steps(wanted: Mapping[str, str]) -> list[tuple[str, str]]:
    """(old, new) in an order in which no name is taken when it is needed; empty if all have theirs already.

    Devices in the way of others step aside to a temporary name first, so that names can be swapped.
    """
    movers = {old: new for old, new in wanted.items() if old != new}
    targets = set(movers.values())
    aside = {old: f"allegro-tmp{number}" for number, old in enumerate(movers) if old in targets}
    return [*aside.items(), *((aside.get(old, old), new) for old, new in movers.items())]


def _is_management(name: str) -> bool:
    return re.fullmatch(r"mgmt\d+", name) is not None


def _is_ours(name: str) -> bool:
    return re.fullmatch(r"mgmt\d+|port[1-9]\d*", name) is not None


def _with_known(
    kept: Mapping[str, str], wired: Sequence[NetworkDevice], known: Mapping[str, str]
) -> dict[str, str]:
    """`kept`, and the known names of those that are not in it."""
    by_name = keys(wired)
    result = dict(kept)
    for device in wired:
        name = known.get(by_name[device.name], "")
        if _is_ours(name) and device.name not in result and name not in result.values():
            result[device.name] = name
    return result


def _assign_all(wired: Sequence[NetworkDevice]) -> dict[str, str]:
    built_in = [one for one in wired if one.kind != "usb"]
    usb = [one for one in wired if one.kind == "usb"]
    if len(usb) == 1 and built_in:
        complete = len(built_in) == 1 or len(built_in) % 2 == 0
        managing = usb if complete else [built_in[0], usb[0]]
    else:
        managing = list(wired[:1])
    names = {one.name: f"mgmt{number}" for number, one in enumerate(managing)}
    rest = [one for one in wired if one not in managing]
    return names | {one.name: f"port{number}" for number, one in enumerate(rest, 1)}


def _free(prefix: str, first: int, taken: Mapping[str, str]) -> str:
    number = first
    while f"{prefix}{number}" in taken.values():
        number += 1
    return f"{prefix}{number}"
