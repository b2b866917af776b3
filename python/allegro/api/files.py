"""Captures as files: list, search, download one or several, rename, move to the upload and back, delete."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import MalformedRangeHeader
from starlette.types import Receive, Scope, Send

from allegro.api.audit import say
from allegro.api.head import wants_no_body
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.errors import NotFound, Unavailable
from allegro.storage.captures import Captures
from allegro.storage.file_search import Directory, Listed, Order, Search, part, search_words
from allegro.trigger.jobs import MAX_ID
from allegro.words import utc

MEDIA_TYPE = "application/vnd.tcpdump.pcap"
"""As registered with IANA; it covers pcap and pcapng."""

ZIP = "application/zip"

MOST_NAMES = 100
"""So many files one request may ask for by their names."""

_LONGEST_SEARCH = 255
_LONGEST_CURSOR = 2048

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FileAnswer(BaseModel):
    """One finished capture."""

    name: str
    directory: Directory = Field(
        description="upload: it is still to be sent to the server; sent: the server has it;"
        " disk: it lies on the disk that was chosen for captures"
    )
    size: int = Field(description="Bytes")
    modified_time: str = Field(description="When it was completed, ISO 8601, UTC")
    cursor: str = Field(description="As `after` it asks for what comes behind this file")

    @classmethod
    def of(cls, listed: Listed) -> Self:
        """The file as the API shows it."""
        file = listed.file
        return cls(
            name=file.name,
            directory=listed.directory,
            size=file.size,
            modified_time=utc(file.modified_ns),
            cursor=listed.cursor,
        )


class FileChange(BaseModel):
    """What is to become of a file; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, description="Another name, which no other capture has or had")
    directory: Literal["storage", "upload"] | None = Field(
        default=None, description="upload: it is to be sent; storage: it stays here"
    )


class Download(FileResponse):
    """A file that is open from the beginning: deleted or renamed meanwhile, it arrives all the same.

    If its disk is pulled, or has a bad sector, the answer breaks off, which is seen by the length that it was
    to have.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._file = path.open("rb")
        descriptor = self._file.fileno()
        super().__init__(
            f"/proc/self/fd/{descriptor}",
            media_type=MEDIA_TYPE,
            filename=name,
            stat_result=os.fstat(descriptor),
        )

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:  # it is as if it was not there (RFC 9110, 14.2)
            return []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        with self._file, _broken_off(self.filename or ""):
            await super().__call__(scope, receive, send)


class Archive(StreamingResponse):
    """Files in one ZIP archive; it breaks off, without its directory at the end, where one cannot be read."""

    async def stream_response(self, send: Send) -> None:  # noqa: D102
        with _broken_off("The archive"):
            await super().stream_response(send)


@contextmanager
def _broken_off(what: str) -> Iterator[None]:
    """Of an answer that has begun no more can be told to whoever reads it: the log has the reason."""
    try:
        yield
    except OSError as error:
        log.warning("%s could not be sent to its end: the disk does not give it (%s)", what, error.strerror)


def router(captures: Captures) -> APIRouter:
    """GET /files, GET, PATCH and DELETE /files/{name}, GET /archive."""
    routes = noun("files")

    @routes.get("/files", dependencies=[requires("viewer")])
    def files(
        limit: Annotated[int | None, Query(ge=1, le=1000, description="At most so many; else all")] = None,
        offset: Annotated[int, Query(ge=0, le=MAX_ID, description="Leaves out so many first")] = 0,
        after: Annotated[
            str, Query(max_length=_LONGEST_CURSOR, description="Only what comes behind this `cursor`")
        ] = "",
        order: Annotated[Order, Query(description="By name, by time of completion, or by size")] = "name",
        search: Annotated[
            str,
            Query(max_length=_LONGEST_SEARCH, description="Only names with all these words, in any case"),
        ] = "",
        since: Annotated[
            datetime | None, Query(description="Only what was completed then or later; UTC without a zone")
        ] = None,
        until: Annotated[datetime | None, Query(description="Only what was completed before")] = None,
        name: Annotated[
            list[str] | None,
            Query(max_length=MOST_NAMES, description="Only files of these names, if they are there"),
        ] = None,
    ) -> list[FileAnswer]:
        """Finished captures, all or a part of them; a part that is shorter than `limit` is the last."""
        wanted = Search(search_words(search), _ns(since), _ns(until))
        found = captures.all() if name is None else captures.named(name)
        shown = part(found, wanted, order, after=after, offset=offset, limit=limit)
        return [FileAnswer.of(listed) for listed in shown]

    @routes.get(
        "/files/{name}",
        dependencies=[requires("capture")],
        response_class=FileResponse,
        responses={200: {"content": {MEDIA_TYPE: {}}, "description": "The file; ranges are possible"}},
    )
    def download(name: str) -> FileResponse:
        """The file itself. An interrupted download is resumed by `Range` with `If-Range`."""
        try:
            return Download(captures.path(name), name)
        except FileNotFoundError:
            raise NotFound(f"There is no file {name}.", place="name") from None
        except OSError as error:
            raise Unavailable(f"{name} cannot be read ({error.strerror}).") from error

    @routes.patch("/files/{name}", dependencies=[requires("capture")])
    def change(name: str, wanted: FileChange, request: Request) -> FileAnswer:
        """Renames the file, never over another one, or moves it into the upload directory or out of it."""
        moved = captures.move(name, wanted.name, wanted.directory)
        done = [f"Renamed {name} to {moved.file.name}"] if moved.file.name != name else []
        done += [f"Moved {moved.file.name} to {moved.directory}"] if wanted.directory else []
        say(request, "; ".join(done) or f"Left {name} as it is")
        return FileAnswer.of(moved)

    @routes.delete("/files/{name}", dependencies=[requires("capture")], status_code=204)
    def delete(name: str) -> None:
        """Deletes the file; one in the upload directory is then not sent."""
        captures.delete(name)

    @routes.get(
        "/archive",
        dependencies=[requires("capture")],
        response_class=StreamingResponse,
        responses={200: {"content": {ZIP: {}}, "description": "A ZIP archive, not compressed"}},
    )
    def archive(
        name: Annotated[
            list[str], Query(min_length=1, max_length=MOST_NAMES, description="Which files, by their names")
        ],
        request: Request,
    ) -> StreamingResponse:
        """Several files as one ZIP archive, which is made while it is sent."""
        paths = [captures.path(each) for each in dict.fromkeys(name)]
        # The number first: of many names only the first ones fit into the list of events.
        count = f"{len(paths)} {'file' if len(paths) == 1 else 'files'}"
        say(request, f"Downloaded {count} as an archive: {', '.join(path.name for path in paths)}")
        return Archive(
            () if wants_no_body(request.scope) else _zip(paths),
            media_type=ZIP,
            headers={"Content-Disposition": 'attachment; filename="captures.zip"'},
        )

    return routes


def _zip(paths: Sequence[Path]) -> Iterator[bytes]:
    from allegro.storage.zip_stream import zip_stream  # with the first archive: a start does not need it

    return zip_stream(paths)


def _ns(moment: datetime | None) -> int | None:
    """ns since 1970."""
    if moment is None:
        return None
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (known - _EPOCH) // timedelta(microseconds=1) * 1000
