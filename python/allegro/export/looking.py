"""What lies on the server, whatever its answers to "stat" are worth.

Servers differ: some answer "failure" for a file that is not there, some tell no size, some show a file but
let nobody read it. So three are asked, one after the other: stat, the list of the directory, the file itself.
"""

import errno
import posixpath
import secrets
import stat
from dataclasses import dataclass

import paramiko

from allegro.export.sftp_client import SftpClient, is_refusal


@dataclass(frozen=True)
class Seen:
    """Something on the server; None: it does not tell."""

    size: int | None
    is_directory: bool | None

    @classmethod
    def of(cls, attributes: paramiko.SFTPAttributes) -> "Seen":
        """As far as these say it."""
        mode = attributes.st_mode
        return cls(attributes.st_size, None if mode is None else stat.S_ISDIR(mode))


def look(client: SftpClient, path: str) -> Seen | None:
    """What is there; None: nothing is.

    Raises what the server answers if it shows neither, and what breaks the connection.
    """
    try:
        seen = Seen.of(client.stat(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        if not is_refusal(error):
            raise
        try:
            return _listed(client, path)
        except OSError as refused:
            if not is_refusal(refused):
                raise
        # The list is refused, too. Where a file that nobody has is answered in the same way, this one is not
        # there either, or never shown: then the look after it was sent tells.
        if _stands_for_absence(client, path, error):
            return None
        raise
    if seen.size is None and not seen.is_directory:
        try:
            return _listed(client, path) or seen
        except OSError as refused:
            if not is_refusal(refused):
                raise
    return seen


def holds(client: SftpClient, path: str, size: int) -> bool | None:
    """Whether the file there has `size` bytes; None: the server does not tell in any way.

    Raises FileNotFoundError if it shows none, or what the server answers.
    """
    seen = look(client, path)
    if seen is None:
        raise FileNotFoundError(errno.ENOENT, "No such file")
    if seen.size is not None:
        return seen.size == size
    try:
        return _ends_at(client, path, size)
    except OSError as error:
        if not is_refusal(error):
            raise
        return None


def _listed(client: SftpClient, path: str) -> Seen | None:
    """By the list of its directory. Raises FileNotFoundError if even that is not there."""
    directory, name = posixpath.split(path)
    try:
        entries = client.listdir_attr(directory or ".")
    except FileNotFoundError:
        return None
    return next((Seen.of(entry) for entry in entries if entry.filename == name), None)


def _stands_for_absence(client: SftpClient, path: str, answer: OSError) -> bool:
    nobody_has = posixpath.join(posixpath.dirname(path), f".allegro-{secrets.token_hex(8)}")
    try:
        client.stat(nobody_has)
    except OSError as error:
        if not is_refusal(error):
            raise
        return (type(error), str(error)) == (type(answer), str(answer))
    return False


def _ends_at(client: SftpClient, path: str, size: int) -> bool:
    """Whether its last byte is the one before `size`: read, as no size is told."""
    with client.open(path, "rb") as file:
        file.seek(size)
        if file.read(1):
            return False
        if size == 0:
            return True
        file.seek(size - 1)
        return len(file.read(1)) == 1


def is_there(client: SftpClient, path: str) -> bool:
    """Whether something is seen there; False also where the server does not tell. Raises OSError."""
    try:
        return look(client, path) is not None
    except OSError as error:
        if not is_refusal(error):
            raise
        return False
