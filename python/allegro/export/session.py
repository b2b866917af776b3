"""One logged-in SFTP session with a server whose host key is known."""

import base64
import contextlib
import hashlib
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import paramiko

from allegro.export.channel import open_sftp
from allegro.export.failures import HostKeyChanged, HostKeyUnknown, ServerTrouble, Target, explain_connection
from allegro.export.greeting import connect, in_words
from allegro.export.host_keys import ALGORITHMS, HostKey, asked_for
from allegro.export.sftp_client import SftpClient

CONNECT_TIMEOUT_S = 20.0
"""For the TCP connection, the SSH banner, and each answer during login."""
SFTP_WITHIN_S = 20.0
"""For each step from the login to the first word of SFTP."""
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


def fastest_first(ciphers: tuple[str, ...]) -> tuple[str, ...]:
    """AES-GCM before the others: it seals a packet in one call, which costs a seventh of cipher and HMAC."""
    return tuple(sorted(ciphers, key=lambda each: "gcm" not in each))


def server_host_key(target: Target) -> HostKey:
    """The key that the server shows now, without logging in. Raises ServerTrouble."""
    with _transport(target, asked_for("")) as transport:
        return _shown(transport)


@contextlib.contextmanager
def session(target: Target, login: Login, pinned: HostKey) -> Iterator[SftpClient]:
    """Connects, compares the host key with `pinned`, then logs in; nothing secret is sent before.

    Raises HostKeyUnknown (nothing pinned), HostKeyChanged, or ServerTrouble in plain words. Failures inside
    the with block are the caller's; a broken connection shows there as EOFError, OSError or SSHException.
    """
    if not pinned.fingerprint:
        raise HostKeyUnknown(
            "The server's host key has not been accepted yet, so nothing is sent.",
            place=str(target),
            remedy="Run the test upload, compare the key it shows with the server's, and accept it.",
        )
    with _trusted(target, pinned) as transport:
        try:
            _log_in(transport, login, target)
            client = open_sftp(transport, SFTP_WITHIN_S)
        except (OSError, EOFError, paramiko.SSHException, paramiko.SFTPError) as error:
            raise explain_connection(error, target, login.kind) from error
        channel = client.get_channel()
        if channel is not None:
            channel.settimeout(ANSWER_TIMEOUT_S)
        with client:
            yield client


@contextlib.contextmanager
def _trusted(target: Target, pinned: HostKey) -> Iterator[paramiko.Transport]:
    """A connection to the server that has the pinned key. Raises HostKeyChanged, ServerTrouble.

    The type of the pinned key is asked for first; where that is not known, or the server shows another key,
    all the types that it has are seen before anybody is alarmed.
    """
    seen: list[HostKey] = []
    while True:
        with _transport(target, asked_for(pinned.type, seen)) as transport:
            shown = _shown(transport)
            if shown.fingerprint == pinned.fingerprint:
                yield transport
                return
        if shown in seen:
            raise HostKeyChanged(pinned, seen[0], place=str(target))
        seen.append(shown)


def _shown(transport: paramiko.Transport) -> HostKey:
    key = transport.get_remote_server_key()
    return HostKey(fingerprint(key), key.get_name())


@contextlib.contextmanager
def _transport(target: Target, host_keys: tuple[str, ...]) -> Iterator[paramiko.Transport]:
    """A connection before the login; `host_keys` are the algorithms to ask for, the best first."""
    # paramiko logs tracebacks of failures that are told in plain words here.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    transport = None
    connection = None
    try:
        try:
            connection = connect(target.host, target.port, CONNECT_TIMEOUT_S)
            connection.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(ANSWER_TIMEOUT_S * 1000)
            )  # tcp(7): ms until unacknowledged data ends the connection
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a question waits for no answer
            transport = paramiko.Transport(connection)
            transport.banner_timeout = CONNECT_TIMEOUT_S
            transport.auth_timeout = CONNECT_TIMEOUT_S
            options = transport.get_security_options()
            options.key_types = tuple(each for each in host_keys if each in options.key_types)
            options.ciphers = fastest_first(tuple(options.ciphers))
            transport.start_client(timeout=CONNECT_TIMEOUT_S)
        except (OSError, EOFError, UnicodeError, paramiko.SSHException) as error:
            if transport is not None and connection is not None and not connection.greeting.is_ssh:
                message, remedy = in_words(connection.greeting, target.port)
                raise ServerTrouble(message, place=str(target), remedy=remedy) from error
            raise explain_connection(error, target) from error
        yield transport
    finally:
        if transport is not None:
            transport.close()
        if connection is not None:
            connection.close()


def _log_in(transport: paramiko.Transport, login: Login, target: Target) -> None:
    if login.key is not None:
        try:
            missing = transport.auth_publickey(login.username, login.key)
        except paramiko.AuthenticationException as error:
            _explain_kind(transport, login.key, target, error)
            raise
    else:
        missing = transport.auth_password(login.username, login.password)
    if missing:
        raise ServerTrouble(
            f"The server wants more than one proof for user {target.username}: also {', '.join(missing)}.",
            place=str(target),
            remedy="An unattended device can give only one: have that changed for this user.",
        )


def _explain_kind(
    transport: paramiko.Transport, key: paramiko.PKey, target: Target, error: paramiko.AuthenticationException
) -> None:
    """Raises ServerTrouble if the server says that it takes no keys of this kind (RFC 8308, 3.1)."""
    extensions: dict[str, bytes] = transport.server_extensions  # type: ignore[attr-defined]
    announced = extensions.get("server-sig-algs", b"").decode(errors="replace")
    takes = [each for each in announced.split(",") if each]
    kind = key.get_name()
    if takes and not set(ALGORITHMS.get(kind, ())) & set(takes):
        raise ServerTrouble(
            f"The server takes no keys of the device's kind ({kind}); it takes: {', '.join(takes)}.",
            place=str(target),
            remedy="Choose another kind of the device's own key, and add its public key on the server.",
        ) from error
