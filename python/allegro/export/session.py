"""One logged-in SFTP session with a server whose host key is known."""

import base64
import contextlib
import hashlib
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import paramiko

from allegro.export.client import SftpClient
from allegro.export.failures import HostKeyChanged, HostKeyUnknown, ServerTrouble, Target, explain_connection

CONNECT_TIMEOUT_S = 20.0
"""For the TCP connection, the SSH banner and each answer during login."""
ANSWER_TIMEOUT_S = 60.0
"""A server that says nothing for so long while files are sent is gone."""


@dataclass(frozen=True)
class Login:
    """User and secret. Exactly one of `password` and `key` is used: the key if there is one."""

    username: str
    password: str = ""
    key: paramiko.PKey | None = None

    @property
    def kind(self) -> str:
        """For messages: "key" or "password"."""
        return "password" if self.key is None else "key"


def fingerprint(key: paramiko.PKey) -> str:
    """As `ssh-keygen -l` prints it: SHA256: and base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


def server_host_key(target: Target) -> str:
    """Fingerprint of the key that the server shows now, without logging in. Raises ServerTrouble."""
    with _transport(target) as transport:
        return fingerprint(transport.get_remote_server_key())


@contextlib.contextmanager
def session(target: Target, login: Login, pinned: str) -> Iterator[SftpClient]:
    """Connects, compares the host key with `pinned`, then logs in; nothing secret is sent before.

    Raises HostKeyUnknown (nothing pinned), HostKeyChanged, or ServerTrouble in plain words. Failures inside
    the with block are the caller's; a broken connection shows there as EOFError, OSError or SSHException.
    """
    if not pinned:
        raise HostKeyUnknown(
            "The server's host key has not been accepted yet, so nothing is sent.",
            place=str(target),
            remedy="Run the test upload, compare the key it shows with the server's, and accept it.",
        )
    with _transport(target) as transport:
        shown = fingerprint(transport.get_remote_server_key())
        if shown != pinned:
            raise HostKeyChanged(pinned, shown, place=str(target))
        try:
            _log_in(transport, login, target)
            client = SftpClient.from_transport(transport)
        except (OSError, EOFError, paramiko.SSHException, paramiko.SFTPError) as error:
            raise explain_connection(error, target, login.kind) from error
        if client is None:
            raise explain_connection(EOFError(), target)
        channel = client.get_channel()
        if channel is not None:
            channel.settimeout(ANSWER_TIMEOUT_S)
        with client:
            yield client


@contextlib.contextmanager
def _transport(target: Target) -> Iterator[paramiko.Transport]:
    # paramiko logs tracebacks of failures that are told in plain words here.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    transport = None
    connection = None
    try:
        try:
            connection = socket.create_connection((target.host, target.port), CONNECT_TIMEOUT_S)
            connection.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(ANSWER_TIMEOUT_S * 1000)
            )  # tcp(7): ms until unacknowledged data ends the connection
            transport = paramiko.Transport(connection)
            transport.banner_timeout = CONNECT_TIMEOUT_S
            transport.auth_timeout = CONNECT_TIMEOUT_S
            transport.start_client(timeout=CONNECT_TIMEOUT_S)
        except (OSError, EOFError, UnicodeError, paramiko.SSHException) as error:
            raise explain_connection(error, target) from error
        yield transport
    finally:
        if transport is not None:
            transport.close()
        if connection is not None:
            connection.close()


def _log_in(transport: paramiko.Transport, login: Login, target: Target) -> None:
    if login.key is not None:
        missing = transport.auth_publickey(login.username, login.key)
    else:
        missing = transport.auth_password(login.username, login.password)
    if missing:
        raise ServerTrouble(
            f"The server wants more than one proof for user {target.username}: also {', '.join(missing)}.",
            place=str(target),
            remedy="An unattended device can give only one: have that changed for this user.",
        )
