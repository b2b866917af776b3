"""Sends one file so that it is on the server exactly once and whole, whatever breaks in between.

The steps: (1) look whether the server has the file already, (2) write it under a hidden temporary name, (3)
sync, close and look at the size, (4) rename to the final name without overwriting anything, and look again,
(5) only then remove it here. A crash before (4) leaves a part, which is resumed; a crash between (4) and (5)
leaves the whole file on the server, which (1) recognises by its content.

Resuming: SFTP servers write in order, so an interrupted part is a beginning of the file. To be safe against a
server that lost power, or a part of something else, the first 64 KiB and the last 1 MiB of the part are read
back and compared; if they differ, the upload starts anew.
"""

import contextlib
import itertools
import posixpath
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import paramiko

from allegro.export.failures import FileTrouble, Target, disk_full, explain_connection, explain_file
from allegro.export.session import Login, SftpClient, SftpStatusError, session
from allegro.storage.capture_files import numbered

Step = Literal["looking", "resuming", "sending", "checking", "renaming", "removing", "done"]
Progress = Callable[[Step, int, int], None]
"""Called with the step, bytes that are safely on the server, bytes of the file. May raise UploadStopped."""

CHUNK = 32 * 1024
"""Bytes of one SFTP write: every server must take so many (draft-ietf-secsh-filexfer-02, section 3)."""
WINDOW = 64
"""Writes on their way before their answers are waited for and checked."""
CHECKED_HEAD = 64 * 1024
CHECKED_TAIL = 1024 * 1024

TEST_FILE = "allegro-upload-test.txt"


@dataclass(frozen=True)
class Sent:
    """`name` is the name on the server, which has a number if another file had the wanted name."""

    name: str
    size: int
    already_there: bool
    resumed_at: int


@contextlib.contextmanager
def connected(target: Target, login: Login, host_key: str, directory: str) -> Iterator[SftpClient]:
    """A session in which `directory` is there. Raises AllegroError for what goes wrong, also in the block."""
    try:
        with session(target, login, host_key) as client:
            make_directory(client, directory)
            yield client
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise explain_connection(error, target) from error


def part_name(name: str, device: str) -> str:
    """Hidden temporary name on the server; it names the device, because several may share a directory."""
    return f".{name}.{device}.part"


def make_directory(client: SftpClient, directory: str) -> None:
    """Makes the target directory with all its parents, as far as they are missing. Raises FileTrouble."""
    missing: list[str] = []
    path = posixpath.normpath(directory)
    try:
        while path not in ("", ".", "/"):
            try:
                mode = client.stat(path).st_mode
            except FileNotFoundError:
                missing.append(path)
                path = posixpath.dirname(path)
                continue
            if mode is not None and not stat.S_ISDIR(mode):
                raise FileTrouble(
                    "This is a file on the server, not a directory.", place=path, remedy="Choose another one."
                )
            break
        for path in reversed(missing):
            client.mkdir(path)
    except OSError as error:
        if _is_broken_connection(error):
            raise
        raise explain_file(error, path, f"make the directory {path}") from error


def send(client: SftpClient, file: Path, directory: str, device: str, progress: Progress) -> Sent | None:
    """Sends `file` into `directory` (which exists) and removes it here when the server has it whole.

    None: the file was deleted here in the meantime, and nothing of it stays on the server. Raises FileTrouble
    in plain words, what `progress` raises, and EOFError, OSError or SSHException if the connection breaks.
    """
    try:
        source = file.open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _storage_trouble("read from", file, error) from error
    with source:
        return _send(client, source, file, directory, device, progress)


def _send(
    client: SftpClient, source: BinaryIO, file: Path, directory: str, device: str, progress: Progress
) -> Sent | None:
    size = source.seek(0, 2)
    part = posixpath.join(directory, part_name(file.name, device))
    progress("looking", 0, size)
    final, already_there = _final_name(client, source, size, file.name, directory)
    resumed_at = 0
    if already_there:
        _remove(client, part)
    else:
        resumed_at = _write_part(client, source, size, part, directory, progress)
        if not file.exists():
            _remove(client, part)
            return None
        progress("renaming", size, size)
        final = _rename(client, source, size, part, file.name, directory)
        _look(client, directory, final, size)
    progress("removing", size, size)
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise _storage_trouble("removed from", file, error) from error
    progress("done", size, size)
    return Sent(final, size, already_there, resumed_at)


def send_test(client: SftpClient, directory: str, content: str) -> str:
    """Writes (or replaces) the test file, reads it back, leaves it there; returns its path on the server."""
    path = posixpath.join(directory, TEST_FILE)
    data = content.encode()
    try:
        with client.open(path, "wb") as file:
            file.write(data)
            client.finish(file)
        with client.open(path, "rb") as file:
            if file.read() != data:
                raise _short(client, directory, TEST_FILE, len(data))
    except OSError as error:
        if _is_broken_connection(error):
            raise
        raise _explained(client, error, directory, TEST_FILE, len(data)) from error
    return path


def _final_name(
    client: SftpClient, source: BinaryIO, size: int, name: str, directory: str
) -> tuple[str, bool]:
    """The first free name, or the one under which the server has exactly this content already (then True)."""
    for number in itertools.count(1):
        candidate = numbered(name, number)
        path = posixpath.join(directory, candidate)
        try:
            there = client.stat(path)
        except FileNotFoundError:
            return candidate, False
        except OSError as error:
            if _is_broken_connection(error):
                raise
            raise explain_file(error, candidate, "look at the directory") from error
        if there.st_size == size and _is_same(client, source, size, path):
            return candidate, True
    raise AssertionError("itertools.count ended")


def _is_same(client: SftpClient, source: BinaryIO, size: int, path: str) -> bool:
    """Compares the whole content; a file that may not be read counts as another one."""
    source.seek(0)
    try:
        with client.open(path, "rb") as there:
            # Another file nearly always differs at once; only then it pays to ask for all of it.
            if there.read(CHUNK) != _read(source, CHUNK):
                return False
            there.prefetch(size)
            while chunk := _read(source, CHUNK):
                if there.read(len(chunk)) != chunk:
                    return False
    except OSError as error:
        if _is_broken_connection(error):
            raise
        return False
    return True


def _write_part(
    client: SftpClient, source: BinaryIO, size: int, part: str, directory: str, progress: Progress
) -> int:
    """Brings the part to the full size and makes sure of it; returns where it went on."""
    name = posixpath.basename(part)
    try:
        start = _resumable(client, source, size, part, progress)
        with client.open(part, "r+b" if start else "wb") as there:
            there.set_pipelined(True)
            _copy(source, there, start, size, progress)
            progress("checking", size, size)
            _finish(client, there, part)
    except OSError as error:
        if _is_broken_connection(error):
            raise
        raise _explained(client, error, directory, name, size) from error
    _look(client, directory, name, size)
    return start


def _finish(client: SftpClient, there: paramiko.SFTPFile, part: str) -> None:
    """Has everything written out. If the server says no, any stretch may be missing: nothing to resume."""
    try:
        client.sync(there)
        client.finish(there)
    except OSError as error:
        if not _is_broken_connection(error):
            with contextlib.suppress(OSError):
                client.remove(part)
        raise


def _look(client: SftpClient, directory: str, name: str, size: int) -> None:
    """Makes sure that others, too, find a file of this size there now. Raises FileTrouble."""
    try:
        found = client.stat(posixpath.join(directory, name)).st_size
    except OSError as error:
        if _is_broken_connection(error):
            raise
        raise explain_file(error, name, "show the file that was sent") from error
    if found != size:
        raise _short(client, directory, name, size)


def _resumable(client: SftpClient, source: BinaryIO, size: int, part: str, progress: Progress) -> int:
    """Bytes of the part on the server that can be kept; 0 = start anew."""
    try:
        there = client.stat(part).st_size or 0
    except FileNotFoundError:
        return 0
    if not 0 < there <= size:
        return 0
    progress("resuming", there, size)
    checked = ((0, min(CHECKED_HEAD, there)), (max(0, there - CHECKED_TAIL), min(CHECKED_TAIL, there)))
    with client.open(part, "rb") as file:
        for offset, length in checked:
            source.seek(offset)
            file.seek(offset)
            if file.read(length) != _read(source, length):
                return 0
    return there


def _copy(source: BinaryIO, there: paramiko.SFTPFile, start: int, size: int, progress: Progress) -> None:
    """Sends the rest. Every write's answer is checked: one that failed would leave a hole in the file."""
    source.seek(start)
    there.seek(start)
    position = start
    progress("sending", position, size)
    for count in itertools.count(1):
        chunk = _read(source, CHUNK)
        if not chunk:
            break
        position += len(chunk)
        # A write that is not pipelined waits for the answers to all before it.
        wait = count % WINDOW == 0 or position >= size
        there.set_pipelined(not wait)
        there.write(chunk)
        if wait:
            progress("sending", position, size)


def _rename(client: SftpClient, source: BinaryIO, size: int, part: str, name: str, directory: str) -> str:
    """Gives the part its final name; returns that.

    SSH_FXP_RENAME fails if the new name exists (in OpenSSH it is link and unlink), unlike posix-rename. Some
    servers cannot do it on their file system: there posix-rename, if the name is free, is the next best.
    """
    final, already_there = _final_name(client, source, size, name, directory)
    if already_there:
        _remove(client, part)
        return final
    path = posixpath.join(directory, final)
    try:
        try:
            client.rename(part, path)
        except OSError as error:
            if _is_broken_connection(error) or _exists(client, path):
                raise
            client.posix_rename(part, path)
    except OSError as error:
        if _is_broken_connection(error):
            raise
        raise explain_file(error, final, "give the file its final name") from error
    return final


def _exists(client: SftpClient, path: str) -> bool:
    try:
        client.stat(path)
    except FileNotFoundError:
        return False
    return True


def _remove(client: SftpClient, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        client.remove(path)


def _short(client: SftpClient, directory: str, name: str, size: int) -> FileTrouble:
    free = client.free_bytes(directory)
    if free is not None and free < size:
        return disk_full(name, free)
    return FileTrouble("What arrived on the server is not the whole file. It is tried again.", place=name)


def _explained(client: SftpClient, error: OSError, directory: str, name: str, size: int) -> FileTrouble:
    """The server's refusal of a write in plain words.

    SFTP version 3 has no code for a full disk (OpenSSH says just "Failure"): the free space is asked for.
    """
    if isinstance(error, SftpStatusError):
        free = client.free_bytes(directory)
        said_so = error.code in (SftpStatusError.NO_SPACE, SftpStatusError.QUOTA_EXCEEDED)
        if said_so or (free is not None and free < min(size, WINDOW * CHUNK)):
            return disk_full(name, free)
    return explain_file(error, name, "write the file")


def _is_broken_connection(error: OSError) -> bool:
    """What the server answers has these types (see SftpClient); everything else is the way to it."""
    return not isinstance(error, FileNotFoundError | PermissionError | SftpStatusError)


def _read(source: BinaryIO, length: int) -> bytes:
    try:
        return source.read(length)
    except OSError as error:
        raise _storage_trouble("read from", source.name, error) from error


def _storage_trouble(doing: str, file: Path | str, error: OSError) -> FileTrouble:
    """It is the file here, not the connection; `doing` is "read from" or "removed from"."""
    return FileTrouble(
        f"The file cannot be {doing} the storage device: {error.strerror}.",
        place=str(file),
        remedy="Check the storage device.",
    )
