"""Sends one file so that it is on the server exactly once and whole, whatever breaks in between.

The steps: (1) look whether the server has the file already, (2) write it under a hidden temporary name (as in
`upload_part`), (3) close it and look at it, (4) rename to the final name without overwriting anything, and
look again, (5) only then remove it here. A crash before (4) leaves a part, which is resumed; a crash between
(4) and (5) leaves the whole file on the server, which (1) recognises by its content.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import paramiko

from allegro.export.errand import Errand, carry_out
from allegro.export.failures import (
    FileTrouble,
    Target,
    explain_connection,
    explain_file,
)
from allegro.export.host_keys import HostKey
from allegro.export.looking import is_there, look
from allegro.export.pace import Pace
from allegro.export.session import Login, session
from allegro.export.sftp_client import POSIX_RENAME, EndOfFile, SftpClient, SftpStatusError, is_refusal
from allegro.export.upload_part import (
    CHUNK,
    WINDOW,
    Written,
    make_sure,
    part_name,
    remove_there,
    write_part,
)
from allegro.export.way import NOTHING_REMEMBERED, Memory, Progress, Sent
from allegro.storage.capture_files import numbered
from allegro.storage.uploaded import remove

RENAMES = 3
"""Tries to rename: the name may be taken by somebody else between the look and the renaming."""


@contextlib.contextmanager
def connected(target: Target, login: Login, host_key: HostKey) -> Iterator[SftpClient]:
    """A session. Raises AllegroError for what goes wrong, also in the block."""
    try:
        with session(target, login, host_key) as client:
            yield client
    except (OSError, EOFError, paramiko.SSHException, paramiko.SFTPError) as error:
        raise explain_connection(error, target) from error


def send(
    client: SftpClient,
    file: Path,
    directory: str,
    device: str,
    progress: Progress,
    *,
    memory: Memory = NOTHING_REMEMBERED,
    pace: Pace | None = None,
    dispose: Callable[[Path], None] = remove,
) -> Sent | None:
    """Sends `file` into `directory` (which exists) and disposes of it here when the server has it whole.

    None: the file was deleted here in the meantime, and nothing of it stays on the server. Raises FileTrouble
    in plain words, what `progress` raises, and EOFError, OSError or SSHException if the connection breaks.
    """

    def bring(errand: Errand, is_still_here: Callable[[], bool]) -> Sent | None:
        return _bring(client, errand, errand.path(part_name(errand.name, device)), is_still_here)

    return carry_out(file, directory, progress, memory, pace or Pace(), dispose, bring)


def _bring(client: SftpClient, errand: Errand, part: str, is_still_here: Callable[[], bool]) -> Sent | None:
    final, already_there = _final_name(client, errand, part)
    written = Written(0)
    if already_there:
        remove_there(client, part)
    else:
        written = write_part(client, errand, part)
        if not is_still_here():
            remove_there(client, part)
            return None
        errand.tell("renaming")
        final = rename(client, errand, part)
    return Sent(final, errand.size, already_there, written.resumed_at, written.notes)


def rename(client: SftpClient, errand: Errand, part: str) -> str:
    """Gives the part its final name, and looks at it; returns the name. Raises FileTrouble.

    SSH_FXP_RENAME fails if the new name exists (in OpenSSH it is link and unlink), unlike posix-rename. Some
    servers cannot do it on their file system: there posix-rename, if the name is free, is the next best.
    """
    for tries_left in reversed(range(RENAMES)):
        final, already_there = _final_name(client, errand, part)
        if already_there:
            remove_there(client, part)
            return final
        path = errand.path(final)
        errand.memory.note(final)
        errand = replace(errand, memory=replace(errand.memory, renamed=final))
        try:
            _give_name(client, part, path)
        except OSError as error:
            if not is_refusal(error):
                raise
            if tries_left and is_there(client, path):
                continue  # taken by somebody else, or by this renaming in spite of the answer
            raise _no_renaming(error, part, final) from error
        make_sure(client, path, errand.size)
        return final
    raise AssertionError("the last try returns or raises")


def _give_name(client: SftpClient, part: str, path: str) -> None:
    try:
        client.rename(part, path)
    except OSError as error:
        if not is_refusal(error) or POSIX_RENAME not in client.extensions or is_there(client, path):
            raise
        client.posix_rename(part, path)


def _no_renaming(error: OSError, part: str, final: str) -> FileTrouble:
    trouble = explain_file(error, final, "give the file its final name")
    if isinstance(error, SftpStatusError):
        trouble.remedy = (
            f"The server has the whole file as {part}. Have renaming allowed for this user: without it, "
            "nobody could tell a whole file from one that is still growing."
        )
    return trouble


def _final_name(client: SftpClient, errand: Errand, part: str) -> tuple[str, bool]:
    """The first free name, or the one under which the server has exactly this content already (then True)."""
    for number in itertools.count(1):
        candidate = numbered(errand.name, number)
        path = errand.path(candidate)
        try:
            there = look(client, path)
            if there is None:
                return candidate, False
            same = _is_same(client, errand, path) if there.size in (errand.size, None) else False
            if same is None:  # it may not be read
                remembered = candidate == errand.memory.renamed and there.size == errand.size
                same = remembered and look(client, part) is None
        except OSError as error:
            if not is_refusal(error):
                raise
            raise explain_file(error, candidate, "look at the directory") from error
        if same:
            return candidate, True
    raise AssertionError("itertools.count ended")


def _is_same(client: SftpClient, errand: Errand, path: str) -> bool | None:
    """Compares the whole content; None: the server does not let the file be read."""
    size = errand.size
    stretch = WINDOW * CHUNK
    errand.source.seek(0)
    try:
        with client.open(path, "rb") as there:
            # Another file nearly always differs at once; only then it pays to ask for all of it.
            if there.read(CHUNK) != errand.read(CHUNK):
                return False
            for offset in range(CHUNK, size, stretch):
                wanted = errand.read(min(stretch, size - offset))
                if b"".join(there.readv([(offset, len(wanted))])) != wanted:
                    return False
            there.seek(size)
            return not there.read(1)
    except EndOfFile:  # shorter than the server says
        return False
    except OSError as error:
        if not is_refusal(error):
            raise
        return None
