"""The support bundle: what the device knows of itself, in one ZIP archive, without secrets and packets.

It is made of the API's own answers, which never show a secret. What cannot be told is named in its place, and
keeps nothing else from being told.
"""

import json
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from allegro.api.head import wants_no_body
from allegro.api.inside import asked
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.storage.zip_stream import Sink
from allegro.system.journal import MOST

_PARTS = {
    "status.json": "/api/status",
    "ring.json": "/api/ring",
    "jobs.json": "/api/jobs?limit=100",
    "settings.json": "/api/settings",
    "settings-changes.json": "/api/configuration/history",
    "network.json": "/api/network",
    "wifi.json": "/api/wifi",
    "time.json": "/api/time",
    "disks.json": "/api/disks",
    "export.json": "/api/export?limit=100",
    "notifications.json": "/api/notifications",
    "presenters.json": "/api/presenters",
    "firmware.json": "/api/firmware",
    "firmware-events.json": "/api/firmware/events",
    "events.json": "/api/events?limit=500",
    "statistics.txt": "/api/metrics",
    "log.json": f"/api/log?limit={MOST}",
}
"""File in the archive, and what the API is asked for it."""

_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
}


def router(
    app: ASGIApp, name: Callable[[], str], machine: Callable[[], Sequence[tuple[str, bytes]]]
) -> APIRouter:
    """GET /support. `app` answers the API's requests; `machine`: files about versions and disks."""
    routes = noun("support")

    async def stream() -> AsyncIterator[bytes]:
        sink = Sink()
        now = datetime.now(UTC).timetuple()[:6]
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]

            def add(file: str, content: bytes) -> bytes:
                entry = zipfile.ZipInfo(file, now)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content)
                return sink.take()

            for file, target in _PARTS.items():
                yield add(file, await _told(app, target))
            for file, content in await run_in_threadpool(machine):
                yield add(file, content)
        yield sink.take()

    @routes.get(
        "/support", dependencies=[requires("admin")], response_class=StreamingResponse, responses=_ZIP
    )
    async def support(request: Request) -> Response:
        """What the device knows of itself, as one ZIP archive: no secrets, no packets."""
        now = datetime.now(UTC)
        headers = {"Content-Disposition": f'attachment; filename="{name()}-support-{now:%Y%m%dT%H%M%SZ}.zip"'}
        if wants_no_body(request.scope):
            return Response(media_type="application/zip", headers=headers)
        return StreamingResponse(stream(), media_type="application/zip", headers=headers)

    return routes


async def _told(app: ASGIApp, target: str) -> bytes:
    try:
        _, body = await asked(app, target)
    except Exception as error:  # an unexpected failure of one part is worth a line in the bundle
        return f"{target} failed unexpectedly: {type(error).__name__}\n".encode()
    try:
        return json.dumps(json.loads(body), indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")
    except ValueError:
        return body
