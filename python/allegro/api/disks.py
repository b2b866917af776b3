"""Disks for captures: what there is, which one is chosen, letting it go."""

from collections.abc import Callable
from typing import Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.audit import say, user_of
from allegro.api.errors import ERRORS
from allegro.api.judge import requires
from allegro.api.settings import Change
from allegro.settings.model import Settings
from allegro.storage.capture_files import FileStore
from allegro.storage.disk_care import DiskCare
from allegro.storage.volumes import Volume, objection


class VolumeAnswer(BaseModel):
    """A file system on a disk, or a disk without one."""

    uuid: str = Field(description="Id by which it is chosen; empty if it has none")
    path: str
    kind: str = Field(description="Kind of file system, such as ext4; empty if none is known")
    label: str
    size: int = Field(description="Bytes")
    model: str
    serial: str
    transport: str = Field(description="usb, sata, nvme, …; empty if not known")
    removable: bool = Field(description="A stick, or a disk on USB")
    objection: str = Field(description="Why captures cannot go to it; empty if they can")

    @classmethod
    def of(cls, volume: Volume, against: str) -> Self:
        """The file system as the API shows it."""
        return cls(
            uuid=volume.uuid,
            path=volume.path,
            kind=volume.kind,
            label=volume.label,
            size=volume.size,
            model=volume.disk.model,
            serial=volume.disk.serial,
            transport=volume.disk.transport,
            removable=volume.disk.removable,
            objection=against,
        )


class DisksAnswer(BaseModel):
    """Where captures go. The disk that the system runs from is not among `volumes`."""

    chosen: str = Field(description="Id of the file system for captures; empty: they stay on the device")
    used: bool = Field(description="The chosen one is there and takes captures")
    free: int | None = Field(description="Bytes on the chosen one; null unless it is used")
    reason: str = Field(description="Why captures do not get to the chosen one, in plain words; may be empty")
    volumes: list[VolumeAnswer]


class Choice(BaseModel):
    """Which one is to be used."""

    model_config = ConfigDict(extra="forbid")

    uuid: str = Field(max_length=64, pattern=r"^[0-9A-Za-z-]*$", description="Its id; empty: none")


def router(care: DiskCare, current: Callable[[], Settings], change: Change) -> APIRouter:
    """GET /disks, PUT /disks/chosen, POST /disks/remove."""
    routes = APIRouter(prefix="/disks", tags=["disks"], responses=ERRORS)

    def answer() -> DisksAnswer:
        chosen = current().storage.device
        volumes = care.volumes()
        place = str(care.disk.place)
        used = care.disk.mounted == chosen != "" and care.disk.is_usable()
        return DisksAnswer(
            chosen=chosen,
            used=used,
            free=_free(care) if used else None,
            reason=care.problem() or care.disk.reason,
            volumes=[VolumeAnswer.of(each, objection(each, volumes, place)) for each in volumes],
        )

    @routes.get("", dependencies=[requires("viewer")])
    def disks() -> DisksAnswer:
        """File systems on other disks, and what speaks against captures going to each."""
        return answer()

    @routes.put("/chosen", dependencies=[requires("admin")])
    def choose(choice: Choice, request: Request) -> DisksAnswer:
        """Captures go there from now on; those that lie on the device follow."""
        care.choose(choice.uuid, lambda: _keep(change, choice.uuid, user_of(request.scope)))
        say(
            request,
            f"Chose the disk {choice.uuid} for captures" if choice.uuid else "Chose no disk for captures",
        )
        return answer()

    @routes.post("/remove", dependencies=[requires("admin")])
    def remove(request: Request) -> DisksAnswer:
        """Writes what is left and lets the disk go, so that it can be pulled."""
        care.remove()
        say(request, "Let the disk for captures go")
        return answer()

    return routes


def _keep(change: Change, uuid: str, who: str) -> None:
    change({"storage": {"device": uuid}}, who=who)


def _free(care: DiskCare) -> int | None:
    try:
        return FileStore(care.disk.folder).free()
    except OSError:
        return None
