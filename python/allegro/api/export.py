"""Export to a server: the queue, uploads on request, the server's host key, the device's own key."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.audit import deleted, say, user_of
from allegro.api.files import MOST_NAMES
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.api.settings import Change
from allegro.errors import AllegroError
from allegro.events.event import Event
from allegro.export.export_status import ExportStatus, Run, Running
from allegro.export.host_keys import HostKey as ServerKey
from allegro.export.queue import Waiting
from allegro.export.uploads import ExportService
from allegro.settings.model import Export, Settings
from allegro.words import utc, utc_or_none


class WaitingAnswer(BaseModel):
    """A file of the upload directory."""

    name: str
    size: int = Field(description="Bytes")
    released: bool = Field(
        description="It is being sent or tried again; false: it waits for the daily upload"
    )
    attempts: int = Field(description="Failed tries in a row")
    last_try_time: str | None
    next_try_time: str | None = Field(description="When it is tried again after a failure")
    error: str = Field(description="Why the last try failed, in plain words; may be empty")
    remedy: str

    @classmethod
    def of(cls, waiting: Waiting) -> Self:
        """The file as the API shows it."""
        tries = waiting.tries
        return cls(
            name=waiting.file.name,
            size=waiting.file.size,
            released=waiting.released,
            attempts=tries.attempts,
            last_try_time=utc_or_none(tries.last_try_ns or None),
            next_try_time=utc_or_none(tries.next_try_ns or None),
            error=tries.error,
            remedy=tries.remedy,
        )


class RunningAnswer(BaseModel):
    """The file that is being sent."""

    name: str
    step: str
    done: int = Field(description="Bytes")
    size: int = Field(description="Bytes")

    @classmethod
    def of(cls, running: Running) -> Self:
        """The transfer as the API shows it."""
        return cls(name=running.name, step=running.step, done=running.done, size=running.size)


class RunAnswer(BaseModel):
    """The last upload run since the start of the device."""

    started_time: str
    ended_time: str | None
    sent: int = Field(description="Files delivered")
    failed: int = Field(description="Files not delivered")
    error: str
    remedy: str

    @classmethod
    def of(cls, run: Run) -> Self:
        """The run as the API shows it."""
        return cls(
            started_time=utc(run.started_ns),
            ended_time=utc_or_none(run.ended_ns or None),
            sent=run.sent,
            failed=run.failed,
            error=run.error,
            remedy=run.remedy,
        )


class ExportAnswer(BaseModel):
    """How the export is."""

    state: Literal["off", "idle", "uploading"]
    problem: str = Field(description="What keeps the export as a whole from working; may be empty")
    protocol: Literal["sftp", "webdav", "https", "s3"]
    server: str = Field(
        description="user@host:port, or the address of the web server; empty when no server is set"
    )
    host_key: str = Field(description="Pinned host key of the server; empty when none is accepted yet")
    host_key_type: str = Field(description="Its type, such as ssh-ed25519; empty if that is not known")
    public_key: str = Field(
        description="The device's own key, a line for authorized_keys on the server; empty with `key=false`"
    )
    next_run_time: str | None = Field(description="The next daily upload")
    running: RunningAnswer | None
    last_run: RunAnswer | None
    waiting: int = Field(description="Files in the upload directory")
    queue: list[WaitingAnswer] = Field(description="These files, oldest name first")

    @classmethod
    def of(
        cls, status: ExportStatus, settings: Settings, public_key: str, problem: str, limit: int | None
    ) -> Self:
        """The export as the API shows it, with at most `limit` files of the queue."""
        export = settings.export
        return cls(
            state=_state(status.state),
            problem=status.problem or problem,
            protocol=export.protocol,
            server=_server(export),
            host_key=export.host_key,
            host_key_type=export.host_key_type,
            public_key=public_key,
            next_run_time=utc_or_none(status.next_run_ns or None),
            running=RunningAnswer.of(status.running) if status.running else None,
            last_run=RunAnswer.of(status.last_run) if status.last_run else None,
            waiting=len(status.queue),
            queue=[WaitingAnswer.of(waiting) for waiting in status.queue[:limit]],
        )


class Released(BaseModel):
    """What an upload on request will send."""

    files: int = Field(description="Files that are being sent now")


class SentAnswer(BaseModel):
    """What is known of files that are not on the device any more."""

    names: list[str] = Field(description="Those that were sent to the server")
    noted_since: str | None = Field(
        description="Since when that is noted; of a file of before, it is not known. null: not yet"
    )
    deleted_by: dict[str, str] = Field(
        description="By whom which of them was deleted, as far as the list of events still knows it"
    )


class TestAnswer(BaseModel):
    """What a test upload found."""

    __test__ = False  # not a test case for pytest

    fingerprint: str = Field(description="Host key that the server showed")
    host_key_type: str = Field(description="Its type, such as ssh-ed25519; empty if that is not known")
    pinned: str = Field(description="Pinned host key; empty when none is accepted yet")
    accepted: bool = Field(description="It is the pinned one, and the test file was written")
    file: str = Field(description="Path of the test file on the server; empty if it was not written")
    message: str


class HostKey(BaseModel):
    """A host key to be pinned."""

    model_config = ConfigDict(extra="forbid")

    fingerprint: str | None = Field(
        default=None,
        description="SHA256:… as the test upload shows it; without it the one that the last test upload"
        " showed; empty: forget the pinned one",
    )


def _server(export: Export) -> str:
    if export.protocol != "sftp":
        return export.url
    return f"{export.username}@{export.host}:{export.port}" if export.host else ""


def _state(state: str) -> Literal["off", "idle", "uploading"]:
    match state:
        case "idle" | "uploading":
            return state
        case _:
            return "off"


def deleted_by(names: Collection[str], events: Iterable[Event]) -> dict[str, str]:
    """Who has deleted which of these files, by events (oldest first) as `allegro.api.audit` notes them.

    The list is for administrators: of other events (a user is deleted in the same words) nothing is told.
    """
    texts = {deleted(name): name for name in names}
    return {texts[each.text]: each.who for each in events if each.kind == "file" and each.text in texts}


def router(
    service: ExportService,
    current: Callable[[], Settings],
    change: Change,
    events: Callable[[], Sequence[Event]],
) -> APIRouter:
    """GET /export and what can be done: now, test, host-key, delete a file of the queue."""
    routes = noun("export", "/export")

    @routes.get("", dependencies=[requires("viewer")])
    def export(
        limit: Annotated[
            int | None, Query(ge=1, le=1000, description="At most so many files of the queue; else all")
        ] = None,
        key: Annotated[
            bool, Query(description="false: without the device's own key, which has to be read, or even made")
        ] = True,
    ) -> ExportAnswer:
        """The queue with the reason for each file that could not be sent, and the keys."""
        public_key = problem = ""
        try:
            public_key = service.public_key() if key else ""
        except AllegroError as error:
            problem = str(error)
        return ExportAnswer.of(service.status(), current(), public_key, problem, limit)

    @routes.get("/sent", dependencies=[requires("viewer")])
    def sent(
        name: Annotated[list[str], Query(max_length=MOST_NAMES, description="Names of captures")],
    ) -> SentAnswer:
        """Which of these captures were sent to the server: so their files are gone, and not deleted."""
        names, since_ns = service.were_sent(name)
        gone = set(name).difference(names)
        return SentAnswer(
            names=names,
            noted_since=utc_or_none(since_ns),
            deleted_by=deleted_by(gone, events()) if gone else {},
        )

    @routes.post("/now", dependencies=[requires("capture")], status_code=202)
    def now() -> Released:
        """Sends everything in the upload directory now."""
        return Released(files=service.upload_now())

    @routes.post("/test", dependencies=[requires("admin")])
    def test() -> TestAnswer:
        """Connects to the server; writes a test file if its host key is the pinned one, else shows that."""
        result = service.test()
        return TestAnswer(
            fingerprint=result.fingerprint,
            host_key_type=result.host_key_type,
            pinned=result.pinned,
            accepted=result.accepted,
            file=result.file,
            message=result.message,
        )

    @routes.post("/host-key", dependencies=[requires("admin")])
    def host_key(key: HostKey, request: Request) -> ExportAnswer:
        """Pins the server's host key: from now on only a server with this key is trusted."""
        if key.fingerprint is None:
            shown = service.shown_host_key()
        else:
            shown = ServerKey(key.fingerprint, service.type_of(key.fingerprint))
        pinned = {"host_key": shown.fingerprint, "host_key_type": shown.type}
        change({"export": pinned}, who=user_of(request.scope))
        return export()

    @routes.delete("/files/{name}", dependencies=[requires("admin")], status_code=204)
    def delete(name: str, request: Request) -> None:
        """Deletes a file from the upload directory without sending it."""
        service.delete(name)
        say(request, deleted(name))

    return routes
