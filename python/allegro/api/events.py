"""Events: who came in, and what people and device did."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from allegro.api.asker import USER_HEADER, WEB_PROGRAM, Forbidden, header
from allegro.api.event_stream import MEDIA_TYPE, Streams, follow, stops
from allegro.api.head import wants_no_body
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.events.event import Event, Kind
from allegro.events.event_list import EventList
from allegro.words import utc

MOST = 500
MOST_REPORTS = 300


class EventAnswer(BaseModel):
    """An event."""

    id: int = Field(description="Grows with each event")
    time: str = Field(description="When it happened, at first if it did several times; ISO 8601, UTC")
    last_time: str = Field(description="When it happened last")
    count: int = Field(description="How often it happened")
    kind: str = Field(description="Stable name of the kind of event: login, login-failed, settings, …")
    who: str = Field(description="User, `token:` and its name, `root`; may be empty")
    source: str = Field(description="Network address, presenter or part of the device; may be empty")
    text: str = Field(description="What happened, in words; never a secret")

    @classmethod
    def of(cls, event: Event) -> "EventAnswer":
        """The event as the API shows it."""
        return cls(
            id=event.id,
            time=utc(event.time_ns),
            last_time=utc(event.last_ns),
            count=event.count,
            kind=event.kind,
            who=event.who,
            source=event.source,
            text=event.text,
        )


class EventsAnswer(BaseModel):
    """A page of the list, newest first."""

    events: list[EventAnswer]
    before: int | None = Field(description="Ask with this for the next page; null: there is none")


class Report(BaseModel):
    """What the web page's program has to tell: it alone judges log-ins and keeps the accounts."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    text: str = Field(max_length=1000)
    who: str = Field(default="", max_length=1000)
    source: str = Field(default="", max_length=1000)
    count: int = Field(default=1, ge=1, le=10**9)


class Reports(BaseModel):
    """Several at once."""

    model_config = ConfigDict(extra="forbid")

    events: list[Report] = Field(max_length=MOST_REPORTS)


def router(events: EventList) -> APIRouter:
    """GET /events and /events/stream for administrators; POST /events for the web page's program only."""
    routes = noun("log")
    streams = Streams()

    @routes.get("/events", dependencies=[requires("admin")])
    def newest(
        limit: Annotated[int, Query(ge=1, le=MOST, description="So many of the newest")] = 100,
        before: Annotated[
            int | None, Query(ge=1, le=2**63 - 1, description="Only those before the event with this id")
        ] = None,
    ) -> EventsAnswer:
        """Who came in or failed to, who changed or downloaded what; kept over restarts and resets."""
        found = events.newest(limit + 1, before)
        more = len(found) > limit
        return EventsAnswer(
            events=[EventAnswer.of(each) for each in found[:limit]],
            before=found[limit - 1].id if more else None,
        )

    @routes.get(
        "/events/stream",
        dependencies=[requires("admin")],
        response_class=StreamingResponse,
        responses={200: {"content": {MEDIA_TYPE: {}}, "description": "Server-sent events, without end"}},
    )
    async def stream(
        request: Request,
        last_event_id: Annotated[
            int | None, Header(ge=0, le=2**63 - 1, description="Begin behind the event with this id")
        ] = None,
    ) -> Response:
        """The list as it grows: each event as a message of its own, with its id; a comment now and then."""
        if wants_no_body(request.scope):
            return Response(media_type=MEDIA_TYPE)
        with ExitStack() as held:
            held.enter_context(streams.one(header(request.scope, USER_HEADER) or ""))
            news = follow(
                events, last_event_id, stops(request.scope), lambda each: EventAnswer.of(each).model_dump()
            )
            return Held(news, held.pop_all(), media_type=MEDIA_TYPE)

    @routes.post(
        "/events",
        dependencies=[requires("admin"), _programs_only()],
        status_code=204,
        include_in_schema=False,
    )
    def report(reports: Reports) -> None:
        for each in reports.events:
            events.note(each.kind, each.text, who=each.who, source=each.source, count=each.count)

    return routes


class Held(StreamingResponse):
    """Gives its place back however it ends, also if it never begins to be sent."""

    def __init__(self, content: AsyncIterator[bytes], held: ExitStack, media_type: str) -> None:
        super().__init__(content, media_type=media_type)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        with self._held:
            await super().__call__(scope, receive, send)


def _programs_only() -> Any:
    async def judge(request: Request) -> None:
        if header(request.scope, USER_HEADER) not in (None, WEB_PROGRAM):
            raise Forbidden("Only the programs of the device write the list of events.")

    return Depends(judge)
