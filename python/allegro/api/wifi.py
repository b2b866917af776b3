"""The WiFi adapter: how it is, who uses it, which networks are around."""

from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.network.wifi_adapters import Adapter, Capabilities
from allegro.network.wifi_care import WifiCare
from allegro.network.wifi_scan import FoundNetwork, Security, Station
from allegro.network.wifi_state import State, WifiStatus
from allegro.settings.wifi import Mode
from allegro.words import utc_or_none


class AdapterAnswer(BaseModel):
    """The WiFi adapter that is used."""

    driver: str
    mac: str
    access_point: bool = Field(description="It can be an access point")
    wpa3: bool = Field(description="As an access point it can offer WPA3")
    channels: dict[str, list[int]] = Field(
        description="Channels of each band (GHz) that an access point may use with the present country"
    )

    @classmethod
    def of(cls, adapter: Adapter, can: Capabilities) -> Self:
        """The adapter as the API shows it."""
        return cls(
            driver=adapter.driver,
            mac=adapter.mac,
            access_point=can.access_point,
            wpa3=can.wpa3,
            channels={band: list(channels) for band, channels in can.channels.items()},
        )


class StationAnswer(BaseModel):
    """A device in the network of the access point."""

    mac: str
    name: str = Field(description="As it calls itself; may be empty")
    address: str = Field(description="Its leased address; may be empty")
    signal_dbm: float | None
    connected_s: int
    received: int = Field(description="Bytes from it")
    sent: int = Field(description="Bytes to it")

    @classmethod
    def of(cls, station: Station) -> Self:
        """The device as the API shows it."""
        return cls(
            mac=station.mac,
            name=station.name,
            address=station.address,
            signal_dbm=station.signal_dbm,
            connected_s=station.connected_s,
            received=station.received,
            sent=station.sent,
        )


class NetworkAnswer(BaseModel):
    """A network in reach: of several senders of one name the strongest."""

    ssid: str
    bssid: str = Field(description="MAC address of the sender")
    signal_dbm: float = Field(description="About -30 (beside it) to -90 (hardly heard)")
    frequency_mhz: int
    channel: int = Field(description="0 in bands other than 2.4 and 5 GHz")
    security: Security

    @classmethod
    def of(cls, network: FoundNetwork) -> Self:
        """The network as the API shows it."""
        return cls(
            ssid=network.ssid,
            bssid=network.bssid,
            signal_dbm=network.signal_dbm,
            frequency_mhz=network.frequency_mhz,
            channel=network.channel,
            security=network.security,
        )


class ScanAnswer(BaseModel):
    """What the last look for networks has found."""

    time: str | None
    networks: list[NetworkAnswer] = Field(description="The strongest first")


class WifiAnswer(BaseModel):
    """How the WiFi is."""

    mode: Mode = Field(description="What is set")
    state: State
    message: str = Field(description="The state in plain words; may be empty")
    remedy: str = Field(description="What to do about it; may be empty")
    adapter: AdapterAnswer | None
    ssid: str = Field(description="Name of the network; empty when there is none")
    security: str = Field(description="Of the access point: wpa2 or wpa2-wpa3; else empty")
    band: str = Field(description="Of the access point, GHz; else empty")
    channel: int = Field(description="Of the access point; else 0")
    addresses: list[str] = Field(description="Of the device in this network, with prefix length")
    signal_dbm: float | None = Field(description="Of the network that the device has joined")
    first_password: bool = Field(
        description="The access point has the password of a new device, which is in the manual"
    )
    both_passwords_s: float | None = Field(
        description="If not null: the password of a new device lets in beside the own one for so many seconds"
        " at most, and no longer than until somebody has joined with the own one"
    )
    clients: list[StationAnswer] = Field(description="Devices in the network of the access point")
    scan: ScanAnswer | None = Field(description="The last look for networks; null if there was none")

    @classmethod
    def of(cls, status: WifiStatus) -> Self:
        """The state as the API shows it."""
        scanned = None if status.scanned_s is None else round(status.scanned_s * 1e9)
        networks = [NetworkAnswer.of(network) for network in status.networks or ()]
        return cls(
            mode=status.mode,
            state=status.state,
            message=status.message,
            remedy=status.remedy,
            adapter=AdapterAnswer.of(status.adapter, status.can or Capabilities())
            if status.adapter
            else None,
            ssid=status.ssid,
            security=status.security,
            band=status.band,
            channel=status.channel,
            addresses=list(status.addresses),
            signal_dbm=status.signal_dbm,
            first_password=status.first_password,
            both_passwords_s=status.both_passwords_s,
            clients=[StationAnswer.of(station) for station in status.stations],
            scan=None
            if status.networks is None
            else ScanAnswer(time=utc_or_none(scanned), networks=networks),
        )


def router(care: WifiCare) -> APIRouter:
    """GET /wifi, POST /wifi/scan."""
    routes = noun("network", "/wifi")

    @routes.get("", dependencies=[requires("viewer")])
    def wifi() -> WifiAnswer:
        """The adapter, the network, and who is in it."""
        return WifiAnswer.of(care.status())

    @routes.post("/scan", dependencies=[requires("admin")])
    def scan() -> WifiAnswer:
        """Looks for networks, which takes a few seconds; who is in the own network may notice it."""
        return WifiAnswer.of(care.scan())

    return routes
