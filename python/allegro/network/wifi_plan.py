"""What the WiFi adapter is to do, by settings and by what it can: rules without I/O."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

from allegro.errors import AllegroError, Conflict
from allegro.network import wifi_files
from allegro.network.wifi_adapters import Capabilities
from allegro.network.wifi_files import Radio
from allegro.network.wifi_scan import FoundNetwork, quietest_channel
from allegro.settings.countries import COUNTRIES
from allegro.settings.wifi import AccessPoint, Wifi

_HIGHEST_THIRD_BYTE = 98  # of the addresses tried: 192.168.78.1 to 192.168.98.1


@dataclass(frozen=True)
class AccessPointPlan:
    """An access point as it is to be; `security` is "wpa2" or "wpa2-wpa3"."""

    radio: Radio
    security: str
    own: IPv4Interface
    hostapd: str
    dnsmasq: str
    network: str


def own_address(settings: AccessPoint, taken: Iterable[IPv4Network]) -> IPv4Interface:
    """The device's address in its own network: the one that is set, else one in a subnet that is not `taken`.

    Raises Conflict.
    """
    used = list(taken)
    if settings.address:
        own = IPv4Interface(settings.address)
        for network in used:
            if network.overlaps(own.network):
                raise Conflict(
                    f"The subnet of the access point ({own.network}) overlaps with {network}, in which the"
                    " device has an address already.",
                    place="wifi.access_point.address",
                    remedy="Choose another address for the access point, or leave it empty.",
                )
        return own
    for third in range(78, _HIGHEST_THIRD_BYTE + 1):
        own = IPv4Interface(f"192.168.{third}.1/24")
        if not any(network.overlaps(own.network) for network in used):
            return own
    raise Conflict(
        "No free subnet was found for the access point.",
        place="wifi.access_point.address",
        remedy="Set its address by hand.",
    )


def access_point(
    settings: Wifi,
    host_name: str,
    own: IPv4Interface,
    can: Capabilities,
    scan: Callable[[], Sequence[FoundNetwork]],
    lease_file: str,
    control: str,
    more: str = "",
) -> AccessPointPlan:
    """The access point with these settings. `scan` listens for others, if the channel is to be found;
    `control`, `more`: see `wifi_files.hostapd`.

    Raises Conflict if the adapter cannot do it, or may not in this country.
    """
    wanted = settings.access_point
    if not can.access_point:
        raise Conflict(
            "This WiFi adapter cannot be an access point.",
            place="wifi.mode",
            remedy="Use another adapter, or use this one to join a network (client).",
        )
    security = wifi_files.security(wanted, can.wpa3)
    radio = Radio(
        ssid=wanted.ssid or host_name,
        band=wanted.band,
        channel=wanted.channel or 0,
        country=settings.country,
        wpa3=security == "wpa2-wpa3",
        ac=can.ac,
    )
    usable = can.channels.get(wanted.band, ())
    if (wanted.channel and wanted.channel not in usable) or not usable:
        raise _no_channel(settings, usable)
    if not wanted.channel:
        radio = Radio(**{**vars(radio), "channel": quietest_channel(scan(), wanted.band, usable)})
    return AccessPointPlan(
        radio,
        security,
        own,
        hostapd=wifi_files.hostapd(radio, wanted.password, control, more),
        dnsmasq=wifi_files.dnsmasq(own, wanted.leases(own), host_name, lease_file),
        network=wifi_files.access_point_network(own),
    )


def _no_channel(settings: Wifi, usable: Sequence[int]) -> AllegroError:
    wanted = settings.access_point
    what = f"channel {wanted.channel}" if wanted.channel else f"the band {wanted.band} GHz"
    where = f"in {COUNTRIES[settings.country]}" if settings.country else "as long as no country is set"
    instead = f"Possible are {', '.join(map(str, usable))}." if usable else "Choose the other band."
    return Conflict(
        f"With this WiFi adapter, {what} cannot be used {where}.",
        place=f"wifi.access_point.{'channel' if wanted.channel else 'band'}",
        remedy=instead,
    )
