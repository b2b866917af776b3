"""Brings a file to the server under a temporary name: on from where it stopped, or from the beginning.

SFTP servers write in order, so an interrupted part is a beginning of the file. To be safe against a server
that lost power, or a part of something else, the first 64 KiB and the last 2 MiB of the part are read back
and compared. What cannot be compared, opened or written on is begun anew in the same try. A part that the
server has taken more of, or writes on except beyond its end, stays: what is missing there is room.
"""

import contextlib
import logging
import posixpath
import time
from dataclasses import dataclass

import paramiko

from allegro.export.errand import Errand, hidden_name
from allegro.export.failures import FileTrouble, ServerFull, disk_full, explain_file
from allegro.export.looking import holds, look
from allegro.export.sftp_client import FSYNC, EndOfFile, SftpClient, SftpStatusError, Writes, is_refusal

log = logging.getLogger(__name__)

CHUNK = 32 * 1024
"""Bytes of one SFTP write: every server must take so many (draft-ietf-secsh-filexfer-02, section 3)."""
LONGEST = 120 * 1024
"""Bytes of one where the server takes so many (limits@openssh.com): a third of packets and answers. For more
the C library asks the kernel each time (M_MMAP_THRESHOLD, mallopt(3)), which costs more than it spares."""
WINDOW = 64
"""So many short writes are on their way at once, as many as OpenSSH's sftp has (sftp(1), -R), or as many
bytes."""
CHECKED_HEAD = 64 * 1024
CHECKED_TAIL = (WINDOW + 2) * CHUNK
"""More than a window: where one write was refused and those behind it were not, a hole lies in it."""


@dataclass(frozen=True)
class Written:
    """`resumed_at`: bytes that had been there; `notes`: what the server refused at no cost to the file."""

    resumed_at: int
    notes: tuple[str, ...] = ()


def part_name(name: str, device: str) -> str:
    """Hidden temporary name on the server; it names the device, because several may share a directory."""
    return hidden_name(name, f".{device}.part")


def write_part(client: SftpClient, errand: Errand, part: str) -> Written:
    """Brings the file `part` to the full size, has it closed and looks at it.

    Raises FileTrouble, what the progress raises, and EOFError, OSError or SSHException if it breaks off.
    """
    start = _resumable(client, errand, part)
    if start:
        written = _write_on(client, errand, part, start)
        if written is not None:
            return written
        log.info("The server does not let %s go on at byte %d: it is begun anew", part, start)
    return _write_anew(client, errand, part)


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


def _resumable(client: SftpClient, errand: Errand, part: str) -> int:
    """Bytes of the part on the server that can be kept; 0 = start anew."""
    try:
        seen = look(client, part)
        there = seen.size or 0 if seen else 0
        if not 0 < there <= errand.size:
            return 0
        errand.tell("resuming", there)
        head = 0, min(CHECKED_HEAD, there)
        tail = max(0, there - CHECKED_TAIL), min(CHECKED_TAIL, there)
        return there if _agrees(client, errand, part, head, tail) else 0
    except OSError as error:
        if not is_refusal(error):
            raise
        return 0


def _write_anew(client: SftpClient, errand: Errand, part: str) -> Written:
    """From the beginning. Raises FileTrouble."""
    writes = None
    try:
        with client.open(part, "wb") as there:
            writes = Writes(client, there, WINDOW * CHUNK)
            notes = _fill(client, writes, errand, part, 0)
    except OSError as error:
        if not is_refusal(error):
            raise
        if _may_be_too_long(client, writes):
            return _write_anew(client, errand, part)
        raise explain_write(client, error, part, errand.size) from error
    make_sure(client, part, errand.size)
    return Written(0, notes)


def _may_be_too_long(client: SftpClient, writes: Writes | None) -> bool:
    """Whether the server may have refused only the length of a write, whatever it says of it.

    Then it gets short ones from now on.
    """
    if writes is None or writes.longest_taken > CHUNK or not client.longest_write:
        return False
    client.longest_write = None
    return True


def _write_on(client: SftpClient, errand: Errand, part: str, start: int) -> Written | None:
    """Goes on at `start`; None: the server does not do that, or not rightly.

    A server that begins a new file all the same would leave a hole where the old part was. Raises FileTrouble
    where it goes on and then refuses: a quota is answered like that, and the part is worth as much as before.
    """
    writes = None
    try:
        with client.open_to_go_on(part) as there:
            writes = Writes(client, there, WINDOW * CHUNK)
            notes = _fill(client, writes, errand, part, start)
    except OSError as error:
        if not is_refusal(error):
            raise
        if _may_be_too_long(client, writes):
            return _write_on(client, errand, part, start)
        trouble = explain_write(client, error, part, errand.size)
        took = writes is not None and (writes.longest_taken or _writes_again(client, errand, part, start))
        if took or isinstance(trouble, ServerFull):
            raise trouble from error
        return None
    try:
        seam = max(0, start - CHECKED_HEAD), min(CHECKED_HEAD, start)
        if holds(client, part, errand.size) and _agrees(client, errand, part, (0, seam[1]), seam):
            return Written(start, notes)
    except OSError as error:
        if not is_refusal(error):
            raise
    return None


def _writes_again(client: SftpClient, errand: Errand, part: str, start: int) -> bool:
    """Whether the last piece of the part can be written once more, which needs no room."""
    length = min(CHUNK, start)
    errand.source.seek(start - length)
    try:
        with client.open_to_go_on(part) as there:
            writes = Writes(client, there, CHUNK)
            writes.put(start - length, errand.read(length))
            writes.settle()
    except OSError as error:
        if not is_refusal(error):
            raise
        return False
    return True


def _agrees(client: SftpClient, errand: Errand, part: str, *stretches: tuple[int, int]) -> bool:
    """Whether these (offset, length) of the part are those of the file. Raises what the server answers."""
    try:
        with client.open(part, "rb") as file:
            for offset, length in stretches:
                errand.source.seek(offset)
                file.seek(offset)  # not readv: it waits for ever where stretches of one file overlap
                if file.read(length) != errand.read(length):
                    return False
    except EndOfFile:  # shorter than the server says
        return False
    return True


def _fill(client: SftpClient, writes: Writes, errand: Errand, part: str, start: int) -> tuple[str, ...]:
    """Sends the rest, and has it written out; returns what was refused meanwhile. Raises what is answered."""
    _copy(writes, errand, start, _write_length(client, errand.size - start))
    errand.tell("checking")
    notes = _sync(client, writes.file)
    try:
        client.finish(writes.file)
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


def _write_length(client: SftpClient, left: int) -> int:
    """Bytes of one write, with so many bytes left to send."""
    if left <= CHUNK:  # not worth asking
        return CHUNK
    return max(CHUNK, min(client.longest_write or CHUNK, LONGEST, WINDOW * CHUNK // 8))


def _copy(writes: Writes, errand: Errand, start: int, length: int) -> None:
    """Sends the rest, `length` bytes at a time, fewer where a limit of the bandwidth wants it even.

    Every write's answer is checked: one that failed would leave a hole in the file.
    """
    errand.source.seek(start)
    position = told = start
    told_at = time.monotonic()

    def tell() -> None:
        errand.tell("sending", writes.safe_until(position))

    tell()
    while chunk := errand.read(CHUNK if errand.pace.holds else length):
        errand.pace.wait_for(len(chunk), tell)
        writes.put(position, chunk)
        position += len(chunk)
        late = errand.pace.holds and time.monotonic() - told_at >= 1
        if late:  # with a limit, a window is long
            writes.settle()
        if late or position - told >= WINDOW * CHUNK // 4:
            told_at, told = time.monotonic(), position
            tell()
    writes.settle()
    tell()


def _short(client: SftpClient, path: str, size: int) -> FileTrouble:
    directory, name = posixpath.split(path)
    free = client.free_bytes(directory or ".")
    if free is not None and free < size:
        return disk_full(name, free)
    return FileTrouble("What arrived on the server is not the whole file. It is tried again.", place=name)
