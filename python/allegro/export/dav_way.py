"""Sends files by WebDAV (RFC 4918) so that each is on the server once and whole, whatever breaks in between.

As by SFTP: a hidden temporary name, a look at what has arrived, the final name by a MOVE that overwrites
nothing, another look, and only then the file goes here. WebDAV cannot go on with a part: what breaks off
begins anew.
"""

import contextlib
import io
import posixpath
import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlsplit

import httpx

from allegro.connecting import cause, explained
from allegro.export.failures import FileTrouble, ServerTrouble, disk_full
from allegro.export.pace import Pace
from allegro.export.way import TEST_FILE, Lane, Memory, Progress, Sent, Trial
from allegro.settings.model import Export
from allegro.storage.capture_files import numbered
from allegro.storage.uploaded import remove
from allegro.trust import trusting

CHUNK = 64 * 1024
RENAMES = 3
"""Tries to move: the name may be taken by somebody else between the look and the move."""

NAMES = 1000
"""Names of a file that are looked at, one after the other, for one that is free."""

_UNTOLD = -1
"""The size of a file that a server shows without a size, as RFC 9110 (8.6) lets it."""

_TIMEOUT = httpx.Timeout(60.0, connect=20.0, read=300.0)
"""Seconds; a server may put a large file to its disk before it answers."""


class DavWay:
    """The server. `device` names this device in temporary names."""

    def __init__(self, export: Export, device: str) -> None:
        self._export = export
        self._device = device

    @contextlib.contextmanager
    def lanes(self, files: int) -> Iterator[Sequence[Lane]]:
        """One connection. Raises ServerTrouble."""
        export = self._export
        login = (export.username, export.password) if export.username else None
        place = urlsplit(export.url).netloc
        with httpx.Client(
            auth=login, verify=trusting(export.certificate), timeout=_TIMEOUT, trust_env=False
        ) as client:
            lane = DavLane(client, export.url, place, self._device)
            try:
                lane.look_for_nothing()
                yield [lane]
            except httpx.HTTPError as error:
                lost = TimeoutError() if isinstance(error, httpx.TimeoutException) else ConnectionResetError()
                message, remedy = explained(cause(error) or lost)
                raise ServerTrouble(message, place=place, remedy=remedy) from error


class DavLane:
    """One connection. Raises httpx.HTTPError for what breaks it."""

    def __init__(self, client: httpx.Client, base: str, place: str, device: str) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._place = place
        self._device = device

    def look_for_nothing(self) -> None:
        """Raises ServerTrouble for a server that has an answer to every name: it proves nothing."""
        if self._head(f".allegro-{secrets.token_hex(8)}").status_code == 200:
            raise ServerTrouble(
                "This is no directory of a WebDAV server: the server shows a file under any name, also under"
                " one that nobody has.",
                place=self._place,
                remedy="Check the address: it has to be that of a directory of a WebDAV server.",
            )

    def make_directory(self, directory: str) -> None:
        """Makes it with all above it, as far as they are missing. Raises FileTrouble."""
        path = _below(directory)
        if not path:
            return
        status = self._make(path)
        if status == 409:  # what is above it is missing (RFC 4918, 9.3.1)
            self.make_directory(posixpath.dirname(path))
            status = self._make(path)
        # 405: it is there; some servers say so only to who may make it
        if status not in (201, 405) and self._client.head(f"{self._url(path)}/").status_code != 200:
            raise self._refused(status, f"make the directory {path}", path)

    def send(
        self,
        file: Path,
        directory: str,
        progress: Progress,
        memory: Memory,
        pace: Pace,
        dispose: Callable[[Path], None] = remove,
    ) -> Sent | None:
        """See `Lane`."""
        try:
            source = file.open("rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _storage_trouble("read from", file, error) from error
        with source:
            size = source.seek(0, io.SEEK_END)
            progress("looking", 0, size)
            part = self._part(directory, file.name)
            tell = partial(progress, "looking", 0, size)
            final, there = self._final_name(source, size, directory, file.name, part, memory, tell)
            if there:
                self._delete(part)
            else:
                self._put(part, source, size, progress, pace)
                progress("checking", size, size)
                self._make_sure(part, source, size)
                if not file.exists():
                    self._delete(part)
                    return None
                progress("renaming", size, size)
                tell = partial(progress, "renaming", size, size)
                final = self._move(source, size, directory, file.name, part, memory, tell)
            progress("removing", size, size)
            try:
                dispose(file)
            except OSError as error:
                raise _storage_trouble("removed from", file, error) from error
            progress("done", size, size)
            return Sent(final, size, there, 0)

    def try_out(self, directory: str, text: str) -> Trial:
        """See `Lane`. A test file of before is replaced."""
        content = text.encode()
        source = io.BytesIO(content)
        part = self._part(directory, TEST_FILE)
        self._put(part, source, len(content), _nobody_looks, Pace())
        self._make_sure(part, source, len(content))
        self._delete(posixpath.join(_below(directory), TEST_FILE))
        final = self._move(source, len(content), directory, TEST_FILE, part, Memory(), _nothing)
        notes = ("An interrupted upload will begin anew: WebDAV cannot go on with a part.",)
        return Trial(posixpath.join(_below(directory), final), notes)

    def _part(self, directory: str, name: str) -> str:
        """Path of the hidden temporary name. Nextcloud refuses names that end in `.part`."""
        return posixpath.join(_below(directory), f".{name}.{self._device}.partial")

    def _put(self, path: str, source: BinaryIO, size: int, progress: Progress, pace: Pace) -> None:
        def pieces() -> Iterator[bytes]:
            source.seek(0)
            for done in range(0, size, CHUNK):
                tell = partial(progress, "sending", done, size)
                tell()
                try:
                    piece = source.read(min(CHUNK, size - done))
                except OSError as error:
                    raise _storage_trouble("read from", Path(source.name), error) from error
                pace.wait_for(len(piece), tell)
                yield piece

        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        answer = self._client.put(self._url(path), content=pieces(), headers=headers)
        if answer.status_code not in (200, 201, 204):
            raise self._refused(answer.status_code, "write the file", path)

    def _make_sure(self, path: str, source: BinaryIO, size: int) -> None:
        """Looks by its name for a file that was sent. Raises FileTrouble."""
        seen = self._look(path)
        whole = self._is_same(path, source, size) if seen == _UNTOLD else seen == size
        if whole is None:
            raise FileTrouble(
                "The server does not say how much of the file arrived, and does not let it be read."
                " It stays on the device, and is tried again.",
                place=posixpath.basename(path),
            )
        if not whole:
            raise FileTrouble(
                "What arrived on the server is not the whole file. It is tried again.",
                place=posixpath.basename(path),
            )

    def _move(
        self,
        source: BinaryIO,
        size: int,
        directory: str,
        name: str,
        part: str,
        memory: Memory,
        tell: Callable[[], None],
    ) -> str:
        """Gives the part its final name, and looks at it. Raises FileTrouble."""
        for tries_left in reversed(range(RENAMES)):
            final, there = self._final_name(source, size, directory, name, part, memory, tell)
            if there:
                self._delete(part)
                return final
            path = posixpath.join(_below(directory), final)
            memory.note(final)
            answer = self._client.request(
                "MOVE", self._url(part), headers={"Destination": self._url(path), "Overwrite": "F"}
            )
            if answer.status_code == 412 and tries_left:  # taken meanwhile (RFC 4918, 9.9.4)
                continue
            if answer.status_code not in (201, 204):
                raise self._refused(answer.status_code, "give the file its final name", final)
            self._make_sure(path, source, size)
            return final
        raise AssertionError("the last try returns or raises")

    def _final_name(
        self,
        source: BinaryIO,
        size: int,
        directory: str,
        name: str,
        part: str,
        memory: Memory,
        tell: Callable[[], None],
    ) -> tuple[str, bool]:
        """The first free name, or the one under which the server has exactly this content (then True).

        Raises FileTrouble, and what `tell`, which is called for each name, raises.
        """
        for number in range(1, NAMES + 1):
            tell()
            candidate = numbered(name, number)
            path = posixpath.join(_below(directory), candidate)
            seen = self._look(path)
            if seen is None:
                return candidate, False
            if seen in (size, _UNTOLD):
                same = self._is_same(path, source, size)
                if same is None:  # it may not be read
                    same = seen == size and candidate == memory.renamed and self._look(part) is None
                if same:
                    return candidate, True
        raise FileTrouble(
            f"The server has something under each of the {NAMES} names that were tried for this file.",
            place=name,
            remedy="Check the address, or empty the directory there.",
        )

    def _is_same(self, path: str, source: BinaryIO, size: int) -> bool | None:
        """Compares the whole content; None: the server does not let the file be read."""
        source.seek(0)
        with self._client.stream("GET", self._url(path), headers={"Accept-Encoding": "identity"}) as answer:
            if answer.status_code != 200:
                return None
            for piece in answer.iter_bytes(CHUNK):
                if source.read(len(piece)) != piece:
                    return False
        return source.tell() == size

    def _make(self, path: str) -> int:
        return self._client.request("MKCOL", f"{self._url(path)}/").status_code

    def _look(self, path: str) -> int | None:
        """Size of the file there, _UNTOLD if it is not told; None: nothing is there. Raises FileTrouble."""
        answer = self._head(path)
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise self._refused(answer.status_code, "show what is there", path)
        size = answer.headers.get("Content-Length", "")
        return int(size) if size.isdecimal() else _UNTOLD

    def _head(self, path: str) -> httpx.Response:
        return self._client.head(self._url(path), headers={"Accept-Encoding": "identity"})

    def _delete(self, path: str) -> None:
        """Removes a file of the device's own; that a server refuses it costs nothing but room."""
        self._client.delete(self._url(path))

    def _url(self, path: str) -> str:
        return f"{self._base}/{quote(path)}" if path else f"{self._base}/"

    def _refused(self, status: int, doing: str, place: str) -> FileTrouble | ServerTrouble:
        if status == 401:
            return ServerTrouble(
                "The server did not accept this user with this password.",
                place=self._place,
                remedy="Check user name and password.",
            )
        if 300 <= status < 400:
            return ServerTrouble(
                f"The server sends the device to another address (HTTP {status}).",
                place=self._place,
                remedy="Set the address where the directory is now.",
            )
        if status == 507:
            return disk_full(place, None)
        if status in (405, 501):
            return FileTrouble(
                f"The server does not know how to {doing} (HTTP {status}).",
                place=place,
                remedy="Is it the address of a directory of a WebDAV server?",
            )
        return FileTrouble(
            f"The server refused to {doing} (HTTP {status}).",
            place=place,
            remedy="Check the directory, and the rights of this user there.",
        )


def _below(directory: str) -> str:
    """A directory of the settings as a path below the address; empty: the address itself."""
    path = posixpath.normpath(f"/{directory}").lstrip("/")
    return "" if path == "." else path


def _storage_trouble(doing: str, file: Path, error: OSError) -> FileTrouble:
    return FileTrouble(
        f"The file cannot be {doing} the storage device: {error.strerror}.",
        place=file.name,
        remedy="Check the storage device.",
    )


def _nothing() -> None:
    """As often as one likes."""


def _nobody_looks(step: str, done: int, size: int) -> None:
    """Progress of a file that is sent in one go."""
