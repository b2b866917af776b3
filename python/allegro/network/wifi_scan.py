"""What `iw` tells of the air: networks around, devices in our own network, our own connection (iw 6)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from allegro.network.wifi_adapters import channel_of, frequency
from allegro.settings.wifi import Band

Security = Literal["open", "wep", "wpa", "wpa2", "wpa2-wpa3", "wpa3", "enterprise"]

_OVERLAP_MHZ = 20
"""Channels of 20 MHz in the 2.4 GHz band disturb each other below this distance of their centres."""

_APART = (1, 6, 11)
"""Channels of the 2.4 GHz band that do not overlap."""


@dataclass(frozen=True)
class FoundNetwork:
    """A network in reach; of several senders of the same name the strongest. `signal_dbm`: about -30 to -90.

    `channel` is 0 in bands other than 2.4 and 5 GHz.
    """

    ssid: str
    bssid: str
    signal_dbm: float
    frequency_mhz: int
    channel: int
    security: Security


@dataclass(frozen=True)
class Station:
    """A device in our own network. `name` and `address` are those of its lease, or empty."""

    mac: str
    signal_dbm: float | None
    connected_s: int
    received: int  # bytes
    sent: int  # bytes
    name: str = ""
    address: str = ""


@dataclass(frozen=True)
class Connection:
    """Our connection to another network."""

    ssid: str
    bssid: str
    signal_dbm: float | None
    frequency_mhz: int


def parse_scan(text: str) -> list[FoundNetwork]:
    """Networks by `iw dev NAME scan`: all senders that do not hide their name, the strongest first."""
    found = []
    for block in re.split(r"^BSS ", text, flags=re.MULTILINE)[1:]:
        ssid = unescaped(_value(block, "SSID"))
        mhz = _integer(_value(block, "freq"))
        if ssid.strip("\0") and mhz:
            signal = _number(_value(block, "signal")) or 0.0
            found.append(FoundNetwork(ssid, block[:17], signal, mhz, channel_of(mhz), _security(block)))
    return sorted(found, key=lambda network: -network.signal_dbm)


def by_name(networks: Iterable[FoundNetwork]) -> list[FoundNetwork]:
    """Of each name the first one."""
    first: dict[str, FoundNetwork] = {}
    for network in networks:
        first.setdefault(network.ssid, network)
    return list(first.values())


def quietest_channel(networks: Sequence[FoundNetwork], band: Band, usable: Sequence[int]) -> int:
    """The channel on which the fewest others are heard; the lowest one if there are several.

    `usable` must not be empty. At 2.4 GHz only channels that do not overlap come into question.
    """
    candidates = [number for number in usable if band == "5" or number in _APART] or list(usable)

    def disturbance(number: int) -> float:
        centre = frequency(band, number)
        near = (each for each in networks if abs(each.frequency_mhz - centre) < _OVERLAP_MHZ)
        # A neighbour counts by its strength in the air, from 0 at -95 dBm.
        return sum(max(each.signal_dbm + 95, 1) for each in near)

    return min(candidates, key=lambda number: (disturbance(number), number))


def parse_stations(text: str, leases: str, now_s: float) -> list[Station]:
    """Devices by `iw dev NAME station dump`, named by the lease file of dnsmasq."""
    known = {}
    for line in leases.splitlines():
        words = line.split()
        if len(words) >= 4 and (words[0] == "0" or int(words[0]) > now_s):
            known[words[1].lower()] = (words[2], "" if words[3] == "*" else words[3])
    stations = []
    for block in re.split(r"^Station ", text, flags=re.MULTILINE)[1:]:
        if _value(block, "authorized") == "no":
            continue
        mac = block[:17].lower()
        address, name = known.get(mac, ("", ""))
        stations.append(
            Station(
                mac,
                _number(_value(block, "signal")),
                _integer(_value(block, "connected time")),
                _integer(_value(block, "rx bytes")),
                _integer(_value(block, "tx bytes")),
                name,
                address,
            )
        )
    return sorted(stations, key=lambda station: station.mac)


def parse_link(text: str) -> Connection | None:
    """Our connection by `iw dev NAME link`; None without one."""
    found = re.match(r"Connected to ([0-9a-f:]{17})", text)
    if found is None:
        return None
    return Connection(
        unescaped(_value(text, "SSID")),
        found[1],
        _number(_value(text, "signal")),
        _integer(_value(text, "freq")),
    )


def unescaped(text: str) -> str:
    """A network's name as `iw` writes it: bytes outside of ASCII as `\\xc3` (UTF-8, as nearly all use it)."""
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())
    return raw.decode("utf-8", "replace")


def _security(block: str) -> Security:
    rsn = re.search(r"^\tRSN:(.*\n(?:\t\t.*\n)*)", block + "\n", re.MULTILINE)
    suites = re.search(r"Authentication suites: (.*)", rsn[1]) if rsn else None
    if suites:
        if "802.1X" in suites[1]:
            return "enterprise"
        psk, sae = "PSK" in suites[1], "SAE" in suites[1]
        return "wpa2-wpa3" if psk and sae else "wpa3" if sae else "wpa2"
    if re.search(r"^\tWPA:", block, re.MULTILINE):
        return "wpa"
    return "wep" if "Privacy" in _value(block, "capability") else "open"


def _value(block: str, name: str) -> str:
    found = re.search(rf"^\t{name}:[ \t]*(.*?)\r?$", block, re.MULTILINE)
    return found[1] if found else ""


def _number(text: str) -> float | None:
    found = re.match(r"-?\d+(\.\d+)?", text)
    return float(found[0]) if found else None


def _integer(text: str) -> int:
    return int(_number(text) or 0)
