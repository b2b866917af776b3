"""Sends files by WebDAV (RFC 4918) so that each is on the server once and whole, whatever breaks in between.

As by SFTP: a hidden temporary name, a look at what has arrived, the final name by a MOVE that overwrites
nothing, another look, and only then the file goes here. WebDAV cannot go on with a part: what breaks off
begins anew.
"""

import contextlib
import io
import posixpath
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from allegro.export.http_files import (
    HttpFiles,
    below,
    connected,
    disposed,
    nobody_looks,
    nothing,
    opened,
    password_of,
    pieces,
    size_of,
)
from allegro.export.pace import Pace
from allegro.export.way import TEST_FILE, Lane, Memory, Progress, Sent, Trial
from allegro.settings.model import Export

RENAMES = 3
"""Tries to move: the name may be taken by somebody else between the look and the move."""


class DavWay:
    """The server. `device` names this device in temporary names."""

    def __init__(self, export: Export, device: str) -> None:
        self._export = export
        self._device = device

    @contextlib.contextmanager
    def lanes(self, files: int) -> Iterator[Sequence[Lane]]:
        """One connection. Raises ServerTrouble."""
        with connected(self._export, password_of(self._export)) as client:
            there = HttpFiles(client, self._export.url, "a WebDAV server")
            there.look_for_nothing()
            yield [DavLane(there, self._device)]


class DavLane:
    """One connection. Raises httpx.HTTPError for what breaks it."""

    def __init__(self, files: HttpFiles, device: str) -> None:
        self._files = files
        self._device = device

    def make_directory(self, directory: str) -> None:
        """Makes it with all above it, as far as they are missing. Raises FileTrouble."""
        path = below(directory)
        if not path:
            return
        url = f"{self._files.url(path)}/"
        answer = self._files.client.request("MKCOL", url)
        if answer.status_code == 409:  # what is above it is missing (RFC 4918, 9.3.1)
            self.make_directory(posixpath.dirname(path))
            answer = self._files.client.request("MKCOL", url)
        # 405: it is there; some servers say so only to who may make it
        if answer.status_code not in (201, 405) and self._files.client.head(url).status_code != 200:
            raise self._files.refused(answer, f"make the directory {path}", path)

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
        source = opened(file)
        if source is None:
            return None
        with source:
            size = size_of(source)
            progress("looking", 0, size)
            part = self._part(directory, file.name)
            tell = partial(progress, "looking", 0, size)
            final, there = self._final_name(source, size, directory, file.name, part, memory, tell)
            if there:
                self._files.delete(part)
            else:
                self._put(part, source, size, progress, pace)
                progress("checking", size, size)
                self._files.make_sure(part, source, size)
                if not file.exists():
                    self._files.delete(part)
                    return None
                progress("renaming", size, size)
                tell = partial(progress, "renaming", size, size)
                final = self._move(source, size, directory, file.name, part, memory, tell)
            progress("removing", size, size)
            disposed(file, dispose)
            progress("done", size, size)
            return Sent(final, size, there, 0)

    def try_out(self, directory: str, text: str) -> Trial:
        """See `Lane`. A test file of before is replaced."""
        content = text.encode()
        source = io.BytesIO(content)
        part = self._part(directory, TEST_FILE)
        self._put(part, source, len(content), nobody_looks, Pace())
        self._files.make_sure(part, source, len(content))
        self._files.delete(posixpath.join(below(directory), TEST_FILE))
        final = self._move(source, len(content), directory, TEST_FILE, part, Memory(), nothing)
        notes = ("An interrupted upload will begin anew: WebDAV cannot go on with a part.",)
        return Trial(posixpath.join(below(directory), final), notes)

    def _part(self, directory: str, name: str) -> str:
        """Path of the hidden temporary name. Nextcloud refuses names that end in `.part`."""
        return posixpath.join(below(directory), f".{name}.{self._device}.partial")

    def _put(self, path: str, source: BinaryIO, size: int, progress: Progress, pace: Pace) -> None:
        content = pieces(source, 0, size, size, progress, pace)
        answer = self._files.put(self._files.url(path), content, size, {})
        if answer.status_code not in (200, 201, 204):
            raise self._files.refused(answer, "write the file", path)

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
                self._files.delete(part)
                return final
            path = posixpath.join(below(directory), final)
            memory.note(final)
            headers = {"Destination": self._files.url(path), "Overwrite": "F"}
            answer = self._files.client.request("MOVE", self._files.url(part), headers=headers)
            if answer.status_code == 412 and tries_left:  # taken meanwhile (RFC 4918, 9.9.4)
                continue
            if answer.status_code not in (201, 204):
                raise self._files.refused(answer, "give the file its final name", final)
            self._files.make_sure(path, source, size)
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
        def is_ours(candidate: str) -> bool:
            return candidate == memory.renamed and self._files.look(part) is None

        return self._files.free_name(source, size, below(directory), name, tell, is_ours)
