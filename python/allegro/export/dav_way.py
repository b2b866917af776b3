"""Sends files by WebDAV (RFC 4918) so that each is on the server once and whole, whatever breaks in between.

As by SFTP: a hidden temporary name, a look at what has arrived, the final name by a MOVE that overwrites
nothing, another look, and only then the file goes here. WebDAV cannot go on with a part: what breaks off
begins anew.
"""

import contextlib
import posixpath
from collections.abc import Callable, Iterator, Sequence

from allegro.export.errand import Errand, hidden_name, trial_errand
from allegro.export.http_files import HttpFiles, HttpLane, below, connected, password_of, pieces
from allegro.export.way import Lane, Sent, Step, Trial
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


class DavLane(HttpLane):
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

    def try_out(self, directory: str, text: str) -> Trial:
        """See `Lane`. A test file of before is replaced."""
        errand = trial_errand(text, below(directory))
        part = self._part(errand)
        self._put(errand, part)
        self._files.make_sure(part, errand)
        self._files.delete(errand.path(errand.name))
        final = self._move(errand, part)
        notes = ("An interrupted upload will begin anew: WebDAV cannot go on with a part.",)
        return Trial(errand.path(final), notes)

    def bring(self, errand: Errand, is_still_here: Callable[[], bool]) -> Sent | None:
        """See `HttpLane`."""
        part = self._part(errand)
        final, there = self._final_name(errand, part, "looking", 0)
        if there:
            self._files.delete(part)
            return Sent(final, errand.size, there, 0)
        self._put(errand, part)
        errand.tell("checking")
        self._files.make_sure(part, errand)
        if not is_still_here():
            self._files.delete(part)
            return None
        errand.tell("renaming")
        return Sent(self._move(errand, part), errand.size, there, 0)

    def _part(self, errand: Errand) -> str:
        """Path of the hidden temporary name. Nextcloud refuses names that end in `.part`."""
        return errand.path(hidden_name(errand.name, f".{self._device}.partial"))

    def _put(self, errand: Errand, path: str) -> None:
        answer = self._files.put(self._files.url(path), pieces(errand, 0, errand.size), errand.size, {})
        if answer.status_code not in (200, 201, 204):
            raise self._files.refused(answer, "write the file", path)

    def _move(self, errand: Errand, part: str) -> str:
        """Gives the part its final name, and looks at it. Raises FileTrouble."""
        for tries_left in reversed(range(RENAMES)):
            final, there = self._final_name(errand, part, "renaming", errand.size)
            if there:
                self._files.delete(part)
                return final
            path = errand.path(final)
            errand.memory.note(final)
            headers = {"Destination": self._files.url(path), "Overwrite": "F"}
            answer = self._files.client.request("MOVE", self._files.url(part), headers=headers)
            if answer.status_code == 412 and tries_left:  # taken meanwhile (RFC 4918, 9.9.4)
                continue
            if answer.status_code not in (201, 204):
                raise self._files.refused(answer, "give the file its final name", final)
            self._files.make_sure(path, errand)
            return final
        raise AssertionError("the last try returns or raises")

    def _final_name(self, errand: Errand, part: str, step: Step, done: int) -> tuple[str, bool]:
        def is_ours(candidate: str) -> bool:
            return candidate == errand.memory.renamed and self._files.look(part) is None

        return self._files.free_name(errand, errand.telling(step, done), is_ours)
