"""The settings of the network by cable: links, management ports, time servers."""

import difflib
import ipaddress
import re
import zoneinfo
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from allegro.settings.base import Section, mistake, of_one_device, own_address, parsed
from allegro.settings.leases import check_leases, lease_range, one_address

LinkMode = Literal["bridge", "sink"]
LAST_PAIR = 64


def is_host(value: str) -> bool:
    """Whether it is an IP address or a host name (RFC 1123: labels of up to 63 letters, digits, hyphens)."""
    try:
        of_one_device(ipaddress.ip_address(value))
    except ValueError:
        label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
        is_name = re.fullmatch(rf"(?=.{{1,253}}$)({label}\.)*{label}", value) is not None
        return is_name and not re.fullmatch(r"[0-9.]+", value)
    return True


class Pair(Section):
    """A pair of measuring ports that does something else than the others."""

    pair: int = Field(ge=1, le=LAST_PAIR, description="1 = ports 1 and 2, 2 = ports 3 and 4, …")
    mode: LinkMode = Field(
        description="What this pair does", json_schema_extra={"choices": {"bridge": "Bridge", "sink": "Sink"}}
    )


class Links(Section):
    """Links and groups."""

    mode: LinkMode = Field(
        default="bridge",
        description="Bridge: ports 1+2, 3+4, … form transparent links; sink: every port only receives",
        json_schema_extra={
            "choices": {
                "bridge": "Bridge",
                "sink": "Sink",
            }
        },
    )
    pairs: tuple[Pair, ...] = Field(
        default=(),
        title="Pairs that differ",
        description="Pairs of ports that do something else than what is said above",
    )

    def mode_of(self, pair: int) -> LinkMode:
        """What the pair of this number does."""
        return next((each.mode for each in self.pairs if each.pair == pair), self.mode)

    def cuts(self, after: Self) -> tuple[int, ...]:
        """The pairs that pass packets on now and no longer afterwards, whether they are there or not."""
        return tuple(
            pair
            for pair in range(1, LAST_PAIR + 1)
            if self.mode_of(pair) == "bridge" and after.mode_of(pair) == "sink"
        )

    @field_validator("pairs")
    @classmethod
    def _each_pair_once(cls, value: tuple[Pair, ...]) -> tuple[Pair, ...]:
        numbers = [each.pair for each in value]
        for row, number in enumerate(numbers):
            if number in numbers[:row]:
                raise mistake(f"pair {number} is in the table twice", number, row, "pair")
        return value


class Addressing(Section):
    """How a management port gets its address."""

    mode: Literal["dhcp", "static", "server"] = Field(
        default="dhcp",
        title="Address",
        description="Of the management port; with DHCP server: other devices get theirs from this one",
        json_schema_extra={
            "choices": {
                "dhcp": "From a DHCP server",
                "static": "Static",
                "server": "Static, with DHCP server",
            }
        },
    )
    address: str = Field(
        default="",
        title="Static address",
        description="Static IPv4 address with prefix length, for example 192.168.1.20/24",
        json_schema_extra={"when": {"mode": ["static", "server"]}},
    )
    gateway: str = Field(
        default="",
        title="Gateway",
        description="Default gateway for the static address",
        json_schema_extra={"when": {"mode": ["static", "server"]}},
    )
    dns: tuple[str, ...] = Field(
        default=(),
        title="Name servers",
        description="Name servers, one a line; with an address from a DHCP server those that it names are"
        " used as well",
    )
    lease_first: str = Field(
        default="",
        title="First leased address",
        description="As DHCP server: first address that is given to others; empty = chosen by itself",
        json_schema_extra={"when": {"mode": ["server"]}},
    )
    lease_last: str = Field(
        default="",
        title="Last leased address",
        description="As DHCP server: last address that is given to others",
        json_schema_extra={"when": {"mode": ["server"]}},
    )

    @field_validator("address")
    @classmethod
    def _address_is_usable(cls, value: str) -> str:
        return own_address(value) if value else value

    @field_validator("gateway", "lease_first", "lease_last")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return one_address(value)

    @field_validator("dns")
    @classmethod
    def _dns_are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        servers = [parsed(ipaddress.ip_address, server, "a list of IP addresses") for server in value]
        for server in servers:
            if server.version == 6 and server.scope_id is not None:
                raise ValueError("cannot name an interface: leave out the % and what follows")
            of_one_device(server)
        return tuple(map(str, servers))

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.mode == "dhcp":
            return self
        if not self.address:
            raise mistake("a static address is needed", self.address, "address")
        own = ipaddress.IPv4Interface(self.address)
        if self.gateway and ipaddress.IPv4Address(self.gateway) not in own.network:
            words = f"gateway {self.gateway} is not in the subnet {own.network}"
            raise mistake(words, self.gateway, "gateway")
        if self.gateway == str(own.ip):
            words = f"gateway {self.gateway} is the address of this device"
            raise mistake(words, self.gateway, "gateway")
        if self.mode == "server":
            self._leases_fit(own.network)
        return self

    def _leases_fit(self, network: ipaddress.IPv4Network) -> None:
        if network.prefixlen > 29:
            words = f"the subnet {network} is too small for a DHCP server; /29 is the smallest"
            raise mistake(words, self.address, "address")
        check_leases(self.lease_first, self.lease_last, self.address)

    def leases(self) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
        """First and last leased address, of mode "server" with its address set."""
        return lease_range(self.lease_first, self.lease_last, ipaddress.IPv4Interface(self.address))


class Management(Addressing):
    """Management interface settings."""

    ipv6: Literal["auto", "off"] = Field(
        default="auto",
        title="IPv6",
        description="By itself: addresses by router advertisements and DHCPv6, and always a link-local one",
        json_schema_extra={"choices": {"auto": "By itself (SLAAC, DHCPv6)", "off": "Off"}},
    )
    host_name: str = Field(
        default="",
        max_length=63,
        title="Host name",
        description="Name of the device, also in mDNS (<name>.local); empty = allegro-mm- and four digits"
        " of the management port",
    )
    second: Addressing = Field(
        default=Addressing(),
        title="Second management port",
        description="The port mgmt1, if there is one; further ones always use a DHCP server",
    )
    confirm_s: int = Field(
        default=120,
        ge=5,
        le=3600,
        title="Time to confirm (seconds)",
        description="Changed addresses, and links that were cut, are taken back after this time unless"
        " somebody confirms them, addresses at the new one",
    )

    @field_validator("host_name")
    @classmethod
    def _host_name_is_one(cls, value: str) -> str:
        if value and not re.fullmatch(r"(?![0-9]+$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", value):
            raise ValueError(
                "is not a host name: letters, digits and hyphens, no hyphen at either end, not only digits"
            )
        return value.lower()


class Time(Section):
    """Time."""

    servers: tuple[str, ...] = Field(
        default=(),
        title="NTP servers",
        description="Names or addresses, one a line; without any, those that DHCP names, else public ones",
    )
    servers_from_dhcp: bool = Field(
        default=True, title="NTP servers from DHCP", description="Also use the servers that DHCP names"
    )
    zone: str = Field(
        default="UTC", title="Time zone", description="For example Europe/Berlin; captures are named in UTC"
    )

    @field_validator("servers")
    @classmethod
    def _servers_are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for row, server in enumerate(value):
            if not is_host(server):
                raise mistake("is neither a host name nor an IP address", server, row)
        return value

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (ValueError, LookupError, OSError):
            close = difflib.get_close_matches(value, zoneinfo.available_timezones(), n=1, cutoff=0.5)
            hint = f"; do you mean {close[0]}?" if close else ", like Europe/Berlin"
            raise ValueError(f"is not a known time zone{hint}") from None
        return value
