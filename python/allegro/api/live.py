"""Live captures: packets as they come in."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from allegro.api.files import MEDIA_TYPE
from allegro.api.head import wants_no_body
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.errors import InvalidInput
from allegro.trigger.live_streams import LiveStreams
from allegro.trigger.windows import parsed_time
from allegro.words import SECOND_NS

LONGEST_S = 7 * 86400
LONGEST_PAST_S = 86400
MOST_BYTES = 1 << 50
LONGEST_TIME = 64


class _Live(StreamingResponse):
    """Ends the live capture with the answer, whatever becomes of that."""

    def __init__(self, parts: AsyncIterator[bytes] | tuple[()], resources: AsyncExitStack) -> None:
        name = time.strftime("allegro-live-%Y%m%dT%H%M%SZ.pcapng", time.gmtime())
        disposition = f'attachment; filename="{name}"'
        super().__init__(parts, media_type=MEDIA_TYPE, headers={"Content-Disposition": disposition})
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._resources:
            await super().__call__(scope, receive, send)


def router(streams: LiveStreams) -> APIRouter:
    """GET /live."""
    routes = noun("files")

    @routes.get(
        "/live",
        dependencies=[requires("capture")],
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
                "description": "pcapng as it comes",
            }
        },
    )
    async def live(
        request: Request,
        text: Annotated[
            str, Query(alias="filter", description="Only packets that match this filter; empty: all")
        ] = "",
        seconds: Annotated[
            float | None, Query(gt=0, le=LONGEST_S, description="Ends after so long; else with the reader")
        ] = None,
        most_bytes: Annotated[
            int | None,
            Query(alias="bytes", ge=1, le=MOST_BYTES, description="Ends after so many bytes of packets"),
        ] = None,
        past: Annotated[
            float, Query(ge=0, le=LONGEST_PAST_S, description="Begins so many seconds before now")
        ] = 0,
        start: Annotated[
            str,
            Query(
                max_length=LONGEST_TIME,
                description="With `end`: a window of the ring, ISO 8601; no file is made",
            ),
        ] = "",
        end: Annotated[
            str, Query(max_length=LONGEST_TIME, description="May lie in the past or in the future")
        ] = "",
    ) -> StreamingResponse:
        """Packets of all ports as they come in, until the reader goes away or an end that is asked for.

        A reader that is slow is waited for; what the ring overwrites meanwhile is told in the stream.
        """
        window = _window(start, end) if start or end else None
        asked = await run_in_threadpool(streams.request, text, seconds, most_bytes, past, window)
        resources = AsyncExitStack()
        if wants_no_body(request.scope):
            streams.check_room()
            return _Live((), resources)
        stream = await resources.enter_async_context(streams.open(asked))
        return _Live(stream.parts(), resources)

    return routes


def _window(start: str, end: str) -> tuple[int, int]:
    """In ns since 1970. Raises InvalidInput."""
    if not start or not end:
        raise InvalidInput("A window has a start and an end.", place="end" if start else "start")
    start_ns, end_ns = parsed_time(start, "start"), parsed_time(end, "end")
    if start_ns <= 0:
        raise InvalidInput("The time lies before 1970.", place="start")
    if end_ns <= start_ns:
        raise InvalidInput("The end has to come after the start.", place="end")
    if end_ns - start_ns > LONGEST_S * SECOND_NS:
        raise InvalidInput("This is more than a week.", place="start", remedy="Choose a shorter time.")
    return start_ns, end_ns
