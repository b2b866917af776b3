"""Captures: fire the trigger, follow the jobs, cancel one."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.capture.extraction.shape import ShapeWishes
from allegro.settings.filter_table import FileFormat, PacketLength, SizeLimit
from allegro.system import boottime
from allegro.trigger.cutter import Cutter
from allegro.trigger.job import Job, State
from allegro.trigger.jobs import MAX_ID, JobStore
from allegro.trigger.press import Press
from allegro.trigger.rows import Row
from allegro.trigger.service import Triggers
from allegro.trigger.windows import parsed_time
from allegro.words import SECOND_NS, utc, utc_or_none

FORMAT = (
    "pcapng, or pcap: classic, with nanoseconds, its notes stand in a text beside it. Another word is one"
    " of a newer version"
)


LONGEST_NOTE = 200


class TriggerRequest(BaseModel):
    """What to cut out; everything may be left out."""

    model_config = ConfigDict(extra="forbid")

    before_s: float | None = Field(
        default=None, description="Seconds before the press, 0 to 86400; without it the setting"
    )
    after_s: float | None = Field(
        default=None, description="Seconds after the press, 0 to 3600; without it the setting"
    )
    time: str | None = Field(
        default=None, description="Time of the press, ISO 8601, UTC unless it says otherwise; without it now"
    )
    key: str = Field(
        default="manual", pattern=r"^[a-z0-9-]{1,32}$", description="Key in the file name; small letters"
    )
    filter: str | None = Field(
        default=None,
        description="Only packets that match this filter are saved, empty: all; without it the settings,"
        " with a file for each row of the filter table",
    )
    format: FileFormat | None = Field(
        default=None, description="pcap is the classic format, with nanoseconds; without it the settings"
    )
    packet_length: PacketLength | None = Field(
        default=None,
        description="So many bytes of each packet are saved, 0: all; without it the settings",
    )
    size_limit_mib: SizeLimit | None = Field(
        default=None,
        description="The file ends before it has more MiB (of 1048576 bytes), 0: no limit; without it the"
        " settings",
    )
    target: Literal["storage", "upload"] | None = Field(
        default=None, description="Where the file goes: upload is to be sent; without it as the export is set"
    )
    note: str = Field(
        default="",
        max_length=LONGEST_NOTE,
        description="What is to be known of it: in its comment, and in the list",
    )
    source: Literal["api", "cli", "page"] = Field(default="api", description="Who asks; in the file name")


class RowAnswer(BaseModel):
    """A row of the filter table, and what became of it at this press."""

    number: int = Field(description="Counted from 1")
    name: str
    filter: str = Field(description="The filter that packets had to match; empty: all are saved")
    state: State = Field(description="That of the capture, until the row has ended")
    message: str = Field(description="Plain words about what is missing or went wrong; may be empty")
    file: str = Field(description="Name of the file; empty as long as there is none")
    directory: str = Field(description="storage or upload; empty as long as there is no file")
    size: int | None = Field(description="Bytes of the file, when known")
    packets: int | None = Field(description="Packets in the file, when known")
    bytes: int | None = Field(description="Bytes that the packets in the file had on the wire, when known")
    drops: int | None = Field(description="Packets lost within the window, when known")
    format: str = Field(description=FORMAT)
    packet_length: int = Field(description="Bytes that are saved of each packet at most; 0: all")
    size_limit_mib: int = Field(description="MiB that the file has at most; 0: no limit")
    limited: bool = Field(description="The file ends at its size limit, before the window does")

    @classmethod
    def of(cls, row: Row, job: Job) -> Self:
        """The row as the API shows it."""
        state: State = job.state if row.state == "open" else row.state
        return cls.model_validate(asdict(row) | {"state": state})


class JobAnswer(BaseModel):
    """One press and what became of it."""

    id: int
    state: State = Field(
        description="accepted, waiting (for the end of the window) and cutting become complete or failed;"
        " cancelled by a user; refused at the press"
    )
    message: str = Field(description="Plain words about what is missing or went wrong; may be empty")
    source: str = Field(description="presenter, api, cli or page")
    key: str = Field(description="The key that was pressed, manual without one")
    device: str = Field(description="Name of the presenter; empty without one")
    press_ns: int = Field(description="Time of the press, nanoseconds since 1970 (UTC)")
    press_time: str = Field(description="The same as ISO 8601")
    start_time: str = Field(description="First moment of the window")
    end_time: str = Field(description="Last moment of the window")
    created_time: str = Field(description="When it was accepted")
    finished_time: str | None = Field(description="When it ended")
    before_s: float = Field(description="Seconds before the press")
    after_s: float = Field(description="Seconds after the press")
    filter: str = Field(description="The filter that packets had to match; empty: all are saved")
    progress: float = Field(description="0 to 1")
    file: str = Field(description="Name of the file; empty as long as there is none")
    directory: str = Field(description="storage, upload, sent or disk; empty as long as that is not decided")
    size: int | None = Field(description="Bytes of the file, when known")
    packets: int | None = Field(description="Packets in the file, when known")
    bytes: int | None = Field(description="Bytes that the packets in the file had on the wire, when known")
    drops: int | None = Field(description="Packets lost within the window, when known")
    read: int | None = Field(description="Bytes of the ring that were read for it; a filter needs few")
    reached: int | None = Field(description="Bytes of the ring in its window")
    note: str = Field(description="What whoever asked for it wanted to be known; may be empty")
    format: str = Field(description=FORMAT)
    packet_length: int = Field(description="Bytes that are saved of each packet at most; 0: all")
    size_limit_mib: int = Field(description="MiB that the file has at most; 0: no limit")
    limited: bool = Field(
        description="The file, or that of a row, ends at its size limit, before the window does"
    )
    rows: list[RowAnswer] = Field(
        description="With the filter table: its rows, each with a file of its own; sizes and packets of the"
        " capture are those of all rows together"
    )

    @classmethod
    def of(cls, job: Job, rows: Sequence[Row] = ()) -> Self:
        """The job as the API shows it."""
        return cls(
            id=job.id,
            state=job.state,
            message=job.message,
            source=job.source,
            key=job.key,
            device=job.device,
            press_ns=job.press_ns,
            press_time=utc(job.press_ns),
            start_time=utc(job.start_ns),
            end_time=utc(job.end_ns),
            created_time=utc(job.created_ns),
            finished_time=utc_or_none(job.finished_ns),
            before_s=job.before_ns / SECOND_NS,
            after_s=job.after_ns / SECOND_NS,
            filter=job.filter,
            progress=job.progress,
            file=job.file,
            directory=job.directory,
            size=job.size,
            packets=job.packets,
            bytes=job.bytes,
            drops=job.drops,
            read=job.read,
            reached=job.reached,
            note=job.note,
            format=job.format,
            packet_length=job.packet_length,
            size_limit_mib=job.size_limit_mib,
            limited=job.limited,
            rows=[RowAnswer.of(row, job) for row in rows],
        )


def recent(store: JobStore, limit: int, offset: int = 0) -> list[JobAnswer]:
    """The newest captures with their rows, newest first."""
    found = store.recent(limit, offset)
    rows = store.rows.of_all([job.id for job in found])
    return [JobAnswer.of(job, rows.get(job.id, ())) for job in found]


def router(triggers: Triggers, store: JobStore, cutter: Cutter) -> APIRouter:
    """POST /trigger, GET /jobs, GET /jobs/{id}, POST /jobs/{id}/cancel, /jobs/{id}/rows/{number}/cancel."""
    routes = noun("jobs")

    def answer(job: Job) -> JobAnswer:
        return JobAnswer.of(job, store.rows.of(job.id))

    @routes.post("/trigger", dependencies=[requires("capture")], status_code=202)
    def trigger(request: TriggerRequest | None = None) -> JobAnswer:
        """Cuts a window out of the ring, as a press of the presenter does.

        The job is durable when this answers. Its state is `refused`, with the reason, if there is nothing to
        cut from or nowhere to put it.
        """
        asked = request or TriggerRequest()
        if asked.time is None:
            press = Press(time.time_ns(), asked.source, asked.key, boot_ns=boottime.now_ns())
        else:
            press = Press(parsed_time(asked.time), asked.source, asked.key)
        wishes = ShapeWishes(asked.format, asked.packet_length, asked.size_limit_mib)
        window = asked.before_s, asked.after_s
        return answer(
            triggers.accept(press, *window, asked.filter, wishes, target=asked.target or "", note=asked.note)
        )

    @routes.get("/jobs", dependencies=[requires("viewer")])
    def jobs(
        limit: Annotated[int, Query(ge=1, le=1000, description="At most so many")] = 100,
        offset: Annotated[int, Query(ge=0, le=MAX_ID, description="Leaves out so many newer ones")] = 0,
    ) -> list[JobAnswer]:
        """The newest captures, newest first; a list that is shorter than `limit` is the last."""
        return recent(store, limit, offset)

    @routes.get("/jobs/{job_id}", dependencies=[requires("viewer")])
    def job(job_id: int) -> JobAnswer:
        """One capture."""
        return answer(store.get(job_id))

    @routes.post("/jobs/{job_id}/cancel", dependencies=[requires("capture")])
    def cancel(job_id: int) -> JobAnswer:
        """Ends a capture that is not finished; it then has no files but those of rows that are complete."""
        return answer(cutter.cancel(job_id))

    @routes.post("/jobs/{job_id}/rows/{number}/cancel", dependencies=[requires("capture")])
    def cancel_row(job_id: int, number: int) -> JobAnswer:
        """Ends a row of a capture that is not finished; it then has no file, and the others go on."""
        return answer(cutter.cancel_row(job_id, number))

    return routes
