"""Links between measuring ports, as files for systemd-networkd (systemd.netdev(5), systemd.network(5)).

A link is a kernel bridge that behaves like a cable: it has no address, learns nothing (so a frame always goes
out of the other port), sends nothing of its own, and passes on what bridges usually keep to themselves: STP,
LACP, 802.1X, LLDP. What it cannot pass on: frames to 01:80:C2:00:00:01 (pause frames), those with a group or
zero as sender, and those to the MAC address of one of its own ports. `redirect` lets these pass as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from allegro.errors import InvalidInput
from allegro.network.ports import measuring
from allegro.settings.network import LinkMode, Links

DEFAULT_MTU = 1500
LARGEST_MTU = 9216
"""Bytes behind the Ethernet header that a link passes, if its cards can: what switches call jumbo frames."""

QUEUE_LENGTH = 4096
"""Frames that may wait to go out on a port, in their order. The usual queue (fq_codel) sorts them by flow and
drops some of those that wait: a cable does neither."""

# Bit n = group address 01:80:C2:00:00:0n. Not allowed are, for a bridge, bits 0 to 2, and for one of its
# ports bit 1 (net/bridge/br_private.h: BR_GROUPFWD_RESTRICTED, BR_GROUPFWD_MACPAUSE). STP itself (bit 0)
# always passes while it is switched off on the bridge.
BRIDGE_GROUP_MASK = 0xFFF8
PORT_GROUP_MASK = 0xFFFD


@dataclass(frozen=True)
class Link:
    """Two ports that are one cable."""

    bridge: str
    ports: tuple[str, str]


@dataclass(frozen=True)
class LinkPlan:
    """What the measuring ports do: pairs that are links, and ports that only receive."""

    links: tuple[Link, ...]
    receive_only: tuple[str, ...]


def plan(settings: Links, names: Iterable[str]) -> LinkPlan:
    """Ports 1+2 are link br1, 3+4 are br2, …; without partner, or in mode sink, a port only receives."""
    ports = measuring(names)
    modes: dict[int, LinkMode] = {each.pair: each.mode for each in settings.pairs}
    links = []
    for name in ports:
        number = int(name[4:])
        pair = (number + 1) // 2
        partner = f"port{number + 1}"
        if number % 2 == 1 and partner in ports and modes.get(pair, settings.mode) == "bridge":
            links.append(Link(f"br{pair}", (name, partner)))
    linked = {name for link in links for name in link.ports}
    return LinkPlan(tuple(links), tuple(name for name in ports if name not in linked))


def check_pairs(old: Links, new: Links, names: Iterable[str]) -> None:
    """Raises InvalidInput, at its row, for a pair that is new in the table and of which there is no port.

    `names`: of all ports, also of those that were unplugged. Without a measuring port nothing is refused:
    they may come.
    """
    ports = measuring(names)
    there = {(int(name[4:]) + 1) // 2 for name in ports} | {each.pair for each in old.pairs}
    for row, each in enumerate(new.pairs if ports else ()):
        if each.pair not in there:
            raise InvalidInput(
                f"There is no pair {each.pair}: the measuring ports of this device are {', '.join(ports)}.",
                place=f"links.pairs.{row}.pair",
            )


def network_files(wanted: LinkPlan, mtu: Mapping[str, int] | None = None) -> dict[str, str]:
    """File name → content. `mtu`: what each card can, in bytes (default 1500).

    A link has the smaller of its two, so that what comes in can go out, but never more than LARGEST_MTU.
    """
    sizes = {name: min(size, LARGEST_MTU) for name, size in (mtu or {}).items()}
    files: dict[str, str] = {}
    for link in wanted.links:
        size = min(sizes.get(name, DEFAULT_MTU) for name in link.ports)
        files[f"{link.bridge}.netdev"] = _bridge_device(link.bridge, size)
        files[f"{link.bridge}.network"] = _silent(link.bridge, size)
        for name in link.ports:
            files[f"{name}.network"] = _bridge_port(name, link.bridge, size)
    for name in wanted.receive_only:
        files[f"{name}.network"] = _receive_only(name, sizes.get(name, DEFAULT_MTU))
    return files


def _bridge_device(name: str, mtu: int) -> str:
    return f"""\
[NetDev]
Name={name}
Kind=bridge
MTUBytes={mtu}

[Bridge]
STP=no
ForwardDelaySec=0
MulticastSnooping=no
MulticastQuerier=no
GroupForwardMask={BRIDGE_GROUP_MASK}
"""


def _link(name: str, mtu: int, *more: str) -> str:
    # ARP=no: the kernel would answer on every interface for the address of the management port.
    lines = (f"MTUBytes={mtu}", "ARP=no", "RequiredForOnline=no", *more)
    return f"[Match]\nName={name}\n\n[Link]\n" + "\n".join(lines) + "\n"


def _network(*more: str) -> str:
    # Strict filtering of sources drops all IPv4 for us: an interface without address expects none.
    lines = (
        "DHCP=no",
        "LinkLocalAddressing=no",
        "IPv6AcceptRA=no",
        "IPv4ReversePathFilter=strict",
        "LLDP=no",
        "EmitLLDP=no",
        "LLMNR=no",
        "MulticastDNS=no",
        "ConfigureWithoutCarrier=yes",
        "IgnoreCarrierLoss=yes",
        *more,
    )
    return "\n[Network]\n" + "\n".join(lines) + "\n"


def _silent(name: str, mtu: int) -> str:
    return _link(name, mtu) + _network()


def _receive_only(name: str, mtu: int) -> str:
    return _link(name, mtu, "Promiscuous=yes", "AllMulticast=yes") + _network()


def _bridge_port(name: str, bridge: str, mtu: int) -> str:
    return (
        _link(name, mtu)
        + _network(f"Bridge={bridge}")
        + f"""
[Bridge]
Learning=no
UnicastFlood=yes
MulticastFlood=yes
MulticastToUnicast=no
HairPin=no

[PFIFO]
Parent=root
PacketLimit={QUEUE_LENGTH}
"""
    )
