"""WiFi adapters: which there are, which one is used, what it can do.

One adapter is used, and is called `wifi0`. Others stay as they are until it is unplugged.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from allegro.network.ports import SYSFS, NetworkDevice, read_devices
from allegro.settings.wifi import CHANNELS, Band

NAME = "wifi0"


@dataclass(frozen=True)
class Adapter:
    """A WiFi adapter. `index` is the kernel's number of the interface: another one after each plugging in."""

    name: str
    index: int
    phy: str
    mac: str
    driver: str


@dataclass(frozen=True)
class Capabilities:
    """What an adapter can do here and now, so with the present country.

    `channels`: those of `settings.wifi.CHANNELS` on which it may be an access point. `wpa3`: it can be an
    access point with SAE and protected management frames. `ac`: 802.11ac in the 5 GHz band.
    """

    access_point: bool = False
    wpa3: bool = False
    ac: bool = False
    channels: dict[Band, tuple[int, ...]] = field(default_factory=dict)


def adapters(sysfs: Path = SYSFS) -> list[Adapter]:
    """All adapters, the one to use first: it is called `wifi0` already, or it is the first on the bus."""
    devices = [device for device in read_devices(sysfs) if device.kind == "wifi"]
    found = []
    for device in sorted(devices, key=_order):
        entry = sysfs / "class/net" / device.name
        try:
            index = int((entry / "ifindex").read_text())
            phy = (entry / "phy80211/name").read_text().strip()
        except OSError:  # unplugged while it was looked at
            continue
        found.append(Adapter(device.name, index, phy, device.mac, device.driver))
    return found


def _order(device: NetworkDevice) -> tuple[object, ...]:
    natural = [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", device.name)]
    return (device.name != NAME, device.bus_path, natural)


def parse_phy(text: str) -> Capabilities:
    """What `iw phy PHY info` says of an adapter (iw 6)."""
    modes = _list(text, "Supported interface modes")
    # SAE in an access point is the work of hostapd; the driver must pass on the frames of the handshake, and
    # protect management frames (BIP-CMAC-128), which SAE requires.
    sae = "Device supports SAE with AUTHENTICATE command" in text
    protected = any(cipher.startswith("CMAC") for cipher in _list(text, "Supported Ciphers"))
    bands = re.split(r"^\tBand \d+:$", text, flags=re.MULTILINE)[1:]
    five = next((band for band in bands if re.search(r"\* 5\d{3}(\.\d)? MHz \[36\]", band)), "")
    usable = {int(found[1]) for band in bands for found in _frequencies(band)}
    return Capabilities(
        access_point="AP" in modes,
        wpa3=sae and protected,
        ac="VHT Capabilities" in five,
        channels={
            band: tuple(number for number in numbers if frequency(band, number) in usable)
            for band, numbers in CHANNELS.items()
        },
    )


def frequency(band: Band, channel: int) -> int:
    """Centre of a channel of 20 MHz, in MHz (IEEE 802.11-2020, 17.3.8.4.3 and 19.3.15)."""
    return (2407 if band == "2.4" else 5000) + 5 * channel


def channel_of(mhz: int) -> int:
    """The channel with this centre; 0 if it lies in another band than those at 2.4 and 5 GHz."""
    if mhz == 2484:
        return 14
    if 2412 <= mhz <= 2472:
        return (mhz - 2407) // 5
    return (mhz - 5000) // 5 if 5160 <= mhz <= 5885 else 0


def _list(text: str, title: str) -> list[str]:
    """The items of a list of `iw`: lines with an asterisk that follow its title."""
    found = re.search(rf"^\t{title}:\n((?:\t\t ?\* .*\n)*)", text, re.MULTILINE)
    return [line.strip(" \t*") for line in found[1].splitlines()] if found else []


def _frequencies(band: str) -> Sequence[re.Match[str]]:
    """Frequencies on which somebody may send first: not switched off, not "no IR", not for radar."""
    lines = re.finditer(r"^\t\t\t\* (\d+)(?:\.\d)? MHz \[\d+\] \((.*)\)$", band, re.MULTILINE)
    return [line for line in lines if not re.search(r"disabled|no IR|radar", line[2])]
