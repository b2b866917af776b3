"""The settings of the WiFi adapter."""

import ipaddress
import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from allegro import new_device
from allegro.settings.base import Section, Text, mistake, own_address
from allegro.settings.countries import COUNTRIES
from allegro.settings.leases import check_leases, lease_range, one_address

Mode = Literal["access-point", "client", "off"]
Band = Literal["2.4", "5"]

FIRST_PASSWORD = new_device.WIFI_PASSWORD
"""Of every new device's network. A device that has had another one never goes back to it."""

SSID_BYTES = 32
"""The longest network name (IEEE 802.11-2020, 9.4.2.2); a letter with an accent takes two bytes of it."""

CHANNELS: dict[Band, tuple[int, ...]] = {
    "2.4": tuple(range(1, 14)),
    "5": (36, 40, 44, 48, 149, 153, 157, 161, 165),
}
"""Channels of 20 MHz that can be chosen. Those from 52 to 144 are shared with radar: an access point has to
listen for minutes before it may use them, and leave when it hears one (ETSI EN 301 893)."""


def _network_name(value: str) -> str:
    length = len(value.encode())
    if length > SSID_BYTES:
        raise ValueError(f"is {length} bytes long; the name of a WiFi network has at most {SSID_BYTES}")
    return value


def wpa_password(value: str) -> str:
    """IEEE 802.11-2020, J.4.1: a pass-phrase of ASCII characters, or the key itself in hex digits.

    Raises ValueError.
    """
    if re.fullmatch(r"[ -~]{8,63}|[0-9A-Fa-f]{64}", value) is None:
        raise ValueError(
            "is not a WiFi password: 8 to 63 letters, digits and signs without accents, or 64 hex digits"
        )
    return value


class AccessPoint(Section):
    """The device's own network, for phones and laptops."""

    ssid: Text = Field(
        default="",
        title="Network name (SSID)",
        description="Name of the device's own WiFi network; empty = name of the device (allegro-mm-xxxx)",
    )
    password: str = Field(
        default=FIRST_PASSWORD,
        description="Password of the device's own network: 8 to 63 characters",
        json_schema_extra={"secret": True},
    )
    security: Literal["wpa2-wpa3", "wpa2"] = Field(
        default="wpa2-wpa3",
        title="Encryption",
        description="WPA3 is offered beside WPA2 if the adapter can do it",
        json_schema_extra={"choices": {"wpa2-wpa3": "WPA2 and WPA3", "wpa2": "WPA2 only"}},
    )
    band: Band = Field(
        default="2.4",
        description="2.4 GHz reaches farther and is understood by every device; 5 GHz needs the country",
        json_schema_extra={"choices": {"2.4": "2.4 GHz", "5": "5 GHz"}},
    )
    channel: int = Field(
        default=0,
        ge=0,
        le=165,
        description="0 = the one with the fewest neighbours; else 1 to 13, or at 5 GHz 36 to 48, 149 to 165",
    )
    address: str = Field(
        default="",
        title="Address of the device",
        description="With prefix length; empty = 192.168.78.1/24, or if that subnet is in use another",
    )
    lease_first: str = Field(
        default="",
        title="First leased address",
        description="First address that is given to WiFi devices; empty = chosen by itself (.100 to .199)",
    )
    lease_last: str = Field(
        default="",
        title="Last leased address",
        description="Last address that is given to WiFi devices",
    )

    @field_validator("ssid")
    @classmethod
    def _ssid_is_one(cls, value: str) -> str:
        return _network_name(value)

    @field_validator("password")
    @classmethod
    def _password_is_one(cls, value: str) -> str:
        return wpa_password(value)

    @field_validator("address")
    @classmethod
    def _address_is_usable(cls, value: str) -> str:
        if not value:
            return value
        network = ipaddress.IPv4Interface(own_address(value)).network
        if network.prefixlen > 29:
            raise ValueError(f"the subnet {network} is too small for an access point; /29 is the smallest")
        return own_address(value)

    @field_validator("lease_first", "lease_last")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return one_address(value)

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.channel and self.channel not in CHANNELS[self.band]:
            usual = ", ".join(map(str, CHANNELS[self.band]))
            words = f"is no channel of the band {self.band} GHz: 0 (by itself) or one of {usual}"
            raise mistake(words, self.channel, "channel")
        check_leases(self.lease_first, self.lease_last, self.address)
        return self

    def leases(self, own: ipaddress.IPv4Interface) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
        """First and last leased address, if the device has the address `own`."""
        return lease_range(self.lease_first, self.lease_last, own)


class Client(Section):
    """The network of somebody else that the device joins, if it is to be a client."""

    ssid: Text = Field(
        default="",
        title="Network name (SSID)",
        description="Name of the WiFi network that the device joins",
    )
    password: str = Field(
        default="",
        description="Password of that network; empty = a network without encryption",
        json_schema_extra={"secret": True},
    )

    @field_validator("ssid")
    @classmethod
    def _ssid_is_one(cls, value: str) -> str:
        return _network_name(value)

    @field_validator("password")
    @classmethod
    def _password_is_one(cls, value: str) -> str:
        return wpa_password(value) if value else value


class Wifi(Section):
    """WiFi."""

    mode: Mode = Field(
        default="access-point",
        title="WiFi adapter",
        description="As access point the device has its own network, as client it joins one",
        json_schema_extra={
            "choices": {
                "access-point": "Access point",
                "client": "Client",
                "off": "Off",
            }
        },
    )
    country: str = Field(
        default="",
        title="Country",
        description="Whose law decides about channels; not set: only those that are allowed everywhere",
        json_schema_extra={
            "enum": ["", *COUNTRIES],
            "choices": {"": "Not set", **COUNTRIES},
        },
    )
    access_point: AccessPoint = Field(
        default=AccessPoint(), json_schema_extra={"when": {"mode": ["access-point"]}}
    )
    client: Client = Field(default=Client(), json_schema_extra={"when": {"mode": ["client"]}})

    @field_validator("country")
    @classmethod
    def _country_is_known(cls, value: str) -> str:
        code = value.upper()
        if code and code not in COUNTRIES:
            raise ValueError("is not the code of a country, like DE, FR or US")
        return code

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.mode == "client" and not self.client.ssid:
            raise mistake("the name of the network to join is missing", "", "client", "ssid")
        if self.access_point.band == "5" and not self.country:
            words = "the band 5 GHz needs the country, because each country allows other channels"
            raise mistake(words, "", "country")
        return self
