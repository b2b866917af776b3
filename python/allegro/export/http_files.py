"""Files on a web server, as WebDAV, plain HTTP and S3 have them in common: a look, a comparison, PUT, DELETE.

RFC 9110. No listing is read: HEAD tells what is there, by its name.
"""

import contextlib
import posixpath
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx

from allegro.connecting import cause, explained
from allegro.export.errand import Errand, carry_out
from allegro.export.failures import FileTrouble, ServerTrouble, disk_full
from allegro.export.pace import Pace
from allegro.export.way import Memory, Progress, Sent
from allegro.settings.model import Export
from allegro.storage.capture_files import numbered
from allegro.trust import trusting

CHUNK = 64 * 1024

NAMES = 1000
"""Names of a file that are looked at, one after the other, for one that is free."""

ONLY_IF_FREE = {"If-None-Match": "*"}
"""RFC 9110, 13.1.2: the server writes nothing if there is something under that name."""

OVERWRITES = (
    "The server does not heed If-None-Match: a name that somebody else takes between the device's look and"
    " its upload is overwritten."
)

UNTOLD = -1
"""The size of a file that a server shows without a size, as RFC 9110 (8.6) lets it."""

BY_ITSELF = "It is tried again by itself. If that does not help, ask who runs the server."

_TIMEOUT = httpx.Timeout(60.0, connect=20.0, read=300.0)
"""Seconds; a server may put a large file to its disk before it answers."""

Login = httpx.Auth | tuple[str, str] | None


@contextlib.contextmanager
def connected(export: Export, login: Login) -> Iterator[httpx.Client]:
    """One connection at a time. What breaks it meanwhile is raised as ServerTrouble."""
    with httpx.Client(
        auth=login, verify=trusting(export.certificate), timeout=_TIMEOUT, trust_env=False
    ) as client:
        try:
            yield client
        except httpx.HTTPError as error:
            lost = TimeoutError() if isinstance(error, httpx.TimeoutException) else ConnectionResetError()
            message, remedy = explained(cause(error) or lost)
            place = urlsplit(export.url).netloc
            raise ServerTrouble(message, place=place, remedy=remedy) from error


def password_of(export: Export) -> Login:
    """User name and password, if there are any."""
    return (export.username, export.password) if export.username else None


class HttpFiles:
    """What lies below the address `base`; `kind` completes "Is it the address of". Raises httpx.HTTPError."""

    def __init__(self, client: httpx.Client, base: str, kind: str) -> None:
        self.client = client
        self.kind = kind
        self.place = urlsplit(base).netloc
        self._base = base.rstrip("/")

    def url(self, path: str) -> str:
        """Of what has this path below the address; empty: the address itself."""
        return f"{self._base}/{quote(path)}" if path else f"{self._base}/"

    def look_for_nothing(self) -> None:
        """Raises ServerTrouble for a server that has an answer to every name: it proves nothing."""
        path = nobody_has()
        answer = self._head(path)
        if answer.status_code == 401:
            raise self.refused(answer, "show what is there", path)
        if answer.status_code == 200:
            raise ServerTrouble(
                f"This is no directory of {self.kind}: the server shows a file under any name, also under"
                " one that nobody has.",
                place=self.place,
                remedy=f"Check the address: it has to be that of a directory of {self.kind}.",
            )

    def look(self, path: str) -> int | None:
        """Size of the file there, UNTOLD if it is not told; None: nothing is there. Raises FileTrouble."""
        answer = self._head(path)
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise self.refused(answer, "show what is there", path)
        size = answer.headers.get("Content-Length", "")
        return int(size) if size.isdecimal() else UNTOLD

    def is_same(self, path: str, errand: Errand) -> bool | None:
        """Compares the whole content; None: the server does not let the file be read."""
        begins = self.begins(path, errand)
        return None if begins is None else begins == errand.size

    def begins(self, path: str, errand: Errand) -> int | None:
        """Length of the file there, if ours begins with all of it; else -1. None: it may not be read."""
        errand.source.seek(0)
        with self.client.stream("GET", self.url(path), headers={"Accept-Encoding": "identity"}) as answer:
            if answer.status_code != 200:
                return None
            for piece in answer.iter_bytes(CHUNK):
                if errand.read(len(piece)) != piece:
                    return -1
        return errand.source.tell()

    def free_name(
        self, errand: Errand, tell: Callable[[], None], is_ours_unread: Callable[[str], bool]
    ) -> tuple[str, bool]:
        """The first free name, or the one under which the server has exactly this content (then True).

        `is_ours_unread` judges a name whose file has this size and may not be read. Raises FileTrouble, and
        what `tell`, which is called for each name, raises.
        """
        for number in range(1, NAMES + 1):
            tell()
            candidate = numbered(errand.name, number)
            path = errand.path(candidate)
            seen = self.look(path)
            if seen is None:
                return candidate, False
            if seen in (errand.size, UNTOLD):
                same = self.is_same(path, errand)
                if same is None:
                    same = seen == errand.size and is_ours_unread(candidate)
                if same:
                    return candidate, True
        raise FileTrouble(
            f"The server has something under each of the {NAMES} names that were tried for this file.",
            place=errand.name,
            remedy="Check the address, or empty the directory there.",
        )

    def put(self, url: str, content: Iterator[bytes], length: int, headers: dict[str, str]) -> httpx.Response:
        """Writes it as it is read."""
        told = {"Content-Length": str(length), "Content-Type": "application/octet-stream"}
        return self.client.put(url, content=content, headers={**told, **headers})

    def make_sure(self, path: str, errand: Errand) -> None:
        """Looks by its name for a file that was sent. Raises FileTrouble."""
        seen = self.look(path)
        whole = self.is_same(path, errand) if seen == UNTOLD else seen == errand.size
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

    def delete(self, path: str) -> None:
        """Removes a file of the device's own; that a server refuses it costs nothing but room."""
        self.client.delete(self.url(path))

    def refused(self, answer: httpx.Response, doing: str, place: str) -> FileTrouble | ServerTrouble:
        """Plain words for an answer that is no success; `doing` completes "the server refused to"."""
        status = answer.status_code
        if status == 401:
            return ServerTrouble(
                "The server did not accept this user with this password.",
                place=self.place,
                remedy="Check user name and password.",
            )
        if 300 <= status < 400:
            return ServerTrouble(
                f"The server sends the device to another address (HTTP {status}).",
                place=self.place,
                remedy="Set the address where the directory is now.",
            )
        if status == 507:
            return disk_full(place, None)
        if status in (405, 501):
            return FileTrouble(
                f"The server does not know how to {doing} (HTTP {status}).",
                place=place,
                remedy=f"Is it the address of a directory of {self.kind}?",
            )
        if status == 413:
            return FileTrouble(
                f"The server takes no file of this size (HTTP {status}).",
                place=place,
                remedy="Have its limit raised.",
            )
        its_own = status >= 500 or status == 429
        return FileTrouble(
            f"The server refused to {doing} (HTTP {status}).",
            place=place,
            remedy=BY_ITSELF if its_own else "Check the directory, and the rights of this user there.",
        )

    def _head(self, path: str) -> httpx.Response:
        return self.client.head(self.url(path), headers={"Accept-Encoding": "identity"})


class HttpLane(ABC):
    """One connection to a web server. Raises httpx.HTTPError for what breaks it."""

    def send(
        self,
        file: Path,
        directory: str,
        progress: Progress,
        memory: Memory,
        pace: Pace,
        dispose: Callable[[Path], None],
    ) -> Sent | None:
        """See `Lane`."""
        return carry_out(file, below(directory), progress, memory, pace, dispose, self.bring)

    def throw_away(self, note: str) -> None:
        """See `Lane`. Where only a name is noted, there is nothing."""
        return

    @abstractmethod
    def bring(self, errand: Errand, is_still_here: Callable[[], bool]) -> Sent | None:
        """See `errand.Bring`."""


def pieces(errand: Errand, start: int, length: int) -> Iterator[bytes]:
    """A stretch of the file, told as it goes. Raises FileTrouble, and what the progress raises."""
    errand.source.seek(start)
    end = start + length
    for done in range(start, end, CHUNK):
        tell = errand.telling("sending", done)
        tell()
        piece = errand.read(min(CHUNK, end - done))
        errand.pace.wait_for(len(piece), tell)
        yield piece


def below(directory: str) -> str:
    """A directory of the settings as a path below the address; empty: the address itself."""
    path = posixpath.normpath(f"/{directory}").lstrip("/")
    return "" if path == "." else path


def nobody_has() -> str:
    """A name of which no file can have been made."""
    return f".allegro-{secrets.token_hex(8)}"
