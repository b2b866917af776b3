"""Firmware: the versions at hand, the update server, files, slots."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal, Self

from anyio import CancelScope, to_thread
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.api.targets import UPLOADER
from allegro.errors import InvalidInput
from allegro.firmware.events import Event, Kind
from allegro.firmware.inventory import Held, Place
from allegro.firmware.update import FirmwareService, Overview
from allegro.firmware.versions import Compared
from allegro.words import utc, utc_or_none

_AT_ONCE = 1 << 20  # bytes of an upload

Name = Annotated[str, Path(description="Name of a firmware file, ending in .raucb")]


class VersionAnswer(BaseModel):
    """One version at hand."""

    place: Place = Field(
        description="Slot (factory: the version shipped), file on the device, or update server"
    )
    name: str = Field(description="Name of the slot or file")
    version: str = Field(description="Empty if it is not known; then `problem` says why")
    date: str = Field(description="Date of the release, ISO 8601; may be empty")
    notes: str = Field(description="Release notes; may be empty")
    size: int = Field(description="Bytes of the file, or of the slot")
    compared: Compared = Field(description="With the running version")
    running: bool
    starts_next: bool = Field(description="It starts at the next restart")
    good: bool | None = Field(description="Whether this slot has proven to work; null for what is no slot")
    problem: str = Field(description="Why it cannot be used; empty when all is well")

    @classmethod
    def of(cls, held: Held) -> Self:
        """The version as the API shows it."""
        return cls(**vars(held))


class FirmwareAnswer(BaseModel):
    """Everything about the firmware."""

    version: str = Field(description="The running version")
    slot: str = Field(description="Where it runs: slot-a, slot-b, factory; empty if from none of them")
    confirmed: bool = Field(description="It has proven to work; until then nothing can be installed")
    newer: str = Field(description="A newer version on the update server; empty if none is known")
    checked_time: str | None = Field(description="Last look at the update server, ISO 8601, UTC")
    check_problem: str = Field(description="Why the last look failed; empty when it did not")
    versions: list[VersionAnswer]

    @classmethod
    def of(cls, overview: Overview) -> Self:
        """The overview as the API shows it."""
        return cls(
            version=overview.version,
            slot=overview.slot,
            confirmed=overview.confirmed,
            newer=overview.newer,
            checked_time=utc_or_none(overview.checked_ns),
            check_problem=overview.check_problem,
            versions=[VersionAnswer.of(held) for held in overview.versions],
        )


class EventAnswer(BaseModel):
    """Something that happened to the firmware."""

    time: str = Field(description="ISO 8601, UTC")
    kind: Kind
    text: str = Field(description="What happened, in plain words")

    @classmethod
    def of(cls, event: Event) -> Self:
        """The event as the API shows it."""
        return cls(time=utc(event.time_ns), kind=event.kind, text=event.text)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DownloadRequest(_Body):
    """Which version to bring from the update server."""

    version: str = Field(min_length=1, max_length=64)


class InstallRequest(_Body):
    """Which firmware file to write to the slot that is not running."""

    name: str = Field(min_length=1, max_length=255)
    older: bool = Field(default=False, description="Yes, also if it is older than the running version")


class ActivateRequest(_Body):
    """Which slot is to start from now on."""

    slot: Literal["slot-a", "slot-b"]
    older: bool = Field(default=False, description="Yes, also if it is older than the running version")
    restart: bool = Field(default=True, description="Restart the device now")


class ActivateAnswer(BaseModel):
    """The version that starts next."""

    version: str
    restarts: bool


class StartedAnswer(BaseModel):
    """Long work has begun; `actions` of GET /status shows it under this name."""

    action: str


def router(service: FirmwareService) -> APIRouter:
    """Everything below /firmware."""
    routes = noun("firmware", "/firmware")
    started = StartedAnswer(action="firmware")

    @routes.get("", dependencies=[requires("viewer")])
    def firmware() -> FirmwareAnswer:
        """The versions at hand: in the slots, as files, on the update server."""
        return FirmwareAnswer.of(service.overview())

    @routes.get("/events", dependencies=[requires("viewer")])
    def events() -> list[EventAnswer]:
        """What happened to the firmware, newest first."""
        return [EventAnswer.of(event) for event in reversed(service.events())]

    @routes.post("/check", dependencies=[requires("admin")])
    def check() -> FirmwareAnswer:
        """Asks the update server what there is."""
        service.check()
        return FirmwareAnswer.of(service.overview())

    @routes.post("/download", dependencies=[requires("admin")], status_code=202)
    def download(request: DownloadRequest) -> StartedAnswer:
        """Brings a version from the update server; goes on where an earlier try was interrupted."""
        service.check_download(request.version)
        service.background(lambda: service.download(request.version))
        return started

    @routes.put(
        "/files/{name}",
        dependencies=[requires(UPLOADER)],
        status_code=204,
        openapi_extra={"requestBody": {"content": {"application/octet-stream": {}}, "required": True}},
    )
    async def upload(name: Name, request: Request) -> None:
        """Takes a firmware file as the body of the request, checks it, and keeps it if it is good."""
        given = request.headers.get("Content-Length", "")
        await _receive(service, name, int(given) if given.isdecimal() else None, request.stream())

    @routes.delete("/files/{name}", dependencies=[requires("admin")], status_code=204)
    def delete(name: Name) -> None:
        """Deletes a firmware file."""
        service.delete(name)

    @routes.post("/install", dependencies=[requires("admin")], status_code=202)
    def install(request: InstallRequest) -> StartedAnswer:
        """Writes a firmware file to the slot that is not running; `activate` starts it."""
        service.check_install(request.name, older=request.older)
        service.background(lambda: service.install(request.name, older=request.older))
        return started

    @routes.post("/activate", dependencies=[requires("admin")])
    def activate(request: ActivateRequest) -> ActivateAnswer:
        """Starts a slot, now or at the next restart. If it does not work, the device falls back."""
        version = service.activate(request.slot, older=request.older, restart=request.restart)
        return ActivateAnswer(version=version, restarts=request.restart)

    return routes


async def _receive(
    service: FirmwareService, name: str, size: int | None, parts: AsyncIterator[bytes]
) -> None:
    """Passes an upload on; disk and checks work in threads."""
    receiving = service.receive(name, size)
    write = await to_thread.run_sync(receiving.__enter__)
    try:
        waiting = bytearray()
        async for part in parts:
            waiting += part
            if len(waiting) >= _AT_ONCE:
                await to_thread.run_sync(write, bytes(waiting))
                waiting.clear()
        await to_thread.run_sync(write, bytes(waiting))
    except BaseException as error:
        failure = error
        if isinstance(error, ClientDisconnect):
            failure = InvalidInput(f"{name} did not arrive completely.", remedy="Send it again.")
        with CancelScope(shield=True):
            await to_thread.run_sync(receiving.__exit__, type(failure), failure, None)
        raise failure from None
    await to_thread.run_sync(receiving.__exit__, None, None, None)
