"""All settings of the device, one class per section.

Declared once: the settings file, the API, the command line, the page and the manual follow from here. Every
field has a default, a range and a sentence for the user. A field with `secret` is never shown (see masks).
"""

import ipaddress
import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from allegro.errors import InvalidInput
from allegro.settings.authorities import certificates
from allegro.settings.base import Port, Section, Text, mistake, mistakes
from allegro.settings.export_ways import EXPORT_WAYS
from allegro.settings.filter_table import (
    MOST,
    FileFormat,
    FilterRow,
    PacketLength,
    SizeLimit,
    checked_filter,
    each_name_once,
)
from allegro.settings.link_groups import LinkGroups
from allegro.settings.network import Links, Management, Time
from allegro.settings.notifications import Notifications
from allegro.settings.recording import Recording
from allegro.settings.storage_rules import Storage
from allegro.settings.web_address import web_address
from allegro.settings.wifi import Wifi

SCHEMA_VERSION = 2
"""Of the settings file. From 2 on every version reads it value by value. 0.1.0, which writes 1, does so only
with newer files: it would drop all settings for one value in a file of its own number that it refuses."""


class Presenter(Section):
    """A USB presenter whose keys trigger a capture."""

    vendor: str = Field(description="USB vendor id, four hex digits, such as 046d")
    product: str = Field(description="USB product id, four hex digits, such as c52d")
    name: Text = Field(min_length=1, max_length=64, description="Name shown to the user")

    @field_validator("vendor", "product")
    @classmethod
    def _is_an_id(cls, value: str) -> str:
        if not re.fullmatch(r"[0-9a-fA-F]{4}", value):
            raise ValueError("is not a USB id: four digits from 0 to 9 and a to f, such as 046d")
        return value.lower()


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
    filter: Text = Field(
        default="",
        max_length=4096,
        title="Filter",
        description="Only packets that match are saved, such as ip == 192.0.2.1 and port == 80; empty: all",
        json_schema_extra={"format": "filter"},
    )
    format: FileFormat = "pcapng"
    packet_length: PacketLength = 0
    size_limit_mib: SizeLimit = 0
    rows: tuple[FilterRow, ...] = Field(
        default=(),
        max_length=MOST,
        title="Filter table",
        description="With a row in use, a press makes a file for each row of its key, and filter, format and"
        " limits above are not used",
        json_schema_extra={"ordered": True},
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
    volume: int = Field(
        default=60,
        ge=1,
        le=100,
        title="Volume (percent)",
        description="Of the tones, in percent of the loudest that the sound device can",
    )
    presenters: tuple[Presenter, ...] = Field(
        default=(Presenter(vendor="046d", product="c52d", name="Logitech R400"),),
        title="Known presenters",
        description="USB presenters whose keys trigger",
    )

    @field_validator("rows")
    @classmethod
    def _each_row_once(cls, value: tuple[FilterRow, ...]) -> tuple[FilterRow, ...]:
        return each_name_once(value)

    @field_validator("filter")
    @classmethod
    def _filter_is_one(cls, value: str) -> str:
        return checked_filter(value)

    @field_validator("presenters")
    @classmethod
    def _each_presenter_once(cls, value: tuple[Presenter, ...]) -> tuple[Presenter, ...]:
        models = [(each.vendor, each.product) for each in value]
        for row, model in enumerate(models):
            if model in models[:row]:
                raise mistake(
                    f"the presenter {':'.join(model)} is in the table twice", model[1], row, "product"
                )
        return value


class Export(Section):
    """Pcap export via SFTP."""

    enabled: bool = Field(
        default=False,
        title="Send captures to a server",
        description="New captures go to the upload directory and are sent to the server",
    )
    protocol: Literal["sftp", "webdav", "https", "s3"] = Field(
        default="sftp",
        description="SFTP to the server named here, or to the address below: WebDAV, plain HTTPS (PUT), or "
        "S3-compatible storage",
        json_schema_extra={"choices": dict(EXPORT_WAYS)},
    )
    host: str = Field(
        default="",
        max_length=253,
        title="Server",
        description="Name or address of the SFTP server",
        json_schema_extra={"when": {"protocol": ["sftp"]}},
    )
    port: Port = Field(
        default=22,
        description="TCP port of the SFTP server",
        json_schema_extra={"when": {"protocol": ["sftp"]}},
    )
    username: Text = Field(
        default="",
        max_length=64,
        title="User name",
        description="User name on the server; for S3 the access key",
    )
    authentication: Literal["password", "key"] = Field(
        default="password",
        title="Log in with",
        description="How to log in: with the password, or with the device's own key",
        json_schema_extra={
            "choices": {"password": "Password", "key": "The device's own key"},
            "when": {"protocol": ["sftp"]},
        },
    )
    key_type: Literal["ed25519", "rsa", "ecdsa"] = Field(
        default="ed25519",
        title="Kind of the device's own key",
        description="Another kind for servers that do not take the usual one; each is made when first needed",
        json_schema_extra={
            "choices": {"ed25519": "Ed25519", "rsa": "RSA, 3072 bits", "ecdsa": "ECDSA, P-256"},
            "when": {"protocol": ["sftp"], "authentication": ["key"]},
        },
    )
    password: str = Field(
        default="",
        max_length=256,
        description="Password on the server; for S3 the secret key",
        json_schema_extra={"secret": True},
    )
    directory: Text = Field(
        default=".",
        min_length=1,
        max_length=1024,
        description="Directory on the server; ~/ is the user's home, {device} the name of this device, "
        "{date} the day of the capture",
    )
    time: str = Field(
        default="02:00",
        title="Daily upload at",
        description="Time of day of the daily upload, hh:mm, in the device's time zone (UTC if none is set)",
        json_schema_extra={"format": "time-of-day"},
    )
    immediately: bool = Field(
        default=False, title="Upload at once", description="Also upload at once after each capture"
    )
    limit_kbit_s: int = Field(
        default=0,
        ge=0,
        le=100_000_000,
        title="Bandwidth limit (kbit/s)",
        description="Send no faster than so many kbit/s (1000 bits per second); 0 = no limit",
    )
    limit_begins: str = Field(
        default="00:00",
        title="The limit holds from",
        description="Time of day from which the bandwidth is limited, hh:mm, in the device's time zone",
        json_schema_extra={"format": "time-of-day"},
    )
    limit_ends: str = Field(
        default="00:00",
        title="The limit holds until",
        description="Time of day until which it is limited; the same as the beginning: all day",
        json_schema_extra={"format": "time-of-day"},
    )
    url: Text = Field(
        default="",
        max_length=1024,
        title="Address for WebDAV, HTTPS, S3",
        description="Directory of a web server, or bucket of S3-compatible storage, beginning with https://; "
        "the directory above lies below it",
        json_schema_extra={"when": {"protocol": ["webdav", "https", "s3"]}},
    )
    certificate: str = Field(
        default="",
        max_length=65536,
        title="Certificate of a private web server",
        description="Certificate (PEM) of an authority of your own that vouches for it",
        json_schema_extra={"format": "long-text", "when": {"protocol": ["webdav", "https", "s3"]}},
    )
    region: str = Field(
        default="us-east-1",
        max_length=64,
        title="Region for S3",
        description="Region of the bucket, as its server calls it",
        json_schema_extra={"when": {"protocol": ["s3"]}},
    )
    host_key: str = Field(
        default="",
        max_length=128,
        description="Pinned host key of the server (SHA256:…); set it from a test upload",
    )
    host_key_type: str = Field(
        default="",
        max_length=64,
        description="Type of the pinned host key, such as ssh-ed25519, asked for first; empty: not known",
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

    @field_validator("host_key_type")
    @classmethod
    def _host_key_type_is_a_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9-]*", value):
            raise ValueError("is not the type of a host key, such as ssh-ed25519")
        return value

    @field_validator("time", "limit_begins", "limit_ends")
    @classmethod
    def _time_is_a_time_of_day(cls, value: str) -> str:
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise ValueError("is not a time of day; write hh:mm, from 00:00 to 23:59")
        return value

    @field_validator("url")
    @classmethod
    def _url_is_one(cls, value: str) -> str:
        if "?" in value:
            raise ValueError("is not the address of a directory: it holds a question mark")
        return web_address(value)

    @field_validator("region")
    @classmethod
    def _region_is_a_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9-]+", value):
            raise ValueError("is not the name of a region, such as eu-central-1")
        return value

    @field_validator("certificate")
    @classmethod
    def _certificate_is_one(cls, value: str) -> str:
        return certificates(value)

    @model_validator(mode="after")
    def _enabled_needs_a_server(self) -> Self:
        if self.protocol != "sftp":
            missing = [(f"an address for {EXPORT_WAYS[self.protocol]}", self.url, "url")]
            if self.protocol == "s3":
                missing += [
                    ("an access key", self.username, "username"),
                    ("a secret key", self.password, "password"),
                ]
        else:
            missing = [
                ("a server", self.host, "host"),
                ("a user name on the server", self.username, "username"),
            ]
        wrong = [
            (f"{what} is needed before captures can be sent", value, (place,))
            for what, value, place in missing
            if not value
        ]
        if self.enabled and wrong:
            raise mistakes(*wrong)
        if self.protocol in ("webdav", "https") and self.username and self.url.startswith("http:"):
            words = "has to begin with https://, or the password could be read on its way"
            raise mistake(words, self.url, "url")
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
        return certificates(value)


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
    storage: Storage = Storage()
    links: Links = Links()
    groups: LinkGroups = LinkGroups()
    management: Management = Management()
    firmware: Firmware = Firmware()
    notifications: Notifications = Notifications()
    wifi: Wifi = Wifi()
    time: Time = Time()

    @model_validator(mode="after")
    def _subnets_do_not_overlap(self) -> Self:
        known: list[tuple[tuple[str, ...], ipaddress.IPv4Network]] = []
        for place, address in self.own_addresses():
            network = ipaddress.IPv4Interface(address).network
            for other, taken in known:
                if network.overlaps(taken):
                    words = f"the subnet {network} overlaps with {taken} of {'.'.join(other)}"
                    raise mistake(words, address, *place)
            known.append((place, network))
        return self

    @model_validator(mode="after")
    def _filters_name_link_groups_that_are_there(self) -> Self:
        for place, of_what, text in self.filters():
            if "group" in text.lower():
                from allegro.filters.translate import checked

                try:
                    checked(text, groups=self.groups.texts)
                except InvalidInput as error:
                    words = f"{of_what} names a link group: {error.message} {error.remedy}".strip()
                    raise mistake(words, text, *place) from None
        return self

    def filters(self) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Place, whose it is in words, and text of each filter of presses and of slicing rules."""
        rules: list[tuple[tuple[str | int, ...], str, str]] = [
            (("recording", "rules", row, "filter"), f"the slicing rule {rule.name}", rule.filter)
            for row, rule in enumerate(self.recording.rules)
        ]
        table: list[tuple[tuple[str | int, ...], str, str]] = [
            (("trigger", "rows", number, "filter"), f"the row {row.name} of the filter table", row.filter)
            for number, row in enumerate(self.trigger.rows)
        ]
        press = (("trigger", "filter"), "the filter of the USB capture trigger", self.trigger.filter)
        return [press, *table, *rules]

    @model_validator(mode="after")
    def _rules_fit_into_the_kernel(self) -> Self:
        self.recording.check_kernel_takes_rules(self.groups.texts)
        return self

    def own_addresses(self) -> list[tuple[tuple[str, ...], str]]:
        """Place and value of each address that the device itself has by these settings."""
        second = self.management.second
        candidates = (
            (("management", "address"), self.management.address, self.management.mode != "dhcp"),
            (("management", "second", "address"), second.address, second.mode != "dhcp"),
            # by itself it looks for a subnet that is free
            (
                ("wifi", "access_point", "address"),
                self.wifi.access_point.address,
                self.wifi.mode == "access-point" and bool(self.wifi.access_point.address),
            ),
        )
        return [(place, address) for place, address, used in candidates if used]
