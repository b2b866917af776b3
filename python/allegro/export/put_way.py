"""Sends files by plain HTTP: a server that takes PUT and answers HEAD and GET (RFC 9110), and nothing else.

There is no temporary name and nothing that moves one. What can be promised: a look before, a PUT only if the
name is free (`If-None-Match: *`), a look at the length afterwards, and only then the file goes here. Whether
others see a part meanwhile is the server's affair. What broke off begins anew under the same name, if what is
there is a beginning of this file, under the name that was noted before.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import eq

import httpx

from allegro.export.errand import Errand, trial_errand
from allegro.export.failures import FileTrouble, ServerTrouble
from allegro.export.http_files import (
    ONLY_IF_FREE,
    OVERWRITES,
    HttpFiles,
    HttpLane,
    below,
    connected,
    password_of,
    pieces,
)
from allegro.export.way import Lane, Sent, Trial
from allegro.settings.model import Export

TRIES = 3
"""The name may be taken by somebody else between the look and the PUT."""

WRITTEN = (200, 201, 204)
"""RFC 9110, 9.3.4."""


class PutWay:
    """The server."""

    def __init__(self, export: Export) -> None:
        self._export = export

    @contextlib.contextmanager
    def lanes(self, files: int) -> Iterator[Sequence[Lane]]:
        """One connection. Raises ServerTrouble."""
        with connected(self._export, password_of(self._export)) as client:
            there = PutFiles(client, self._export.url, "a server that takes files by PUT")
            there.look_for_nothing()
            yield [PutLane(there)]


class PutFiles(HttpFiles):
    """Files of a server that makes no directories."""

    def refused(self, answer: httpx.Response, doing: str, place: str) -> FileTrouble | ServerTrouble:
        """See `HttpFiles`. nginx answers 500 where the directory is missing."""
        if answer.request.method == "PUT" and answer.status_code in (404, 409, 500):
            return FileTrouble(
                f"The server refused to {doing} (HTTP {answer.status_code}).",
                place=place,
                remedy="Is the directory there? By PUT alone the device cannot make it.",
            )
        return super().refused(answer, doing, place)


class PutLane(HttpLane):
    """One connection. Raises httpx.HTTPError for what breaks it."""

    def __init__(self, files: PutFiles) -> None:
        self._files = files

    def make_directory(self, directory: str) -> None:
        """It is there, or the server makes it with the first file: there is no request for it."""

    def try_out(self, directory: str, text: str) -> Trial:
        """See `Lane`. A test file of before is replaced where the server removes it."""
        errand = trial_errand(text, below(directory))
        self._files.delete(errand.path(errand.name))
        final, _ = self._bring(errand)
        path = errand.path(final)
        again = self._put(errand, path, ONLY_IF_FREE)
        notes = ["An interrupted upload will begin anew, and a part of it may be seen under its final name."]
        if again.status_code in WRITTEN:
            notes.append(OVERWRITES)
        return Trial(path, tuple(notes))

    def bring(self, errand: Errand, is_still_here: Callable[[], bool]) -> Sent | None:
        """See `HttpLane`."""
        final, there = self._bring(errand)
        if not there and not is_still_here():
            self._files.delete(errand.path(final))
            return None
        return Sent(final, errand.size, there, 0)

    def _bring(self, errand: Errand) -> tuple[str, bool]:
        """The name under which the server has it whole now, and whether it had it before."""
        noted = errand.memory.renamed
        only_if = self._of_a_part(errand)
        for tries_left in reversed(range(TRIES)):
            if only_if is None:
                looking = errand.telling("looking", 0)
                final, there = self._files.free_name(errand, looking, partial(eq, noted))
                if there:
                    return final, True
                only_if = ONLY_IF_FREE
                errand.memory.note(final)
            else:
                final = noted
            path = errand.path(final)
            answer = self._put(errand, path, only_if)
            only_if = None
            if answer.status_code == 412 and tries_left:
                noted = ""  # what has this name now is somebody else's
                errand.memory.note(noted)
                continue
            if answer.status_code not in WRITTEN:
                raise self._files.refused(answer, "write the file", path)
            errand.tell("checking")
            self._files.make_sure(path, errand)
            return final, False
        raise AssertionError("the last try returns or raises")

    def _of_a_part(self, errand: Errand) -> dict[str, str] | None:
        """The condition on which what an earlier try has left is written anew; None: it has left nothing."""
        if not errand.memory.renamed:
            return None
        path = errand.path(errand.memory.renamed)
        seen = self._files.look(path)
        if seen is None or seen >= errand.size:
            return None
        begins = self._files.begins(path, errand)
        if begins is None or not 0 <= begins < errand.size:
            return None
        tag = self._files.client.head(self._files.url(path)).headers.get("ETag", "")
        return {"If-Match": tag} if tag and not tag.startswith("W/") else {}

    def _put(self, errand: Errand, path: str, headers: dict[str, str]) -> httpx.Response:
        content = pieces(errand, 0, errand.size)
        return self._files.put(self._files.url(path), content, errand.size, headers)
