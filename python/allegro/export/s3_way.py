"""Sends files to S3-compatible storage so that each is there once and whole, whatever breaks in between.

What is sent is seen by nobody before it is complete: a small file comes by one PUT, a larger one in parts,
which the server puts together at the end. Both only if the name is free (`If-None-Match: *`). Each request is
signed together with the SHA-256 of its content, so the server refuses what arrives otherwise. The id of an
upload in parts is noted before its first part: a later try goes on with it, or has it forgotten there.

Amazon S3 API Reference: PutObject, CreateMultipartUpload, UploadPart, ListParts, CompleteMultipartUpload,
AbortMultipartUpload; limits: S3 User Guide, "Amazon S3 multipart upload limits".
"""

import contextlib
import io
import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import httpx

from allegro.export.failures import FileTrouble
from allegro.export.http_files import (
    OVERWRITES,
    below,
    connected,
    disposed,
    nobody_has,
    nobody_looks,
    opened,
    pieces,
    size_of,
)
from allegro.export.pace import Pace
from allegro.export.s3_files import TAKEN, S3Files, Signature, Stored, Upload, UploadGone
from allegro.export.s3_parts import Part, digests, parts_of
from allegro.export.way import TEST_FILE, Lane, Memory, Progress, Sent, Trial
from allegro.settings.model import Export

TRIES = 3
"""The name may be taken by somebody else between the look and the upload."""


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
    """What an earlier try has noted: the name it was about to give, and the id of its upload in parts."""

    name: str = ""
    upload: str = ""

    @classmethod
    def of(cls, text: str) -> "Noted":
        """As `text` says it."""
        name, _, upload = text.partition("\n")
        return cls(name, upload)

    @property
    def text(self) -> str:
        """As it is remembered."""
        return f"{self.name}\n{self.upload}" if self.upload else self.name


@dataclass(frozen=True)
class Errand:
    """One file: `source` has `size` bytes, and is to be `name` in `directory`."""

    source: BinaryIO
    size: int
    name: str
    directory: str
    progress: Progress
    memory: Memory
    pace: Pace

    def path(self, name: str) -> str:
        """Of this name in the directory."""
        return posixpath.join(self.directory, name)


class S3Lane:
    """One connection. Raises httpx.HTTPError for what breaks it."""

    def __init__(self, files: S3Files) -> None:
        self._files = files

    def make_directory(self, directory: str) -> None:
        """There are none: a name may hold slashes."""

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
            job = Errand(source, size, file.name, below(directory), progress, memory, pace)
            sent = self._bring(job, file.exists)
            if sent is None:
                return None
            progress("removing", size, size)
            disposed(file, dispose)
            progress("done", size, size)
            return sent

    def try_out(self, directory: str, text: str) -> Trial:
        """See `Lane`: in parts, and whole. A test file of before is replaced where the server removes it."""
        content = text.encode()
        source = io.BytesIO(content)
        job = Errand(source, len(content), TEST_FILE, below(directory), nobody_looks, Memory(), Pace())
        notes = []
        if not self._files.forget(self._files.begin(job.path(nobody_has()))):
            notes.append("The server forgets no parts: those of an upload that is given up stay there.")
        self._files.delete(job.path(TEST_FILE))
        name, there = self._free_name(job, Noted())
        if not there:
            upload = self._files.begin(job.path(name))
            whole = Part(1, 0, job.size)
            tag = self._send_part(job, upload, whole)
            if not self._has(job, whole, self._files.parts(upload)):
                notes.append(
                    "An interrupted upload will begin anew: the server does not say which parts it has."
                )
            if not self._files.complete(upload, {1: tag}):
                raise _taken(name)
        self._files.make_sure(job.path(name), source, job.size)
        if self._put(job, name):
            notes.append(OVERWRITES)
        return Trial(job.path(name), tuple(notes))

    def _bring(self, job: Errand, is_still_here: Callable[[], bool]) -> Sent | None:
        """None: it was deleted here meanwhile, and there, too."""
        noted = Noted.of(job.memory.renamed)
        for _ in range(TRIES):
            name, there = self._free_name(job, noted)
            upload = Upload(job.path(noted.name), noted.upload) if noted.upload else None
            if upload is not None and (there or noted.name != name):
                self._files.forget(upload)
                upload = None
            if there:
                return Sent(name, job.size, already_there=True, resumed_at=0)
            resumed_at = 0
            if len(parts_of(job.size)) == 1:
                job.memory.note(name)
                is_done = self._put(job, name)
            else:
                upload, tags, resumed_at = self._send_parts(job, name, upload)
                if not is_still_here():
                    self._files.forget(upload)
                    return None
                job.progress("renaming", job.size, job.size)
                is_done = self._files.complete(upload, tags)
                if not is_done:
                    self._files.forget(upload)
            noted = Noted()
            if is_done:
                job.progress("checking", job.size, job.size)
                self._files.make_sure(job.path(name), job.source, job.size)
                if not is_still_here():
                    self._files.delete(job.path(name))
                    return None
                return Sent(name, job.size, already_there=False, resumed_at=resumed_at)
            job.memory.note("")  # what has this name now is somebody else's
        raise _taken(job.name)

    def _free_name(self, job: Errand, noted: Noted) -> tuple[str, bool]:
        def is_ours(candidate: str) -> bool:
            return candidate == noted.name and not (noted.upload and self._is_open(job, noted))

        tell = partial(job.progress, "looking", 0, job.size)
        return self._files.free_name(job.source, job.size, job.directory, job.name, tell, is_ours)

    def _is_open(self, job: Errand, noted: Noted) -> bool:
        try:
            self._files.parts(Upload(job.path(noted.name), noted.upload))
        except UploadGone:
            return False
        return True

    def _put(self, job: Errand, name: str) -> bool:
        """Writes it by one request. False: there is something under this name by now. Raises FileTrouble."""
        sha256 = digests(job.source, 0, job.size).sha256
        path = job.path(name)

        def put(condition: dict[str, str]) -> httpx.Response:
            content = pieces(job.source, 0, job.size, job.size, job.progress, job.pace)
            told = {**condition, "x-amz-content-sha256": sha256}
            return self._files.put(self._files.url(path), content, job.size, told)

        answer = self._files.if_free(put)
        if answer.status_code in TAKEN:
            return False
        if answer.status_code != 200:
            raise self._files.refused(answer, "write the file", path)
        return True

    def _send_parts(
        self, job: Errand, name: str, upload: Upload | None
    ) -> tuple[Upload, dict[int, str], int]:
        """Sends what the upload lacks; with the tags of all parts, and how many bytes had been there."""
        present: dict[int, Stored] = {}
        if upload is not None:
            try:
                present = self._files.parts(upload)
            except UploadGone:
                upload = None
        if upload is None:
            upload = self._files.begin(job.path(name))
            job.memory.note(Noted(name, upload.id).text)
        tags: dict[int, str] = {}
        kept = 0
        for part in parts_of(job.size):
            if self._has(job, part, present):
                tags[part.number] = present[part.number].tag
                kept += part.length
                job.progress("resuming", kept, job.size)
        for part in parts_of(job.size):
            if part.number not in tags:
                tags[part.number] = self._send_part(job, upload, part)
        return upload, tags, kept

    def _send_part(self, job: Errand, upload: Upload, part: Part) -> str:
        content = pieces(job.source, part.start, part.length, job.size, job.progress, job.pace)
        sha256 = digests(job.source, part.start, part.length).sha256
        return self._files.put_part(upload, part, content, sha256)

    def _has(self, job: Errand, part: Part, present: dict[int, Stored]) -> bool:
        """Whether the server says that it has this part with this content."""
        found = present.get(part.number)
        if found is None or found.size != part.length:
            return False
        return found.tag.strip('"') == digests(job.source, part.start, part.length).md5


def _taken(name: str) -> FileTrouble:
    return FileTrouble(
        f"Somebody else takes each name that this file is to get, {TRIES} times by now. It is tried again.",
        place=name,
    )
