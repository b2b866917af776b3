"""Installing on an internal disk: which disks there are, and starting it. The status says how far it is."""

from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.firmware.disk_install import Installer
from allegro.storage.disks import Disk


class DiskAnswer(BaseModel):
    """A whole disk."""

    name: str = Field(description="Name by which it is chosen")
    path: str
    size: int = Field(description="Bytes")
    model: str
    serial: str
    transport: str = Field(description="usb, sata, nvme, …; empty if not known")
    removable: bool = Field(description="A stick, or a disk on USB")
    holds: list[str] = Field(description="What lies on it and would be lost, in plain words")

    @classmethod
    def of(cls, disk: Disk) -> Self:
        """The disk as the API shows it."""
        return cls(
            name=disk.name,
            path=disk.path,
            size=disk.size,
            model=disk.model,
            serial=disk.serial,
            transport=disk.transport,
            removable=disk.removable,
            holds=list(disk.holds),
        )


class CandidateAnswer(DiskAnswer):
    """A disk that the device could be installed on, or not."""

    sequence: int = Field(
        description="Number that no other disk has had since the start; a new one each time it is plugged in"
    )
    objections: list[str] = Field(description="Why it must not be overwritten; empty if it may")


class InstallAnswer(BaseModel):
    """What can be installed where."""

    offered: bool = Field(
        description="The device runs from a stick, and there is an internal disk that can take it"
    )
    running_from: DiskAnswer | None = Field(description="The disk that the device runs from, if it is known")
    disks: list[CandidateAnswer] = Field(description="All other disks")


class InstallRequest(BaseModel):
    """Where to install."""

    model_config = ConfigDict(extra="forbid")

    disk: str = Field(description="Name of the disk; everything on it will be lost")
    confirm: str = Field(description="The same name again, as the user's own word")
    sequence: int = Field(
        default=0, ge=0, le=2**63 - 1, description="As it was listed; 0: whichever disk has the name now"
    )


class InstallStarted(BaseModel):
    """What has begun."""

    disk: DiskAnswer


def router(installer: Installer) -> APIRouter:
    """GET and POST /install."""
    routes = noun("install")

    @routes.get("/install", dependencies=[requires("viewer")])
    def overview() -> InstallAnswer:
        """The disks, what speaks against each, and whether installing is offered."""
        found = installer.overview()
        return InstallAnswer(
            offered=found.offered,
            running_from=DiskAnswer.of(found.running) if found.running else None,
            disks=[
                CandidateAnswer(
                    **DiskAnswer.of(each.disk).model_dump(),
                    sequence=each.sequence,
                    objections=list(each.objections),
                )
                for each in found.candidates
            ],
        )

    @routes.post("/install", dependencies=[requires("admin")], status_code=202)
    def start(request: InstallRequest) -> InstallStarted:
        """Begins to copy the running system to a disk. The status shows it as the action `install`."""
        disk = installer.start(request.disk, request.confirm, request.sequence)
        return InstallStarted(disk=DiskAnswer.of(disk))

    return routes
