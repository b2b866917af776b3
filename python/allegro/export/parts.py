"""Brings a file to the server under a temporary name: on from where it stopped, or from the beginning.

SFTP servers write in order, so an interrupted part is a beginning of the file. To be safe against a server
that lost power, or a part of something else, the first 64 KiB and the last 1 MiB of the part are read back
and compared. What cannot be compared, opened or written on is begun anew in the same try.
"""

import contextlib
import itertools
import logging
import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import paramiko

from allegro.export.client import FSYNC, SftpClient, SftpStatusError, is_refusal
from allegro.export.failures import FileTrouble, ServerFull, disk_full, explain_file
from allegro.export.looking import holds, look

log = logging.getLogger(__name__)

Step = Literal["looking", "resuming", "sending", "checking", "renaming", "removing", "done"]
Progress = Callable[[Step, int, int], None]
"""Called with the step, bytes that are safely on the server, bytes of the file. May raise UploadStopped."""

CHUNK = 32 * 1024
"""Bytes of one SFTP write: every server must take so many (draft-ietf-secsh-filexfer-02, section 3)."""
WINDOW = 64
"""Writes on their way before their answers are waited for and checked."""
CHECKED_HEAD = 64 * 1024
CHECKED_TAIL = 1024 * 1024


@dataclass(frozen=True)
class Written:
    """`resumed_at`: bytes that had been there; `notes`: what the server refused at no cost to the file."""

    resumed_at: int
    notes: tuple[str, ...] = ()


def part_name(name: str, device: str) -> str:
    """Hidden temporary name on the server; it names the device, because several may share a directory."""
    return f".{name}.{device}.part"


def write_part(client: SftpClient, source: BinaryIO, size: int, part: str, progress: Progress) -> Written:
    """Brings the part to the full size, has it closed and looks at it.

    Raises FileTrouble, what `progress` raises, and EOFError, OSError or SSHException for a broken connection.
    """
    start = _resumable(client, source, size, part, progress)
    if start:
        written = _write_on(client, source, start, size, part, progress)
        if written is not None:
            return written
    try:
        with client.open(part, "wb") as there:
            notes = _fill(client, there, source, 0, size, part, progress)
    except OSError as error:
        if not is_refusal(error):
            raise
        raise explain_write(client, error, part, size) from error
    make_sure(client, part, size)
    return Written(0, notes)


def make_sure(client: SftpClient, path: str, size: int) -> None:
    """Looks by its name for a file that was sent: others, too, have to find all of it. Raises FileTrouble."""
    name = posixpath.basename(path)
    try:
        whole = holds(client, path, size)
    except OSError as error:
        if not is_refusal(error):
            raise
        raise explain_file(error, name, "show the file that was sent") from error
    if whole is None:
        raise FileTrouble(
            "The server tells no sizes and lets nothing be read, so that nobody can know whether it has the "
            "whole file.",
            place=name,
            remedy="Have the user allowed to look at its files: stat, the list of the directory, or reading.",
        )
    if not whole:
        raise _short(client, path, size)


def remove_there(client: SftpClient, path: str) -> bool:
    """Removes a file of the device's own; False: the server refuses that, which costs nothing but room."""
    try:
        client.remove(path)
    except FileNotFoundError:
        return True
    except OSError as error:
        if not is_refusal(error):
            raise
        log.info("The server does not remove %s: %s", path, error)
        return False
    return True


def read_here(source: BinaryIO, length: int) -> bytes:
    """Bytes of the file on the device. Raises FileTrouble."""
    try:
        return source.read(length)
    except OSError as error:
        raise storage_trouble("read from", source.name, error) from error


def storage_trouble(doing: str, file: Path | str, error: OSError) -> FileTrouble:
    """It is the file here, not the connection; `doing` is "read from" or "removed from"."""
    return FileTrouble(
        f"The file cannot be {doing} the storage device: {error.strerror}.",
        place=str(file),
        remedy="Check the storage device.",
    )


def explain_write(client: SftpClient, error: OSError, path: str, size: int) -> FileTrouble:
    """The server's refusal of a write in plain words.

    SFTP version 3 has no code for a full disk (OpenSSH says just "Failure"): the free space is asked for.
    """
    directory, name = posixpath.split(path)
    if isinstance(error, SftpStatusError):
        free = client.free_bytes(directory or ".")
        said_so = error.code in (SftpStatusError.NO_SPACE, SftpStatusError.QUOTA_EXCEEDED)
        if said_so or (free is not None and free < min(size, WINDOW * CHUNK)):
            return disk_full(name, free)
    return explain_file(error, name, "write the file")


def _resumable(client: SftpClient, source: BinaryIO, size: int, part: str, progress: Progress) -> int:
    """Bytes of the part on the server that can be kept; 0 = start anew."""
    try:
        seen = look(client, part)
        there = seen.size or 0 if seen else 0
        if not 0 < there <= size:
            return 0
        progress("resuming", there, size)
        head = 0, min(CHECKED_HEAD, there)
        tail = max(0, there - CHECKED_TAIL), min(CHECKED_TAIL, there)
        return there if _agrees(client, source, part, head, tail) else 0
    except OSError as error:
        if not is_refusal(error):
            raise
        return 0


def _write_on(
    client: SftpClient, source: BinaryIO, start: int, size: int, part: str, progress: Progress
) -> Written | None:
    """Goes on at `start`; None: the server does not do that, or not rightly.

    A server that begins a new file all the same would leave a hole where the old part was.
    """
    try:
        with client.open_to_go_on(part) as there:
            notes = _fill(client, there, source, start, size, part, progress)
        seam = max(0, start - CHECKED_HEAD), min(CHECKED_HEAD, start)
        if holds(client, part, size) and _agrees(client, source, part, (0, seam[1]), seam):
            return Written(start, notes)
    except OSError as error:
        if not is_refusal(error):
            raise
        trouble = explain_write(client, error, part, size)
        if isinstance(trouble, ServerFull):
            raise trouble from error
    log.info("The server does not let %s go on at byte %d: it is begun anew", part, start)
    return None


def _agrees(client: SftpClient, source: BinaryIO, part: str, *stretches: tuple[int, int]) -> bool:
    """Whether these (offset, length) of the part are those of the file. Raises what the server answers."""
    with client.open(part, "rb") as file:
        for offset, length in stretches:
            source.seek(offset)
            file.seek(offset)
            if file.read(length) != read_here(source, length):
                return False
    return True


def _fill(
    client: SftpClient,
    there: paramiko.SFTPFile,
    source: BinaryIO,
    start: int,
    size: int,
    part: str,
    progress: Progress,
) -> tuple[str, ...]:
    """Sends the rest, and has it written out; returns what was refused meanwhile. Raises what is answered."""
    there.set_pipelined(True)
    _copy(source, there, start, size, progress)
    progress("checking", size, size)
    notes = _sync(client, there)
    try:
        client.finish(there)
    except OSError as error:
        if is_refusal(error):  # any stretch may be missing: nothing to resume
            with contextlib.suppress(OSError):
                client.remove(part)
        raise
    return notes


def _sync(client: SftpClient, there: paramiko.SFTPFile) -> tuple[str, ...]:
    """A wish: what counts is the answer to CLOSE, and what is seen afterwards."""
    if FSYNC not in client.extensions:
        return ()
    try:
        client.sync(there)
    except OSError as error:
        if not is_refusal(error):
            raise
        log.info("The server announces fsync and refuses it: %s", error)
        return (f"The server announces fsync and refuses it: {error}.",)
    return ()


def _copy(source: BinaryIO, there: paramiko.SFTPFile, start: int, size: int, progress: Progress) -> None:
    """Sends the rest. Every write's answer is checked: one that failed would leave a hole in the file."""
    source.seek(start)
    there.seek(start)
    position = start
    progress("sending", position, size)
    for count in itertools.count(1):
        chunk = read_here(source, CHUNK)
        if not chunk:
            break
        position += len(chunk)
        # A write that is not pipelined waits for the answers to all before it.
        wait = count % WINDOW == 0 or position >= size
        there.set_pipelined(not wait)
        there.write(chunk)
        if wait:
            progress("sending", position, size)


def _short(client: SftpClient, path: str, size: int) -> FileTrouble:
    directory, name = posixpath.split(path)
    free = client.free_bytes(directory or ".")
    if free is not None and free < size:
        return disk_full(name, free)
    return FileTrouble("What arrived on the server is not the whole file. It is tried again.", place=name)
