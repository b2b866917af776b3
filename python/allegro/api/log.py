"""The system's log."""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.system.journal import MOST, Choice, Entry, Level
from allegro.words import utc

ReadLog = Callable[[int, Choice], Sequence[Entry]]


class LogEntry(BaseModel):
    """One message."""

    time: str
    level: Level
    program: str = Field(description="The program that says it; allegro-… are those of the device itself")
    text: str


class LogAnswer(BaseModel):
    """Messages, oldest first."""

    entries: list[LogEntry]


def router(read: ReadLog) -> APIRouter:
    """GET /log. `read` answers with the newest messages of a level."""
    routes = noun("log")

    @routes.get("/log", dependencies=[requires("viewer")])
    def log(
        limit: Annotated[int, Query(ge=1, le=MOST, description="So many of the newest")] = 200,
        level: Annotated[
            Choice,
            Query(
                description="At least so important; device: all that the device's own programs say, and all"
                " warnings and errors"
            ),
        ] = "info",
    ) -> LogAnswer:
        """What the device has logged since its last start."""
        return LogAnswer(
            entries=[
                LogEntry(time=utc(each.time_ns), level=each.level, program=each.program, text=each.text)
                for each in read(limit, level)
            ]
        )

    return routes
