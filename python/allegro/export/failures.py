"""What can go wrong between the device and the server of the uploads, in plain words."""

import errno
import socket
from dataclasses import dataclass
from pathlib import Path

from allegro.errors import AllegroError, Unavailable
from allegro.export.host_keys import HostKey

_NO_SFTP = ("Garbage packet", "Incompatible sftp protocol")
"""How paramiko, and SftpClient, begin to tell of what is no SFTP at all."""


class ServerTrouble(Unavailable):
    """The connection as a whole does not work: every file has to wait."""


class HostKeyUnknown(ServerTrouble):
    """No host key is pinned yet, so the server cannot be told from an impostor."""


class HostKeyChanged(ServerTrouble):
    """The server shows another host key than the pinned one."""

    def __init__(self, pinned: HostKey, shown: HostKey, *, place: str) -> None:
        super().__init__(
            f"The server's host key has changed: pinned is {pinned}, the server now shows {shown}. "
            "Nothing was sent.",
            place=place,
            remedy="Ask the server's administrator whether the key was changed on purpose. If so, run the "
            "test upload and accept the new key; if not, somebody may be posing as the server.",
        )
        self.pinned = pinned
        self.shown = shown


class FileTrouble(Unavailable):
    """This one file could not be delivered; others may succeed."""


class ServerFull(FileTrouble):
    """It has no room for this file."""


class UploadStopped(Exception):
    """The upload was asked to stop; what has arrived so far stays on the server and is resumed later."""


@dataclass(frozen=True)
class Target:
    """Where to send, as far as messages need it."""

    host: str
    port: int
    username: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def explain_connection(error: BaseException, target: Target, authentication: str = "") -> AllegroError:
    """Plain words for a failure while connecting, logging in or talking to the server.

    `authentication` is "password" or "key" once the login has begun, else empty.
    """
    if isinstance(error, AllegroError):
        return error
    message, remedy = _connection_words(error, target, authentication)
    return ServerTrouble(message, place=str(target), remedy=remedy)


def _connection_words(error: BaseException, target: Target, authentication: str) -> tuple[str, str]:
    import paramiko  # it was the caller's first; the supervisor starts without (see uploads)
    from paramiko.ssh_exception import IncompatiblePeer

    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror):
        return (
            f"The name {target.host} could not be resolved to an address.",
            "Check the spelling of the host, and the name servers of the management interface.",
        )
    if isinstance(error, paramiko.BadAuthenticationType):
        allowed = ", ".join(error.allowed_types)
        wanted = "a public key" if authentication == "key" else "a password"
        return (
            f"The server does not let {target.username} log in with {wanted}; it offers: {allowed}.",
            "Choose the other kind of authentication, or have it allowed on the server.",
        )
    if isinstance(error, paramiko.AuthenticationException):
        if authentication == "key":
            return (
                f"The server did not accept the device's key for user {target.username}.",
                "Add the public key of the device to the file authorized_keys of this user on the server. "
                "If it is there, the server may not take this kind: choose another kind of the device's own "
                "key.",
            )
        return (
            f"The server did not accept user {target.username} with this password.",
            "Check user name and password.",
        )
    if isinstance(error, IncompatiblePeer):
        return (
            "The server and the device have no encryption method in common.",
            "The server is probably very old: update its SSH software.",
        )
    if isinstance(error, ConnectionRefusedError):
        return (
            f"The server refused the connection on port {target.port}.",
            "Check that the SSH service runs on the server, the port number, and firewalls in between.",
        )
    if isinstance(error, TimeoutError) or code in (errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT):
        return (
            "The server does not answer.",
            "Check that it is switched on and can be reached from the management network.",
        )
    if code == errno.ENETUNREACH:
        return (
            "There is no way into the server's network.",
            "Check cable, address and gateway of the management interface.",
        )
    if isinstance(error, paramiko.ChannelException):
        return (
            "The server let the device log in, but does not offer SFTP.",
            "Have the SFTP subsystem switched on in the server's SSH service.",
        )
    if isinstance(error, paramiko.SFTPError) and not str(error).startswith(_NO_SFTP):
        return (
            f"The server answers against the rules of SFTP ({_text(error)}).",
            "It is tried again by itself. If that does not help, update the server's SSH software.",
        )
    if isinstance(error, paramiko.SFTPError):
        return (
            f"The server sends something else than SFTP ({_text(error)}).",
            "A login that prints a text (.bashrc, .profile, a banner program) does that: have it taken out.",
        )
    if isinstance(error, EOFError | ConnectionError | paramiko.SSHException):
        return (
            "The connection to the server broke off.",
            "It is tried again by itself and goes on where it stopped.",
        )
    return (f"The connection to the server failed: {_text(error)}.", "")


def explain_file(error: OSError, place: str, doing: str) -> FileTrouble:
    """Plain words for a refusal by the SFTP server; `doing` completes "the server refused to"."""
    if error.errno == errno.EACCES:
        return FileTrouble(
            f"The server refused to {doing}: permission denied.",
            place=place,
            remedy="Give the user on the server the right to write there, or choose another directory.",
        )
    if error.errno == errno.ENOENT:
        return FileTrouble(
            f"The server refused to {doing}: it is not there any more.",
            place=place,
            remedy="Check the directory on the server.",
        )
    return FileTrouble(f"The server refused to {doing}: {_text(error)}.", place=place)


def disk_full(place: str, free: int | None) -> ServerFull:
    """The server has no room. `free` in bytes, as far as it tells."""
    left = "" if free is None else f" ({free} bytes left)"
    return ServerFull(
        f"The disk of the server is full{left}.",
        place=place,
        remedy="Make room on the server; the upload then goes on by itself.",
    )


def storage_trouble(doing: str, file: Path | str, error: OSError) -> FileTrouble:
    """It is the file here, not the connection; `doing` is "read from" or "removed from"."""
    return FileTrouble(
        f"The file cannot be {doing} the storage device: {error.strerror}.",
        place=str(file),
        remedy="Check the storage device.",
    )


def _text(error: BaseException) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.rstrip(".")
