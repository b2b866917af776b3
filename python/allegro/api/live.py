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
from allegro.trigger.live_streams import LiveStreams

LONGEST_S = 7 * 86400
LONGEST_PAST_S = 86400
MOST_BYTES = 1 << 50


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
    ) -> StreamingResponse:
        """Packets of all ports as they come in, until the reader goes away or an end that is asked for.

        A reader that is slow is waited for; what the ring overwrites meanwhile is told in the stream.
        """
        asked = await run_in_threadpool(streams.request, text, seconds, most_bytes, past)
        resources = AsyncExitStack()
        if wants_no_body(request.scope):
            return _Live((), resources)
        stream = await resources.enter_async_context(streams.open(asked))
        return _Live(stream.parts(), resources)

    return routes
