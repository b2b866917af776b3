"""The directory on the server: as it is typed in the settings, and made where it is missing."""

import datetime as dt
import posixpath
import re

from allegro.export.failures import FileTrouble, explain_file
from allegro.export.looking import is_there, look
from allegro.export.sftp_client import SftpClient, SftpStatusError, is_refusal


def expanded(directory: str, device: str, date: str) -> str:
    """The path to ask the server for: `{device}` and `{date}` filled in, and `~` for where the login begins.

    The server begins a relative path there, which is the user's home unless it is told otherwise.
    """
    path = directory.replace("{device}", device).replace("{date}", date)
    if path == "~" or path.startswith("~/"):
        path = path[1:].lstrip("/")
    return path or "."


def date_of(name: str, modified_ns: int) -> str:
    """The day of a capture, yyyy-mm-dd in UTC: by its name, else by its last change (ns since 1970).

    It is the same at each try, so that none finds the file sent by an earlier one in another directory.
    """
    if begins := re.match(r"(\d{4})(\d\d)(\d\d)T\d{6}Z", name):
        return "-".join(begins.groups())
    return f"{dt.datetime.fromtimestamp(modified_ns // 1_000_000_000, dt.UTC):%Y-%m-%d}"


def make_directory(client: SftpClient, directory: str) -> None:
    """Makes the target directory with all its parents, as far as they are missing. Raises FileTrouble.

    One with a backslash is not made: on most servers that is a letter like any other, and rarely meant.
    """
    missing: list[str] = []
    path = posixpath.normpath(directory)
    if path.startswith("//"):  # POSIX leaves two as they are: never through with the parents
        path = path[1:]
    while path not in ("", ".", "/"):
        try:
            seen = look(client, path)
        except OSError as error:
            if not is_refusal(error):
                raise
            break  # it does not say: writing tells
        if seen is None:
            missing.append(path)
            path = posixpath.dirname(path)
            continue
        if seen.is_directory is False:
            raise FileTrouble(
                "This is a file on the server, not a directory.", place=path, remedy="Choose another one."
            )
        break
    if missing and "\\" in directory:
        raise FileTrouble(
            f"Is / meant? The directory {directory} has a backslash in its name, and is not on the server.",
            place=directory,
            remedy="Write / between directories, also for a Windows server (/C:/captures). One that has a "
            "backslash in its own name is to be made on the server.",
        )
    for path in reversed(missing):
        _make(client, path)


def _make(client: SftpClient, path: str) -> None:
    try:
        client.mkdir(path)
    except OSError as error:
        if not is_refusal(error):
            raise
        if is_there(client, path):  # by somebody else in the meantime
            return
        if isinstance(error, SftpStatusError) and error.code == SftpStatusError.UNSUPPORTED:
            return  # an object store has no directories: a file's name makes it
        trouble = explain_file(error, path, f"make the directory {path}")
        trouble.remedy = f"{trouble.remedy} {_where_it_starts(client)}".strip()
        raise trouble from error


def _where_it_starts(client: SftpClient) -> str:
    """A chroot shows another disk than the server's administrator sees."""
    try:
        start = client.normalize(".")
    except OSError as error:
        if not is_refusal(error):
            raise
        return ""
    return f"As the server shows its directories, the login begins in {start}."
