"""All settings of the device, one class per section.

Declared once: the settings file, the API, the command line, the page and the manual follow from here. Every
field has a default, a range and a sentence for the user. A field with `secret` is never shown (see masks).
"""

import ipaddress
import re
import ssl
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from allegro.settings.base import Port, Section, Text, mistake, of_one_device, parsed
from allegro.settings.wifi import Wifi

SCHEMA_VERSION = 1


class Recording(Section):
    """Packet ring buffer."""

    ring_size_mib: int = Field(
        default=1024,
        ge=16,
        le=64 * 1024 * 1024,
        title="Size (MiB)",
        description="Size of the packet ring buffer in MiB (1 MiB = 1048576 bytes)",
    )


class Presenter(Section):
    """A USB presenter whose keys trigger a capture."""

    vendor: str = Field(pattern=r"^[0-9a-f]{4}$", description="USB vendor id, four hex digits")
    product: str = Field(pattern=r"^[0-9a-f]{4}$", description="USB product id, four hex digits")
    name: Text = Field(min_length=1, max_length=64, description="Name shown to the user")


class Trigger(Section):
    """USB capture trigger."""

    before_s: int = Field(
        default=60,
        ge=0,
        le=86400,
        title="Before the press (seconds)",
        description="Seconds before the press that the capture covers",
    )
    after_s: int = Field(
        default=0,
        ge=0,
        le=3600,
        title="After the press (seconds)",
        description="Seconds after the press that the capture covers",
    )
    debounce_ms: int = Field(
        default=1000,
        ge=0,
        le=10000,
        title="Double press (milliseconds)",
        description="A key pressed again within this time (ms) counts as one press; 0 = off",
    )
    beep: bool = Field(
        default=True, title="Tones", description="Confirm with tones on a USB sound device, if there is one"
    )
    presenters: tuple[Presenter, ...] = Field(
        default=(Presenter(vendor="046d", product="c52d", name="Logitech R400"),),
        title="Known presenters",
        description="USB presenters whose keys trigger",
    )


class Export(Section):
    """Pcap export via SFTP."""

    enabled: bool = Field(
        default=False,
        title="Send captures to a server",
        description="New captures go to the upload directory and are sent to the server",
    )
    host: str = Field(
        default="", max_length=253, title="Server", description="Name or address of the SFTP server"
    )
    port: Port = Field(default=22, description="TCP port of the SFTP server")
    username: Text = Field(
        default="", max_length=64, title="User name", description="User name on the server"
    )
    authentication: Literal["password", "key"] = Field(
        default="password",
        title="Log in with",
        description="How to log in: with the password, or with the device's own key",
        json_schema_extra={"choices": {"password": "Password", "key": "The device's own key"}},
    )
    password: str = Field(
        default="", max_length=256, description="Password on the server", json_schema_extra={"secret": True}
    )
    directory: Text = Field(default=".", min_length=1, max_length=1024, description="Directory on the server")
    time: str = Field(
        default="02:00",
        title="Daily upload at",
        description="Time of day of the daily upload, hh:mm, in the device's time zone (UTC)",
        json_schema_extra={"format": "time-of-day"},
    )
    immediately: bool = Field(
        default=False, title="Upload at once", description="Also upload at once after each capture"
    )
    host_key: str = Field(
        default="",
        max_length=128,
        description="Pinned host key of the server (SHA256:…); set it from a test upload",
    )

    @field_validator("host")
    @classmethod
    def _host_is_a_name(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._:%-]*[A-Za-z0-9.])?", value):
            raise ValueError("is not a host name or an IP address; leave out user name, port and path")
        return value

    @field_validator("host_key")
    @classmethod
    def _host_key_is_a_fingerprint(cls, value: str) -> str:
        if value and not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", value):
            raise ValueError(
                "is not a SHA256 fingerprint as ssh-keygen -l prints it (SHA256: and 43 characters)"
            )
        return value

    @field_validator("time")
    @classmethod
    def _time_is_a_time_of_day(cls, value: str) -> str:
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise ValueError("is not a time of day; write hh:mm, from 00:00 to 23:59")
        return value

    @model_validator(mode="after")
    def _enabled_needs_a_server(self) -> Self:
        if self.enabled and not (self.host and self.username):
            raise ValueError("host and username are needed before the export can be enabled")
        return self


class Links(Section):
    """Links and groups."""

    mode: Literal["bridge", "sink"] = Field(
        default="bridge",
        description="bridge: ports 1+2, 3+4, … form transparent links; sink: every port only receives",
        json_schema_extra={
            "choices": {
                "bridge": "Bridge: ports 1+2, 3+4, … form transparent links",
                "sink": "Sink: every port only receives",
            }
        },
    )


class Management(Section):
    """Management interface settings."""

    mode: Literal["dhcp", "static"] = Field(
        default="dhcp",
        title="Address",
        description="Where the address of the management port comes from",
        json_schema_extra={"choices": {"dhcp": "From a DHCP server", "static": "Static"}},
    )
    address: str = Field(
        default="",
        title="Static address",
        description="Static IPv4 address with prefix length, for example 192.168.1.20/24",
    )
    gateway: str = Field(default="", title="Gateway", description="Default gateway for the static address")
    dns: tuple[str, ...] = Field(
        default=(), title="Name servers", description="Name servers for the static address, one a line"
    )

    @field_validator("address")
    @classmethod
    def _address_is_usable(cls, value: str) -> str:
        if value:
            what = "an IPv4 address with prefix length (/1 to /32), like 192.168.1.20/24"
            interface = parsed(ipaddress.IPv4Interface, value, what)
            network = interface.network
            if not value.partition("/")[2].isdecimal() or network.prefixlen == 0:
                raise ValueError(f"is not {what}")
            of_one_device(interface.ip)
            if network.prefixlen <= 30 and interface.ip in (
                network.network_address,
                network.broadcast_address,
            ):
                raise ValueError(f"is the network or broadcast address of {network}; choose one in between")
            return str(interface)
        return value

    @field_validator("gateway")
    @classmethod
    def _gateway_is_an_address(cls, value: str) -> str:
        if value:
            address = parsed(ipaddress.IPv4Address, value, "an IPv4 address")
            of_one_device(address)
            return str(address)
        return value

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
    def _static_needs_an_address(self) -> Self:
        if self.mode == "static":
            if not self.address:
                raise ValueError("mode static needs an address")
            own = ipaddress.IPv4Interface(self.address)
            if self.gateway and ipaddress.IPv4Address(self.gateway) not in own.network:
                raise ValueError(f"gateway {self.gateway} is not in the subnet {own.network}")
            if self.gateway == str(own.ip):
                raise ValueError(f"gateway {self.gateway} is the address of this device")
        return self


class Firmware(Section):
    """Firmware updates."""

    server: Text = Field(
        default="",
        max_length=1024,
        title="Update server",
        description="Address of the directory with new firmware, beginning with https://; empty: none",
    )
    check_daily: bool = Field(
        default=True,
        title="Look for new firmware each day",
        description="Ask the update server once a day whether there is a newer version, and announce it",
    )
    certificate: str = Field(
        default="",
        max_length=65536,
        title="Certificate of a private update server",
        description="Certificate (PEM) of the authority that vouches for the server; empty: public ones",
        json_schema_extra={"format": "long-text"},
    )

    @field_validator("server")
    @classmethod
    def _server_is_https(cls, value: str) -> str:
        if value and not re.fullmatch(r"https://[A-Za-z0-9._:\[\]%-]+(/[A-Za-z0-9._~%/+-]*)?", value):
            raise ValueError("is not the address of a directory such as https://updates.example.org/allegro/")
        return value

    @field_validator("certificate")
    @classmethod
    def _certificate_is_one(cls, value: str) -> str:
        if value:
            try:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.load_verify_locations(cadata=value)
            except (ssl.SSLError, ValueError, TypeError):
                raise ValueError(
                    "is not a certificate in PEM format (-----BEGIN CERTIFICATE----- …)"
                ) from None
        return value


class Settings(Section):
    """Everything that a user can change."""

    schema_version: int = Field(
        default=SCHEMA_VERSION,
        ge=1,
        le=SCHEMA_VERSION,
        description="Format of the settings file; changed by updates only",
    )
    recording: Recording = Recording()
    trigger: Trigger = Trigger()
    export: Export = Export()
    links: Links = Links()
    management: Management = Management()
    firmware: Firmware = Firmware()
    wifi: Wifi = Wifi()

    @model_validator(mode="after")
    def _wifi_has_a_subnet_of_its_own(self) -> Self:
        """Only an address that is set: one that is chosen by itself avoids others."""
        own = self.wifi.access_point.address
        if self.wifi.mode == "access-point" and own and self.management.mode == "static":
            network = ipaddress.IPv4Interface(own).network
            management = ipaddress.IPv4Interface(self.management.address).network
            if network.overlaps(management):
                words = f"the subnet {network} overlaps with {management} of management.address"
                raise mistake(words, own, "wifi", "access_point", "address")
        return self
