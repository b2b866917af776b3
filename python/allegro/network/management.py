"""The management interface, as a file for systemd-networkd (systemd.network(5))."""

from allegro.settings.model import Management

FIRST = "mgmt0"


def network_files(settings: Management, names: list[str]) -> dict[str, str]:
    """File name → content. The settings are those of `mgmt0`; a further management port always asks DHCP."""
    files = {}
    for number, name in enumerate(names):
        own = settings if name == FIRST else Management()
        files[f"{name}.network"] = _file(own, name, metric=100 * (number + 1))
    return files


def _file(settings: Management, name: str, metric: int) -> str:
    static = settings.mode == "static"
    lines = [
        "[Match]",
        f"Name={name}",
        "",
        "[Link]",
        "RequiredForOnline=no",
        "",
        "[Network]",
        f"DHCP={'no' if static else 'yes'}",
        "LinkLocalAddressing=ipv6",
        "IPv6AcceptRA=yes",
        "MulticastDNS=yes",
        "LLMNR=no",
    ]
    if static:
        lines += [f"Address={settings.address}"]
        lines += [f"DNS={server}" for server in settings.dns]
        if settings.gateway:
            lines += ["", "[Route]", f"Gateway={settings.gateway}", f"Metric={metric}"]
    lines += [
        "",
        "[DHCPv4]",
        # By MAC address, so that the lease stays the same over restarts: the machine id does not.
        "ClientIdentifier=mac",
        "SendHostname=yes",
        "UseHostname=no",
        f"RouteMetric={metric}",
        "",
        "[DHCPv6]",
        "DUIDType=link-layer",
        "SendHostname=yes",
        "UseHostname=no",
        "",
        "[IPv6AcceptRA]",
        f"RouteMetric={metric}",
    ]
    return "\n".join(lines) + "\n"
