"""The management interface, as a file for systemd-networkd (systemd.network(5))."""

import ipaddress

from allegro.network.ports import FIRST_MANAGEMENT as FIRST
from allegro.network.temporary_address import Claim
from allegro.settings.model import Settings
from allegro.settings.network import Addressing, Time

SECOND = "mgmt1"
TEMPORARY_LEASES = (100, 100)
"""Leases beside a temporary address: from this host number, so many."""


def network_files(settings: Settings, names: list[str], temporary: Claim | None = None) -> dict[str, str]:
    """File name → content, for the management ports `names`; a third one and further ones always ask DHCP.

    `temporary` is an address that the first port has beside its own until power-off.
    """
    management = settings.management
    files = {}
    for number, name in enumerate(names):
        own = {FIRST: management, SECOND: management.second}.get(name, Addressing())
        files[f"{name}.network"] = _file(
            own,
            name,
            metric=100 * (number + 1),
            ipv6=management.ipv6 == "auto",
            time=settings.time,
            temporary=temporary if name == FIRST else None,
        )
    return files


def _file(
    settings: Addressing, name: str, *, metric: int, ipv6: bool, time: Time, temporary: Claim | None
) -> str:
    addresses = [settings.address] if settings.mode != "dhcp" else []
    serves_temporary = temporary is not None and temporary.dhcp_server
    serves = settings.mode == "server" or serves_temporary
    # A DHCP client beside the server would take this device's own network for another one.
    asks = settings.mode == "dhcp" and not serves_temporary
    if temporary is not None and temporary.address not in addresses:
        addresses.append(temporary.address)
    lines = [
        "[Match]",
        f"Name={name}",
        "",
        "[Link]",
        "RequiredForOnline=no",
        # It may have been a measuring port before.
        "ARP=yes",
        "Promiscuous=no",
        "AllMulticast=no",
        "MTUBytes=1500",
        "",
        "[Network]",
        f"DHCP={_client(asks, ipv6 and settings.mode == 'dhcp')}",
        f"LinkLocalAddressing={'ipv6' if ipv6 else 'no'}",
        f"IPv6AcceptRA={_word(ipv6)}",
        "MulticastDNS=yes",
        "LLMNR=no",
    ]
    lines += [f"Address={address}" for address in addresses]
    lines += [f"DNS={server}" for server in settings.dns]
    lines += [f"NTP={server}" for server in time.servers]
    if serves:
        lines += ["DHCPServer=yes"]
    if settings.mode != "dhcp" and settings.gateway:
        lines += ["", "[Route]", f"Gateway={settings.gateway}", f"Metric={metric}"]
    if temporary is not None and serves_temporary:
        lines += ["", *_temporary_server(temporary)]
    elif serves:
        lines += ["", *_server(settings)]
    lines += [
        "",
        "[DHCPv4]",
        # By MAC address, so that the lease stays the same over restarts: the machine id does not.
        "ClientIdentifier=mac",
        "SendHostname=yes",
        "UseHostname=no",
        f"UseNTP={_word(time.servers_from_dhcp)}",
        f"RouteMetric={metric}",
        "",
        "[DHCPv6]",
        "DUIDType=link-layer",
        "SendHostname=yes",
        "UseHostname=no",
        f"UseNTP={_word(time.servers_from_dhcp)}",
        "",
        "[IPv6AcceptRA]",
        f"RouteMetric={metric}",
    ]
    return "\n".join(lines) + "\n"


def _server(settings: Addressing) -> list[str]:
    network = ipaddress.IPv4Interface(settings.address).network
    first, last = settings.leases()
    servers = [server for server in settings.dns if ":" not in server]
    return [
        *_server_head(int(first) - int(network.network_address), int(last) - int(first) + 1),
        f"ServerAddress={settings.address}",
        *([f"EmitDNS=yes\nDNS={' '.join(servers)}"] if servers else ["EmitDNS=no"]),
        *([f"EmitRouter=yes\nRouter={settings.gateway}"] if settings.gateway else ["EmitRouter=no"]),
    ]


def _temporary_server(temporary: Claim) -> list[str]:
    return [
        *_server_head(*TEMPORARY_LEASES),
        f"ServerAddress={temporary.address}",
        "EmitDNS=no",
        "EmitRouter=no",
    ]


def _server_head(offset: int, size: int) -> list[str]:
    # Leases are not kept: /var is volatile, and clients ask for the address they had.
    return [
        "[DHCPServer]",
        f"PoolOffset={offset}",
        f"PoolSize={size}",
        "PersistLeases=no",
        "EmitNTP=no",
        "EmitTimezone=no",
    ]


def _client(ipv4: bool, ipv6: bool) -> str:
    return {(True, True): "yes", (True, False): "ipv4", (False, True): "ipv6"}.get((ipv4, ipv6), "no")


def _word(value: bool) -> str:
    return "yes" if value else "no"
