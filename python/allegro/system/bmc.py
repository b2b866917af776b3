"""The LAN address of the machine's management controller (BMC), by ipmitool and the kernel's IPMI driver."""

import ipaddress
import logging
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from allegro.errors import InvalidInput, NotFound, Unavailable

DEVICE = Path("/dev/ipmi0")
LAST_CHANNEL = 11
"""IPMI 2.0, table 6-1: numbers of channels that can be a LAN go from 1 to 0Bh."""

_TIMEOUT_S = 60

Source = Literal["static", "dhcp", "bios", "other"]
_SOURCES: dict[str, Source] = {"static": "static", "dhcp": "dhcp", "bios": "bios"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BmcLan:
    """`address` has its prefix length, like 192.0.2.7/24; it and `gateway` are empty if there is none."""

    channel: int
    source: Source
    address: str
    gateway: str
    mac: str


class Wanted(BaseModel):
    """What the BMC is to have; see `settings` for what is allowed. The page's form is made from it."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["static", "dhcp"] = Field(
        title="Address",
        description="Where the BMC gets its address from",
        json_schema_extra={"choices": {"static": "Static", "dhcp": "From a DHCP server"}},
    )
    address: str = Field(
        default="",
        title="Static address",
        description="IPv4 address with prefix length",
        json_schema_extra={"when": {"source": ["static"]}},
    )
    gateway: str = Field(
        default="",
        description="Its gateway; empty = none",
        json_schema_extra={"when": {"source": ["static"]}},
    )


@dataclass(frozen=True)
class Said:
    """What ipmitool answered."""

    code: int
    text: str
    complaint: str


Run = Callable[[Sequence[str]], Said]


def run_ipmitool(arguments: Sequence[str]) -> Said:
    """Runs ipmitool on the machine's own BMC. Raises Unavailable if it does not answer."""
    try:
        done = subprocess.run(["ipmitool", *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"The BMC cannot be asked ({error}).", place="BMC") from error
    return Said(done.returncode, done.stdout, done.stderr.strip())


class Bmc:
    """The BMC, if there is one; `run` and `device` are played in tests."""

    def __init__(self, run: Run = run_ipmitool, device: Path = DEVICE) -> None:
        self._run = run
        self._device = device

    @property
    def present(self) -> bool:
        """Whether the kernel has found one."""
        return self._device.exists()

    def lan(self) -> BmcLan:
        """Its address now, of the first channel that is a LAN.

        Raises NotFound without a BMC or if it has no LAN, Unavailable if it does not answer.
        """
        if not self.present:
            raise NotFound("This machine has no BMC that the device could reach.", place="BMC")
        complaint = ""
        for channel in range(1, LAST_CHANNEL + 1):
            said = self._run(["lan", "print", str(channel)])
            # Some versions end with 1 after all of it, when the BMC does not tell its cipher suites.
            if (found := parse(channel, said.text)) is not None:
                return found
            complaint = said.complaint
        raise NotFound(f"The BMC has no LAN port ({complaint or 'no channel answers'}).", place="BMC")

    def set_lan(self, source: Literal["static", "dhcp"], address: str = "", gateway: str = "") -> BmcLan:
        """Sets its address; answers with what it says afterwards.

        `address` has its prefix length. Raises InvalidInput, NotFound, Unavailable.
        """
        steps = settings(source, address, gateway)
        channel = self.lan().channel
        for step in steps:
            said = self._run(["lan", "set", str(channel), *step])
            if said.code != 0:
                raise Unavailable(
                    f"The BMC refused {' '.join(step)} ({said.complaint or 'without a reason'}).",
                    place="BMC",
                    remedy="See what it has now, and try again.",
                )
        return self.lan()


def settings(source: Literal["static", "dhcp"], address: str, gateway: str) -> list[list[str]]:
    """What `ipmitool lan set` is told, in this order. Raises InvalidInput that names the field."""
    if source == "dhcp":
        if address or gateway:
            raise InvalidInput(
                "With DHCP the address comes from the server.",
                place="address" if address else "gateway",
                remedy="Leave it empty.",
            )
        return [["ipsrc", "dhcp"]]
    what = "an IPv4 address with prefix length, like 192.168.1.20/24"
    try:
        interface = ipaddress.IPv4Interface(address)
    except ValueError:
        raise InvalidInput(f"Is not {what} (got {address!r}).", place="address") from None
    network = interface.network
    if not address.partition("/")[2].isdecimal() or not 1 <= network.prefixlen <= 30:
        raise InvalidInput(f"Is not {what} (got {address!r}).", place="address")
    if interface.ip in (network.network_address, network.broadcast_address) or interface.ip.is_multicast:
        raise InvalidInput(f"{interface.ip} is not the address of one device in {network}.", place="address")
    steps = [["ipsrc", "static"], ["ipaddr", str(interface.ip)], ["netmask", str(interface.netmask)]]
    try:
        router = ipaddress.IPv4Address(gateway or "0.0.0.0")  # noqa: S104 (no gateway, in a BMC's words)
    except ValueError:
        raise InvalidInput(f"Is not an IPv4 address (got {gateway!r}).", place="gateway") from None
    if gateway and (router not in network or router == interface.ip):
        raise InvalidInput(f"{gateway} is not another address in the subnet {network}.", place="gateway")
    return [*steps, ["defgw", "ipaddr", str(router)]]


def parse(channel: int, text: str) -> BmcLan | None:
    """What `ipmitool lan print` shows; None if that is no LAN."""
    values = {
        name.strip(): value.strip()
        for name, value in re.findall(r"^([^:\n]+?)\s*: (.*)$", text, re.MULTILINE)
    }
    if "IP Address" not in values:
        return None
    source = values.get("IP Address Source", "").split(" ")[0].lower()
    gateway = values.get("Default Gateway IP", "")
    return BmcLan(
        channel=channel,
        source=_SOURCES.get(source, "other"),
        address=_with_prefix(values["IP Address"], values.get("Subnet Mask", "")),
        gateway="" if gateway == "0.0.0.0" else gateway,  # noqa: S104
        mac=values.get("MAC Address", ""),
    )


def _with_prefix(address: str, mask: str) -> str:
    try:
        interface = ipaddress.IPv4Interface(f"{address}/{mask}")
    except ValueError:
        return ""
    return "" if interface.ip.is_unspecified else str(interface)
