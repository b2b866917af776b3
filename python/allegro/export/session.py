"""One logged-in SFTP session with a server whose host key is known."""

import base64
import contextlib
import errno
import hashlib
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import paramiko
from paramiko.file import BufferedFile
from paramiko.sftp import CMD_CLOSE, CMD_EXTENDED, CMD_EXTENDED_REPLY

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


class SftpStatusError(OSError):
    """The server answered with a status that says no, and that has no OSError of its own."""

    FAILURE = 4
    UNSUPPORTED = 8
    NO_SPACE = 14
    QUOTA_EXCEEDED = 15

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class SftpClient(paramiko.SFTPClient):
    """paramiko's client with the status codes kept, also that of CLOSE, and two extensions of OpenSSH.

    Codes: draft-ietf-secsh-filexfer-13, section 9.1 (1 to 8 are those of version 3, which everybody speaks).
    Extensions: file PROTOCOL of OpenSSH, sections 4.4 and 4.6.
    """

    def _convert_status(self, message: paramiko.Message) -> None:
        """Replaces paramiko's, which forgets the code."""
        code = message.get_int()
        text = message.get_text()
        if code == 1:
            raise EOFError(text)
        if code == 2:
            raise FileNotFoundError(errno.ENOENT, text)
        if code == 3:
            raise PermissionError(errno.EACCES, text)
        if code != 0:
            raise SftpStatusError(code, text)

    def sync(self, file: paramiko.SFTPFile) -> None:
        """fsync@openssh.com: returns when the file is on the server's disk, if it can do so."""
        try:
            self._request(CMD_EXTENDED, "fsync@openssh.com", file.handle)  # type: ignore[attr-defined]
        except SftpStatusError as error:
            if error.code != SftpStatusError.UNSUPPORTED:
                raise

    def finish(self, file: paramiko.SFTPFile) -> None:
        """Closes a file so that the server's answer counts, which paramiko's own close swallows.

        A server may tell only here that what was written is not kept (close(2): a quota, a network file
        system behind it).
        """
        BufferedFile.close(file)  # from here on paramiko's own close does nothing
        self._request(CMD_CLOSE, file.handle)  # type: ignore[attr-defined]

    def free_bytes(self, path: str) -> int | None:
        """statvfs@openssh.com: bytes that can still be written at `path`; None if the server does not say."""
        try:
            kind, message = self._request(CMD_EXTENDED, "statvfs@openssh.com", path)  # type: ignore[attr-defined]
        except OSError:
            return None
        if kind != CMD_EXTENDED_REPLY:
            return None
        _block_size, fragment_size, _blocks, _free, available = (message.get_int64() for _ in range(5))
        return int(fragment_size * available)


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
        except (OSError, EOFError, paramiko.SSHException) as error:
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
