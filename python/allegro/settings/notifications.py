"""The settings of the notifications: who is told what, by e-mail, webhook or syslog."""

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from allegro.settings.authorities import certificates
from allegro.settings.base import Port, Section, Text, mistake, mistakes, printable
from allegro.settings.network import is_host
from allegro.settings.web_address import web_address

_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}")
"""RFC 5321, 4.1.2, without quoted names and address literals."""


def _host(value: str) -> str:
    if value and not is_host(value):
        raise ValueError("is not a host name or an IP address; leave out the port")
    return value


def _mailbox(value: str) -> str:
    if not _MAILBOX.fullmatch(value):
        raise ValueError(f"'{printable(value)}' is not an e-mail address such as anna@example.org")
    return value


class Told(Section):
    """What is told by this way."""

    presses: bool = Field(default=False, description="A press of a presenter's key, or on the page")
    captures: bool = Field(default=True, description="A capture is complete, or failed")
    uploads: bool = Field(default=False, description="A capture has arrived on the server")
    problems: bool = Field(default=True, description="A problem came, or went")
    firmware: bool = Field(default=True, title="New firmware", description="The update server has it")
    access: bool = Field(
        default=False,
        description="Who logged in or out, failed to log in, or downloaded packets",
    )
    changes: bool = Field(
        default=False,
        description="Who changed users, passwords, settings (which ones, not to what), firmware or files",
    )


class Mail(Section):
    """Notifications by e-mail."""

    enabled: bool = Field(
        default=False, title="Send e-mail", description="Tell by e-mail what is ticked below"
    )
    server: str = Field(default="", max_length=253, title="Mail server", description="Name or address")
    port: Port = Field(default=587, description="TCP port: usually 587 for STARTTLS, 465 for TLS")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        title="Encryption",
        description="How the connection is encrypted; without it, no user can log in",
        json_schema_extra={"choices": {"starttls": "STARTTLS", "tls": "TLS", "none": "None"}},
    )
    username: Text = Field(
        default="", max_length=256, title="User name", description="On the mail server; empty: no log-in"
    )
    password: str = Field(
        default="",
        max_length=256,
        description="Password on the mail server",
        json_schema_extra={"secret": True},
    )
    sender: str = Field(default="", max_length=320, description="E-mail address that the messages come from")
    recipients: tuple[str, ...] = Field(
        default=(), max_length=20, description="E-mail addresses, one a line, at most 20"
    )
    tell: Told = Field(default=Told(), description="What is told by e-mail")

    @field_validator("server")
    @classmethod
    def _server_is_a_host(cls, value: str) -> str:
        return _host(value)

    @field_validator("sender")
    @classmethod
    def _sender_is_an_address(cls, value: str) -> str:
        return _mailbox(value) if value else value

    @field_validator("recipients")
    @classmethod
    def _recipients_are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_mailbox(each) for each in value))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        missing = (
            ("a mail server", self.server, "server"),
            ("a sender", self.sender, "sender"),
            ("a recipient", self.recipients, "recipients"),
        )
        wrong: list[tuple[str, object, tuple[str]]] = [
            (f"{what} is needed before e-mail can be sent", value, (place,))
            for what, value, place in missing
            if self.enabled and not value
        ]
        if self.security == "none" and self.username:
            words = "without encryption the password could be read on its way: choose STARTTLS or TLS"
            wrong.append((words, self.security, ("security",)))
        if wrong:
            raise mistakes(*wrong)
        return self


class Webhook(Section):
    """Notifications by webhook."""

    enabled: bool = Field(
        default=False, title="Call a webhook", description="Tell by HTTP POST what is ticked below"
    )
    form: Literal["json", "ntfy", "slack", "teams"] = Field(
        default="json",
        title="Kind",
        description="What the receiver understands",
        json_schema_extra={
            "choices": {
                "json": "JSON, for programs",
                "ntfy": "ntfy",
                "slack": "Slack or Mattermost",
                "teams": "Microsoft Teams",
            }
        },
    )
    url: str = Field(
        default="",
        max_length=2048,
        title="Address",
        description="Address (https://…) of the webhook, or of the ntfy topic; kept as a secret",
        json_schema_extra={"secret": True},
    )
    token: str = Field(
        default="",
        max_length=1024,
        title="Access token",
        description="Sent as Authorization: Bearer, as ntfy wants it for protected topics; may be empty",
        json_schema_extra={"secret": True},
    )
    tell: Told = Field(default=Told(), description="What is told by webhook")

    @field_validator("url")
    @classmethod
    def _url_is_one(cls, value: str) -> str:
        return web_address(value)

    @field_validator("token")
    @classmethod
    def _token_fits_a_header(cls, value: str) -> str:
        if not re.fullmatch(r"[\x21-\x7e]*", value):
            raise ValueError("contains characters that no token has")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        words = ""
        if self.enabled and not self.url:
            words = "an address is needed before a webhook can be called"
        elif self.token and self.url.startswith("http:"):
            words = "has to begin with https://, or the token could be read on its way"
        elif self.form == "ntfy" and self.url and not urlsplit(self.url).path.strip("/"):
            words = "has to name the topic, such as https://ntfy.sh/my-topic"
        if words:
            raise mistake(words, self.url, "url")
        return self


class Syslog(Section):
    """Notifications by syslog."""

    enabled: bool = Field(
        default=False,
        title="Send to a syslog server",
        description="Tell by syslog (RFC 5424) what is ticked below",
    )
    server: str = Field(default="", max_length=253, title="Syslog server", description="Name or address")
    port: Port = Field(default=6514, description="TCP port: usually 6514 with TLS, 514 or 601 without")
    tls: bool = Field(default=True, title="Encrypted", description="With TLS (RFC 5425); else plain TCP")
    tell: Told = Field(default=Told(presses=True, uploads=True), description="What is told by syslog")

    @field_validator("server")
    @classmethod
    def _server_is_a_host(cls, value: str) -> str:
        return _host(value)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.enabled and not self.server:
            raise mistake("a syslog server is needed before anything can be sent to it", "", "server")
        return self


class Notifications(Section):
    """Notifications."""

    mail: Mail = Field(default=Mail(), title="E-mail", description="Each message by itself, once")
    webhook: Webhook = Field(default=Webhook(), description="A call of a web server")
    syslog: Syslog = Field(default=Syslog(), description="A line in the log of another computer")
    certificate: str = Field(
        default="",
        max_length=65536,
        title="Certificate of a private authority",
        description="Certificate (PEM) of an authority of your own that vouches for these servers; "
        "the public ones count beside it",
        json_schema_extra={"format": "long-text"},
    )

    @field_validator("certificate")
    @classmethod
    def _certificate_is_one(cls, value: str) -> str:
        return certificates(value)
