"""Disks for captures: what there is, which one is chosen, letting it go, formatting, naming."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.asker import SOURCE_HEADER, header
from allegro.api.audit import say, user_of
from allegro.api.install import DiskAnswer
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.api.settings import Change
from allegro.events.event import Note
from allegro.settings.model import Settings
from allegro.storage.disk_care import DiskCare
from allegro.storage.disk_formatter import Candidate, Formatter
from allegro.storage.disk_health import DiskHealth
from allegro.storage.formatting import Wish
from allegro.storage.known_disks import KnownDisk, Task
from allegro.storage.ring_care import RingCare
from allegro.storage.smart import Health
from allegro.storage.volumes import Volume
from allegro.words import utc_or_none


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
    ring_objection: str = Field(description="Why the packet ring cannot go to it; empty if it can")

    @classmethod
    def of(cls, volume: Volume, against: str, against_ring: str) -> Self:
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
            ring_objection=against_ring,
        )


class HealthAnswer(BaseModel):
    """What a disk says about its own health (SMART, NVMe)."""

    state: Literal["good", "failing", "unknown"]
    text: str = Field(description="The same in plain words")

    @classmethod
    def of(cls, health: Health) -> Self:
        """The health as the API shows it."""
        return cls(state=health.state, text=health.text)


class OwnDisk(DiskAnswer):
    """The disk that the system runs from."""

    health: HealthAnswer


class OtherDisk(DiskAnswer):
    """A whole disk, how it is, and whether it can be formatted."""

    health: HealthAnswer

    sequence: int = Field(
        description="Number that no other disk has had since the start; a new one each time it is plugged in"
    )
    objections: list[str] = Field(description="Why it cannot be formatted; empty if it can")


class KnownAnswer(BaseModel):
    """A file system that has a task, or had one; what is not known of it is empty."""

    uuid: str
    label: str
    model: str
    serial: str
    kind: str
    size: int = Field(description="Bytes")
    tasks: list[Literal["captures", "ring"]] = Field(description="What it is for now; may be empty")
    plugged_in: bool
    gone_since: str | None = Field(
        description="Since when it is missing (ISO 8601, UTC), as far as the device was on; null: it is not"
    )

    @classmethod
    def of(cls, disk: KnownDisk, tasks: Sequence[Task]) -> Self:
        """The disk as the API shows it."""
        values = asdict(disk)
        gone_ns = values.pop("gone_ns")
        return cls(**values, tasks=list(tasks), plugged_in=gone_ns is None, gone_since=utc_or_none(gone_ns))


class RingDiskAnswer(BaseModel):
    """The disk for the packet ring."""

    chosen: str = Field(description="Id of its file system; empty: the ring lies on the device's own disk")
    used: bool = Field(description="The recorder has the ring on the chosen one")
    size_mib: int = Field(description="Size of the ring on it")
    reason: str = Field(description="Why the ring is not on the chosen one, in plain words; may be empty")


class DisksAnswer(BaseModel):
    """Where captures go. The disk that the system runs from is not among `volumes`."""

    chosen: str = Field(description="Id of the file system for captures; empty: they stay on the device")
    used: bool = Field(description="The chosen one is there and takes captures")
    free: int | None = Field(description="Bytes on the chosen one; null unless it is used")
    reason: str = Field(description="Why captures do not get to the chosen one, in plain words; may be empty")
    ring: RingDiskAnswer
    volumes: list[VolumeAnswer]
    running_from: OwnDisk | None = Field(
        description="The disk that the system runs from, and that has the ring; null if it is not known"
    )
    disks: list[OtherDisk] = Field(description="All others")
    known: list[KnownAnswer] = Field(
        description="Those that have a task, or had one, also while they are not plugged in"
    )


class Choice(BaseModel):
    """Which one is to be used."""

    model_config = ConfigDict(extra="forbid")

    uuid: str = Field(max_length=64, pattern=r"^[0-9A-Za-z-]*$", description="Its id; empty: none")


class RingChoice(Choice):
    """Which one the packet ring is to lie on. What else is on it stays."""

    size_mib: int | None = Field(
        default=None, ge=16, le=64 * 1024 * 1024, description="Size of the ring there; null: what is free"
    )


class FormatRequest(BaseModel):
    """What to format, and what it is to become. Everything on it will be lost."""

    model_config = ConfigDict(extra="forbid")

    disk: str = Field(max_length=64, description="Name of the disk, such as sdb")
    confirm: str = Field(max_length=64, description="The same name again, as the user's own word")
    sequence: int = Field(
        default=0, ge=0, le=2**63 - 1, description="As it was listed; 0: whichever disk has the name now"
    )
    kind: Literal["exfat", "ext4"] = Field(
        default="exfat", description="exfat: read by Windows and macOS as well; ext4: by Linux only"
    )
    label: str = Field(default="ALLEGRO", max_length=64, description="Its name: 11 letters at most, ext4: 16")


class FormatStarted(BaseModel):
    """What has begun."""

    disk: DiskAnswer


class NewLabel(BaseModel):
    """A file system, and what it is to be called."""

    model_config = ConfigDict(extra="forbid")

    uuid: str = Field(max_length=64, pattern=r"^[0-9A-Za-z-]+$", description="Its id")
    label: str = Field(max_length=64, description="11 letters at most, ext4: 16")


def router(
    care: DiskCare,
    ring: RingCare,
    formatter: Formatter,
    health: DiskHealth,
    current: Callable[[], Settings],
    change: Change,
    note: Note,
) -> APIRouter:
    """GET /disks, PUT /disks/chosen, POST /disks/remove, the same for /disks/ring, POST /disks/format,
    PUT /disks/label, DELETE /disks/known/ID.
    """
    routes = noun("disks", "/disks")

    def shown(each: Candidate) -> dict[str, object]:
        said = HealthAnswer.of(health.of(each.disk.name, each.sequence))
        return {**DiskAnswer.of(each.disk).model_dump(), "health": said}

    def answer() -> DisksAnswer:
        chosen = current().storage.device
        volumes = care.volumes()
        care.known.look(lambda: volumes)
        care.known.note(volumes)
        own, others = formatter.listed()
        used = care.disk.mounted == chosen != "" and care.disk.is_usable()
        return DisksAnswer(
            chosen=chosen,
            used=used,
            free=_free(care) if used else None,
            reason=care.problem() or care.disk.reason,
            ring=RingDiskAnswer(
                chosen=current().recording.ring_disk,
                used=ring.is_there(),
                size_mib=current().recording.ring_disk_mib,
                reason=ring.problem() or ring.pending(),
            ),
            volumes=[
                VolumeAnswer.of(each, care.disk.objection(each, volumes), ring.disk.objection(each, volumes))
                for each in volumes
            ],
            running_from=OwnDisk.model_validate(shown(own)) if own else None,
            disks=[
                OtherDisk.model_validate(
                    {**shown(each), "sequence": each.sequence, "objections": each.objections}
                )
                for each in others
            ],
            known=[KnownAnswer.of(disk, tasks) for disk, tasks in care.known.all()],
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

    @routes.put("/ring", dependencies=[requires("admin")])
    def choose_for_ring(choice: RingChoice, request: Request) -> DisksAnswer:
        """The packet ring lies there from now on, while it is plugged in; the one on the device stays, for
        when it is not."""

        def keep(size_mib: int) -> None:
            patch = {"ring_disk": choice.uuid, "ring_disk_mib": size_mib}
            change({"recording": patch}, who=user_of(request.scope))

        ring.choose(choice.uuid, choice.size_mib, keep)
        say(
            request,
            f"Chose the disk {choice.uuid} for the packet ring buffer"
            if choice.uuid
            else "Chose no disk for the packet ring buffer",
        )
        return answer()

    @routes.post("/ring/remove", dependencies=[requires("admin")])
    def remove_from_ring(request: Request) -> DisksAnswer:
        """Recording goes on on the device's own disk; the other one is let go, so that it can be pulled."""
        ring.remove()
        say(request, "Let the disk for the packet ring buffer go")
        return answer()

    @routes.post("/format", dependencies=[requires("admin")], status_code=202)
    def format_disk(order: FormatRequest, request: Request) -> FormatStarted:
        """Begins to format a disk; what is on it is lost. The status shows it as the action `format`."""
        who, source = user_of(request.scope), header(request.scope, SOURCE_HEADER) or "this device"
        wish = Wish(order.kind, order.label)
        disk = formatter.start(
            *(order.disk, order.confirm, wish, order.sequence),
            ended=lambda text: note("change", text, who=who, source=source),
        )
        held = f", on which was {', '.join(disk.holds)}" if disk.holds else ""
        say(request, f"Has {disk.title} formatted with {wish.words}{held}")
        return FormatStarted(disk=DiskAnswer.of(disk))

    @routes.put("/label", dependencies=[requires("admin")])
    def rename(wanted: NewLabel, request: Request) -> DisksAnswer:
        """Gives a file system another name; what is on it stays as it is."""
        label = formatter.rename(wanted.uuid, wanted.label)
        say(request, f"Named the disk {wanted.uuid} {label}")
        return answer()

    @routes.delete("/known/{uuid}", dependencies=[requires("admin")])
    def forget(uuid: Annotated[str, Path(max_length=64)], request: Request) -> DisksAnswer:
        """Does not remember a disk any longer that has no task. What lies on it stays."""
        disk = care.known.forget(uuid)
        say(request, f"Forgot the disk {disk.label or disk.model or uuid}")
        return answer()

    return routes


def _keep(change: Change, uuid: str, who: str) -> None:
    change({"storage": {"device": uuid}}, who=who)


def _free(care: DiskCare) -> int | None:
    try:
        return care.files.free()
    except OSError:
        return None
