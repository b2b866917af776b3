"""How the network is: ports, links, addresses. What is shown by page, console and command line."""

import ipaddress
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from allegro.network import kernel, links, ports
from allegro.network.ports import NetworkDevice
from allegro.settings.network import Links
from allegro.slow_look import SlowLook

_TIMEOUT_S = 30

Role = Literal["management", "measuring"]


@dataclass(frozen=True)
class Port:
    """A wired port. One that is not `present` was unplugged, and gets its name again when it returns.

    `speed_mbit` and `mtu` (bytes) are None without a link, or if the driver does not tell. `link` is the
    bridge that the port is part of, empty for one that only receives or is for management.
    """

    name: str
    role: Role
    kind: str
    key: str
    driver: str
    place: str
    present: bool
    link_up: bool
    speed_mbit: int | None
    mtu: int | None
    link: str


@dataclass(frozen=True)
class Address:
    """`address` with prefix length; `source` in systemd's words: static, DHCPv4, DHCPv6, NDisc, foreign."""

    address: str
    source: str


@dataclass(frozen=True)
class Interface:
    """The addresses of one interface."""

    name: str
    addresses: tuple[Address, ...] = ()
    gateways: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()


def read_ports(known: Mapping[str, str], settings: Links, sysfs: Path = kernel.SYSFS) -> list[Port]:
    """All ports by name, management first; `known` (key → name) tells those that are absent.

    Raises OSError.
    """
    devices = [one for one in ports.read_devices(sysfs) if one.kind != "wifi"]
    by_name = ports.keys(devices)
    present = {one.name: one for one in devices}
    plan = links.plan(settings, present)
    linked = {name: link.bridge for link in plan.links for name in link.ports}
    absent = {name: key for key, name in known.items() if name not in present}
    found = [
        _port(name, present.get(name), by_name.get(name) or absent[name], linked.get(name, ""), sysfs)
        for name in {*present, *absent}
    ]
    order = [*ports.management({*present, *absent}), *ports.measuring({*present, *absent})]
    return sorted((one for one in found if one.name in order), key=lambda one: order.index(one.name))


def _port(name: str, device: NetworkDevice | None, key: str, link: str, sysfs: Path) -> Port:
    folder = sysfs / "class/net" / name
    up = device is not None and kernel.has_link(name, sysfs)
    return Port(
        name=name,
        role="management" if name.startswith("mgmt") else "measuring",
        kind=device.kind if device else "",
        key=key,
        driver=device.driver if device else "",
        place=device.bus_path if device else "",
        present=device is not None,
        link_up=up,
        speed_mbit=_positive(folder / "speed") if up else None,
        mtu=_positive(folder / "mtu") if device else None,
        link=link,
    )


def _positive(path: Path) -> int | None:
    try:
        value = int(path.read_text())
    except (OSError, ValueError):  # some drivers do not know, or not without a link
        return None
    return value if value > 0 else None


@dataclass(frozen=True)
class Interfaces:
    """The addresses of some interfaces; those of before if systemd-networkd says nothing since
    `unknown_since_ns` (ns since 1970)."""

    interfaces: tuple[Interface, ...]
    unknown_since_ns: int | None = None


def read_interfaces(names: Sequence[str]) -> Interfaces:
    """By networkctl(1), which waits for systemd-networkd; nobody waits longer than a moment for that."""
    seen = _ADDRESSES.latest()
    found = seen.value or {}
    return Interfaces(tuple(found.get(name, Interface(name)) for name in names), seen.unknown_since_ns)


def _ask() -> dict[str, Interface]:
    """Raises OSError, RuntimeError, ValueError."""
    command = ["networkctl", "--json=short", "list"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.SubprocessError as error:
        raise RuntimeError(str(error)) from error
    return parse_interfaces(json.loads(done.stdout))


_ADDRESSES = SlowLook("addresses", _ask)


def parse_interfaces(answer: Mapping[str, Any]) -> dict[str, Interface]:
    """What `networkctl --json=short list` answers, by name."""
    return {one["Name"]: _interface(one) for one in answer["Interfaces"]}


def _interface(told: Mapping[str, Any]) -> Interface:
    addresses = [
        Address(f"{_ip(one['Address'])}/{one['PrefixLength']}", one.get("ConfigSource", ""))
        for one in told.get("Addresses", ())
    ]
    gateways = [_ip(one["Gateway"]) for one in told.get("Routes", ()) if _is_default(one)]
    dns = [_ip(one["Address"]) for one in told.get("DNS", ())]
    return Interface(
        told["Name"],
        tuple(sorted(addresses, key=lambda one: (":" in one.address, one.address))),
        tuple(dict.fromkeys(gateways)),
        tuple(dict.fromkeys(dns)),
    )


def _is_default(route: Mapping[str, Any]) -> bool:
    return "Gateway" in route and not route.get("DestinationPrefixLength")


def _ip(octets: Sequence[int]) -> str:
    return str(ipaddress.ip_address(bytes(octets)))
