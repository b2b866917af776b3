"""Captures as files: list, download, delete."""

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from allegro.api.errors import ERRORS
from allegro.api.judge import requires
from allegro.errors import NotFound
from allegro.storage.capture_files import FileInfo, FileStore
from allegro.trigger.jobs import MAX_ID
from allegro.words import utc

MEDIA_TYPE = "application/vnd.tcpdump.pcap"
"""As registered with IANA; it covers pcap and pcapng."""

MOST_NAMES = 100
"""So many files one request may ask for by their names."""

Directory = Literal["storage", "upload"]
Order = Literal["name", "newest"]


class FileAnswer(BaseModel):
    """One finished capture."""

    name: str
    directory: Directory = Field(description="upload: it is still to be sent to the SFTP server")
    size: int = Field(description="Bytes")
    modified_time: str = Field(description="When it was completed, ISO 8601, UTC")

    @classmethod
    def of(cls, file: FileInfo, directory: Directory) -> "FileAnswer":
        """The file as the API shows it."""
        return cls(name=file.name, directory=directory, size=file.size, modified_time=utc(file.modified_ns))


def router(stores: Mapping[Directory, FileStore]) -> APIRouter:
    """GET /files, GET and DELETE /files/{name}. A name is looked for in the order of `stores`."""
    routes = APIRouter(tags=["files"], responses=ERRORS)

    def holder(name: str) -> FileStore:
        for store in stores.values():
            try:
                store.path(name)
            except NotFound:
                continue
            return store
        raise NotFound(f"There is no file {name}.", place="name")

    @routes.get("/files", dependencies=[requires("viewer")])
    def files(
        limit: Annotated[int | None, Query(ge=1, le=1000, description="At most so many; else all")] = None,
        offset: Annotated[int, Query(ge=0, le=MAX_ID, description="Leaves out so many first")] = 0,
        order: Annotated[Order, Query(description="By name, or the last completed first")] = "name",
        name: Annotated[
            list[str] | None,
            Query(max_length=MOST_NAMES, description="Only files of these names, if they are there"),
        ] = None,
    ) -> list[FileAnswer]:
        """Finished captures, all or a part of them; a part that is shorter than `limit` is the last."""
        found = [
            (file, directory)
            for directory, store in stores.items()
            for file in (store.all() if name is None else store.named(name))
        ]
        if order == "newest":
            found.sort(key=lambda each: (-each[0].modified_ns, each[0].name))
        else:
            found.sort(key=lambda each: each[0].name)
        end = None if limit is None else offset + limit
        return [FileAnswer.of(file, directory) for file, directory in found[offset:end]]

    @routes.get(
        "/files/{name}",
        dependencies=[requires("capture")],
        response_class=FileResponse,
        responses={200: {"content": {MEDIA_TYPE: {}}, "description": "The file; ranges are possible"}},
    )
    def download(name: str) -> FileResponse:
        """The file itself."""
        return FileResponse(holder(name).path(name), media_type=MEDIA_TYPE, filename=name)

    @routes.delete("/files/{name}", dependencies=[requires("capture")], status_code=204)
    def delete(name: str) -> None:
        """Deletes the file; one in the upload directory is then not sent."""
        holder(name).delete(name)

    return routes
