"""Captures as files: list, download, delete."""

from collections.abc import Mapping
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from allegro.api.errors import ERRORS
from allegro.api.judge import requires
from allegro.errors import NotFound
from allegro.storage.capture_files import FileStore
from allegro.words import utc

MEDIA_TYPE = "application/vnd.tcpdump.pcap"
"""As registered with IANA; it covers pcap and pcapng."""

Directory = Literal["storage", "upload"]


class FileAnswer(BaseModel):
    """One finished capture."""

    name: str
    directory: Directory = Field(description="upload: it is still to be sent to the SFTP server")
    size: int = Field(description="Bytes")
    modified_time: str = Field(description="When it was completed, ISO 8601, UTC")


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
    def files() -> list[FileAnswer]:
        """All finished captures, by name."""
        found = [
            FileAnswer(
                name=file.name, directory=directory, size=file.size, modified_time=utc(file.modified_ns)
            )
            for directory, store in stores.items()
            for file in store.all()
        ]
        return sorted(found, key=lambda file: file.name)

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
