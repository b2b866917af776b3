"""Sends files to S3-compatible storage so that each is there once and whole, whatever breaks in between.

What is sent is seen by nobody before it is complete: a small file comes by one PUT, a larger one in parts,
which the server puts together at the end. Both only if the name is free (`If-None-Match: *`). Each request is
signed together with the SHA-256 of its content, so the server refuses what arrives otherwise. The id of an
upload in parts is noted before its first part: a later try goes on with it, or has it thrown away there.

Amazon S3 API Reference: PutObject, CreateMultipartUpload, UploadPart, ListParts, CompleteMultipartUpload,
ListMultipartUploads, AbortMultipartUpload; limits: S3 User Guide, "Amazon S3 multipart upload limits".
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import httpx

from allegro.export.errand import Errand, trial_errand
from allegro.export.failures import FileTrouble
from allegro.export.http_files import OVERWRITES, HttpLane, below, connected, nobody_has, pieces
from allegro.export.s3_files import TAKEN, S3Files, Signature, Stored, Upload, UploadGone
from allegro.export.s3_parts import Part, digests, parts_of
from allegro.export.way import Lane, Sent, Trial
from allegro.settings.model import Export

TRIES = 3
"""The name may be taken by somebody else between the look and the upload."""

BEGUN = "?"
"""Noted as the id before the server is asked for one: its answer may be lost."""


class S3Way:
    """The server."""

    def __init__(self, export: Export) -> None:
        self._export = export

    @contextlib.contextmanager
    def lanes(self, files: int) -> Iterator[Sequence[Lane]]:
        """One connection. Raises ServerTrouble."""
        export = self._export
        with connected(export, Signature(export.username, export.password, export.region)) as client:
            there = S3Files(client, export.url)
            there.look_for_nothing()
            yield [S3Lane(there)]


@dataclass(frozen=True)
class Noted:
    """What an earlier try has noted: the name it was about to give; id and path of its upload in parts."""

    name: str = ""
    upload: str = ""
    path: str = ""

    @classmethod
    def of(cls, text: str) -> "Noted":
        """As `text` says it."""
        return cls(*text.split("\n")[:3])

    @property
    def text(self) -> str:
        """As it is remembered."""
        return "\n".join((self.name, self.upload, self.path)) if self.upload else self.name


class S3Lane(HttpLane):
    """One connection. Raises httpx.HTTPError for what breaks it."""

    def __init__(self, files: S3Files) -> None:
        self._files = files

    def make_directory(self, directory: str) -> None:
        """There are none: a name may hold slashes."""

    def try_out(self, directory: str, text: str) -> Trial:
        """See `Lane`: in parts, and whole. A test file of before is replaced where the server removes it."""
        errand = trial_errand(text, below(directory))
        notes = []
        if not self._files.forget(self._files.begin(errand.path(nobody_has()))):
            notes.append("The server forgets no parts: those of an upload that is given up stay there.")
        self._files.delete(errand.path(errand.name))
        name, there = self._free_name(errand, Noted())
        if not there:
            upload = self._files.begin(errand.path(name))
            whole = Part(1, 0, errand.size)
            tag = self._send_part(errand, upload, whole)
            if not self._has(errand, whole, self._files.parts(upload)):
                notes.append(
                    "An interrupted upload will begin anew: the server does not say which parts it has."
                )
            if not self._files.complete(upload, {1: tag}):
                raise _taken(name)
        self._files.make_sure(errand.path(name), errand)
        if self._put(errand, name):
            notes.append(OVERWRITES)
        return Trial(errand.path(name), tuple(notes))

    def bring(self, errand: Errand, is_still_here: Callable[[], bool]) -> Sent | None:
        """None: it was deleted here meanwhile, and there, too."""
        noted = Noted.of(errand.memory.renamed)
        if noted.upload == BEGUN:
            self.throw_away(noted.text)
            noted = Noted()
        for _ in range(TRIES):
            name, there = self._free_name(errand, noted)
            upload = Upload(errand.path(noted.name), noted.upload) if noted.upload else None
            if upload is not None and (there or noted.name != name):
                self._files.forget(upload)
                upload = None
            if there:
                return Sent(name, errand.size, already_there=True, resumed_at=0)
            resumed_at = 0
            if len(parts_of(errand.size)) == 1:
                errand.memory.note(name)
                is_done = self._put(errand, name)
            else:
                upload, tags, resumed_at = self._send_parts(errand, name, upload)
                if not is_still_here():
                    self._files.forget(upload)
                    return None
                errand.tell("renaming")
                is_done = self._files.complete(upload, tags)
                if not is_done:
                    self._files.forget(upload)
            noted = Noted()
            if is_done:
                errand.tell("checking")
                self._files.make_sure(errand.path(name), errand)
                if not is_still_here():
                    self._files.delete(errand.path(name))
                    return None
                return Sent(name, errand.size, already_there=False, resumed_at=resumed_at)
            errand.memory.note("")  # what has this name now is somebody else's
        raise _taken(errand.name)

    def throw_away(self, note: str) -> None:
        """See `Lane`."""
        noted = Noted.of(note)
        begun = self._files.uploads_to(noted.path) if noted.upload == BEGUN else [noted.upload]
        for each in begun:
            self._files.forget(Upload(noted.path, each))

    def _free_name(self, errand: Errand, noted: Noted) -> tuple[str, bool]:
        def is_ours(candidate: str) -> bool:
            return candidate == noted.name and not (noted.upload and self._is_open(errand, noted))

        return self._files.free_name(errand, errand.telling("looking", 0), is_ours)

    def _is_open(self, errand: Errand, noted: Noted) -> bool:
        try:
            self._files.parts(Upload(errand.path(noted.name), noted.upload))
        except UploadGone:
            return False
        return True

    def _put(self, errand: Errand, name: str) -> bool:
        """Writes it by one request. False: there is something under this name by now. Raises FileTrouble."""
        sha256 = digests(errand, 0, errand.size).sha256
        path = errand.path(name)

        def put(condition: dict[str, str]) -> httpx.Response:
            content = pieces(errand, 0, errand.size)
            told = {**condition, "x-amz-content-sha256": sha256}
            return self._files.put(self._files.url(path), content, errand.size, told)

        answer = self._files.if_free(put)
        if answer.status_code in TAKEN:
            return False
        if answer.status_code != 200:
            raise self._files.refused(answer, "write the file", path)
        return True

    def _send_parts(
        self, errand: Errand, name: str, upload: Upload | None
    ) -> tuple[Upload, dict[int, str], int]:
        """Sends what the upload lacks; with the tags of all parts, and how many bytes had been there."""
        present: dict[int, Stored] = {}
        if upload is not None:
            try:
                present = self._files.parts(upload)
            except UploadGone:
                upload = None
        if upload is None:
            path = errand.path(name)
            errand.memory.note(Noted(name, BEGUN, path).text)
            upload = self._files.begin(path)
            errand.memory.note(Noted(name, upload.id, path).text)
        tags: dict[int, str] = {}
        kept = 0
        for part in parts_of(errand.size):
            if self._has(errand, part, present):
                tags[part.number] = present[part.number].tag
                kept += part.length
                errand.tell("resuming", kept)
        for part in parts_of(errand.size):
            if part.number not in tags:
                tags[part.number] = self._send_part(errand, upload, part)
        return upload, tags, kept

    def _send_part(self, errand: Errand, upload: Upload, part: Part) -> str:
        content = pieces(errand, part.start, part.length)
        sha256 = digests(errand, part.start, part.length).sha256
        return self._files.put_part(upload, part, content, sha256)

    def _has(self, errand: Errand, part: Part, present: dict[int, Stored]) -> bool:
        """Whether the server says that it has this part with this content."""
        found = present.get(part.number)
        if found is None or found.size != part.length:
            return False
        return found.tag.strip('"') == digests(errand, part.start, part.length).md5


def _taken(name: str) -> FileTrouble:
    return FileTrouble(
        f"Somebody else takes each name that this file is to get, {TRIES} times by now. It is tried again.",
        place=name,
    )
