"""The directory on the server: as it is typed in the settings, and made where it is missing."""

import posixpath

from allegro.export.client import SftpClient, SftpStatusError, is_refusal
from allegro.export.failures import FileTrouble, explain_file
from allegro.export.looking import look


def make_directory(client: SftpClient, directory: str) -> None:
    """Makes the target directory with all its parents, as far as they are missing. Raises FileTrouble."""
    missing: list[str] = []
    path = posixpath.normpath(directory)
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
    for path in reversed(missing):
        _make(client, path)


def _make(client: SftpClient, path: str) -> None:
    try:
        client.mkdir(path)
    except OSError as error:
        if not is_refusal(error):
            raise
        if _is_there(client, path):  # by somebody else in the meantime
            return
        if isinstance(error, SftpStatusError) and error.code == SftpStatusError.UNSUPPORTED:
            return  # an object store has no directories: a file's name makes it
        trouble = explain_file(error, path, f"make the directory {path}")
        trouble.remedy = f"{trouble.remedy} {_where_it_starts(client)}".strip()
        raise trouble from error


def _is_there(client: SftpClient, path: str) -> bool:
    try:
        return look(client, path) is not None
    except OSError as error:
        if not is_refusal(error):
            raise
        return False


def _where_it_starts(client: SftpClient) -> str:
    """A chroot shows another disk than the server's administrator sees."""
    try:
        start = client.normalize(".")
    except OSError as error:
        if not is_refusal(error):
            raise
        return ""
    return f"As the server shows its directories, the login begins in {start}."
