"""The device at a glance: what the dashboard and `allegro status` show."""

import contextlib
import time
from typing import Literal, Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from allegro.api.device import Device
from allegro.api.jobs import JobAnswer, recent
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.api.ring import RingAnswer
from allegro.storage.capture_files import FileStore
from allegro.system.actions import Action
from allegro.system.health import Problem
from allegro.system.temperature import warmest_c
from allegro.words import utc

LAST_JOBS = 5


class ProblemAnswer(BaseModel):
    """Something that a user should know."""

    id: str = Field(description="Stable name of the kind of problem")
    severity: Literal["error", "warning"]
    text: str = Field(description="What is wrong, in plain words")
    remedy: str = Field(description="What to do about it")

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """The problem as the API shows it."""
        return cls(id=problem.id, severity=problem.severity, text=problem.text, remedy=problem.remedy)


class ActionAnswer(BaseModel):
    """A long action: an installation, a reset, a download."""

    name: str = Field(description="Stable name of the kind of action")
    text: str = Field(description="What is being done, or how it ended, in plain words")
    progress: float | None = Field(description="0 to 1; null if it cannot be known")
    state: Literal["running", "done", "failed"]

    @classmethod
    def of(cls, action: Action) -> Self:
        """The action as the API shows it."""
        return cls(name=action.name, text=action.text, progress=action.progress, state=action.state)


class StorageAnswer(BaseModel):
    """The storage device of the captures."""

    size: int = Field(description="Bytes; 0 if there is no storage device")
    free: int = Field(description="Bytes")
    files: int = Field(description="Finished captures on it that are not to be sent")
    sent: int = Field(description="Captures that the server has, and that are kept")
    on_disk: int = Field(description="Captures on the disk that was chosen for them")

    @classmethod
    def of(cls, store: FileStore, sent: FileStore, disk: FileStore) -> Self:
        """What is known of it."""
        on_disk = 0
        with contextlib.suppress(OSError):  # it was pulled a moment ago
            on_disk = disk.count()
        try:
            size, free = store.total(), store.free()
            return cls(size=size, free=free, files=store.count(), sent=sent.count(), on_disk=on_disk)
        except OSError:
            return cls(size=0, free=0, files=0, sent=0, on_disk=on_disk)


class StatusAnswer(BaseModel):
    """The device at a glance."""

    name: str = Field(description="Host name")
    system_id: str
    firmware: str = Field(description="Version")
    newer_firmware: str = Field(description="A newer version on the update server; empty if none is known")
    time: str = Field(description="The device's clock, ISO 8601, UTC")
    temperature_c: float | None = Field(description="°C of the warmest sensor; null if none says anything")
    ring: RingAnswer
    storage: StorageAnswer
    export_enabled: bool
    export_protocol: Literal["sftp", "webdav", "https", "s3"]
    uploads_waiting: int = Field(description="Files in the upload directory")
    presenters: list[str] = Field(description="Presenters that are plugged in")
    jobs: list[JobAnswer] = Field(description="The newest captures, newest first")
    actions: list[ActionAnswer] = Field(
        description="Long actions since the start, the last of each kind, in the order in which they began"
    )
    problems: list[ProblemAnswer] = Field(description="The worst first; empty when all is well")


def router(device: Device) -> APIRouter:
    """GET /status."""
    routes = noun("status")

    @routes.get("/status", dependencies=[requires("viewer")])
    def status() -> StatusAnswer:
        """The device at a glance."""
        export = device.settings().export
        return StatusAnswer(
            name=device.name(),
            system_id=device.system_id,
            firmware=device.firmware,
            newer_firmware=device.updates.newer(),
            time=utc(time.time_ns()),
            temperature_c=warmest_c(),
            ring=RingAnswer.of(device.recorder()),
            storage=StorageAnswer.of(device.storage, device.sent, device.disks.files),
            export_enabled=export.enabled,
            export_protocol=export.protocol,
            uploads_waiting=device.upload.count(),
            presenters=list(device.presenters()),
            jobs=recent(device.jobs, LAST_JOBS),
            actions=[ActionAnswer.of(action) for action in device.actions.all()],
            problems=[ProblemAnswer.of(problem) for problem in device.problems()],
        )

    return routes
