"""The network: how it is, changes that wait for confirmation, names of ports, the temporary address."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.audit import say
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.network.overview import Interface, Interfaces, Port
from allegro.network.temporary_address import Claim
from allegro.settings.model import Settings
from allegro.words import utc


@dataclass(frozen=True)
class NetworkParts:
    """What the router is given. `reassign` takes present → wanted names of ports, `blink` a port and seconds.

    All raise AllegroError.
    """

    settings: Callable[[], Settings]
    name: Callable[[], str]
    ports: Callable[[], Sequence[Port]]
    interfaces: Callable[[Sequence[str]], Interfaces]
    remaining_s: Callable[[], float | None]
    taken_back: Callable[[], str]
    confirm: Callable[[], None]
    take_back: Callable[[], None]
    reassign: Callable[[Mapping[str, str]], None]
    blink: Callable[[str, int], None]
    temporary: Callable[[], Claim | None]
    claim: Callable[[bool], Claim]
    release: Callable[[], None]


class PortAnswer(BaseModel):
    """A wired network port."""

    name: str = Field(description="mgmt0, mgmt1, … for management, port1, port2, … for measuring")
    role: Literal["management", "measuring"]
    kind: str = Field(description="wired (built in) or usb; empty while it is not there")
    key: str = Field(description="What the device knows it by: its MAC address, or its place on the bus")
    driver: str
    place: str = Field(description="Place on the bus, below /sys/devices")
    present: bool = Field(description="false: it was unplugged; its name is kept for it")
    link_up: bool
    speed_mbit: int | None
    mtu: int | None = Field(description="Bytes behind the Ethernet header")
    link: str = Field(description="The link that it is part of; empty for a port that only receives")

    @classmethod
    def of(cls, port: Port) -> Self:
        """The port as the API shows it."""
        return cls.model_validate(port, from_attributes=True)


class AddressAnswer(BaseModel):
    """An address of the device."""

    model_config = ConfigDict(from_attributes=True)

    address: str = Field(description="With prefix length")
    source: str = Field(description="static, DHCPv4, DHCPv6, NDisc (router advertisement) or foreign")


class InterfaceAnswer(BaseModel):
    """How the device is reached by one management port."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    addresses: list[AddressAnswer]
    gateways: list[str]
    dns: list[str]

    @classmethod
    def of(cls, interface: Interface) -> Self:
        """The interface as the API shows it."""
        return cls.model_validate(interface)


class TemporaryAnswer(BaseModel):
    """The address that the first management port has until power-off."""

    address: str = Field(description="With prefix length")
    dhcp_server: bool = Field(description="The device gives addresses to others")
    probed: bool = Field(
        description="false: there was no cable, so nobody could be asked whether it is free; it is asked"
        " when one is plugged in"
    )

    @classmethod
    def of(cls, claim: Claim) -> Self:
        """The address as the API shows it."""
        return cls(address=claim.address, dhcp_server=claim.dhcp_server, probed=claim.probed)


class NetworkAnswer(BaseModel):
    """How the network is."""

    host_name: str
    links_mode: Literal["bridge", "sink"] = Field(description="What pairs do that are not named otherwise")
    ports: list[PortAnswer]
    management: list[InterfaceAnswer]
    addresses_unknown_since: str | None = Field(
        description="ISO 8601, UTC: since then systemd-networkd does not tell the addresses, and those of"
        " before are shown; usually null"
    )
    temporary_address: TemporaryAnswer | None
    confirm_within_s: float | None = Field(
        description="Changed settings are taken back after so many seconds unless they are confirmed"
    )
    taken_back: str = Field(
        description="Why the last change was taken back; empty if it was not, or after the next one"
    )


class ChangeAnswer(BaseModel):
    """Whether a change of the network waits for confirmation."""

    confirm_within_s: float | None = Field(
        description="Changed settings are taken back after so many seconds unless they are confirmed;"
        " null: none wait"
    )


class ClaimRequest(BaseModel):
    """How a temporary address is wanted."""

    model_config = ConfigDict(extra="forbid")

    dhcp_server: bool = Field(
        default=False, description="Also give addresses to others, as for a computer that is connected alone"
    )


class PortsRequest(BaseModel):
    """Other names of ports."""

    model_config = ConfigDict(extra="forbid")

    names: dict[str, str] = Field(
        min_length=1,
        description="Present name → wanted name; ports that are not named keep theirs",
        examples=[{"mgmt0": "port1", "port1": "mgmt0"}],
    )


class BlinkRequest(BaseModel):
    """For how long."""

    model_config = ConfigDict(extra="forbid")

    seconds: int = Field(default=5, ge=1, le=10, description="A light of the port blinks so long")


def router(parts: NetworkParts) -> APIRouter:
    """GET /network and what can be done with it."""
    routes = noun("network", "/network")

    def answer() -> NetworkAnswer:
        ports = parts.ports()
        names = [one.name for one in ports if one.role == "management" and one.present]
        told, claim = parts.interfaces(names), parts.temporary()
        return NetworkAnswer(
            host_name=parts.name(),
            links_mode=parts.settings().links.mode,
            ports=[PortAnswer.of(one) for one in ports],
            management=[InterfaceAnswer.of(one) for one in told.interfaces],
            addresses_unknown_since=utc(told.unknown_since_ns) if told.unknown_since_ns else None,
            temporary_address=TemporaryAnswer.of(claim) if claim else None,
            confirm_within_s=parts.remaining_s(),
            taken_back=parts.taken_back(),
        )

    @routes.get("", dependencies=[requires("viewer")])
    def network() -> NetworkAnswer:
        """Ports, addresses, and whether a change waits for confirmation."""
        return answer()

    @routes.get("/change", dependencies=[requires("viewer")])
    def change() -> ChangeAnswer:
        """Whether a change waits for confirmation. Asked by every page, so it looks at nothing else."""
        return ChangeAnswer(confirm_within_s=parts.remaining_s())

    @routes.post("/confirm", dependencies=[requires("admin")])
    def confirm() -> NetworkAnswer:
        """Changed settings stay; to be sent to the new address, which shows that it can be reached."""
        parts.confirm()
        return answer()

    @routes.post("/take-back", dependencies=[requires("admin")])
    def take_back() -> NetworkAnswer:
        """Changed settings are taken back now."""
        parts.take_back()
        return answer()

    @routes.put("/ports", dependencies=[requires("admin")])
    def ports(request: PortsRequest) -> NetworkAnswer:
        """Gives ports other names. If management ports are concerned, that has to be confirmed."""
        parts.reassign(request.names)
        return answer()

    @routes.post("/ports/{name}/blink", dependencies=[requires("admin")], status_code=204)
    def blink(name: str, request: Request, wanted: BlinkRequest | None = None) -> None:
        """Lets a light at the port blink, to find it, and answers when it has. 409: its card cannot."""
        parts.blink(name, (wanted or BlinkRequest()).seconds)
        say(request, f"Let a light of {name} blink")

    @routes.post("/temporary-address", dependencies=[requires("admin")])
    def claim(request: ClaimRequest | None = None) -> TemporaryAnswer:
        """The first management port gets 192.168.77.1/24 as well, or the next free one, until power-off.

        Takes some seconds: others are asked whether they have it.
        """
        return TemporaryAnswer.of(parts.claim(request.dhcp_server if request else False))

    @routes.delete("/temporary-address", dependencies=[requires("admin")])
    def release() -> NetworkAnswer:
        """Gives the temporary address back before power-off."""
        parts.release()
        return answer()

    return routes
