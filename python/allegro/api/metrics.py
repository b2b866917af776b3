"""Statistics for programs that collect them from many devices, such as Prometheus."""

import contextlib
from collections import Counter

from fastapi import APIRouter
from fastapi.responses import Response

from allegro.api.device import Device
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.errors import AllegroError
from allegro.metrics import exposition
from allegro.metrics.families import Facts, families
from allegro.system import boottime
from allegro.trigger.job import TRANSITIONS


def router(device: Device) -> APIRouter:
    """GET /metrics."""
    routes = noun("status")

    @routes.get(
        "/metrics",
        dependencies=[requires("viewer")],
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def metrics() -> Response:
        """Counters and gauges in the text format of Prometheus; the manual names them."""
        told = exposition.text(families(_facts(device)))
        return Response(told, media_type=exposition.CONTENT_TYPE)

    return routes


def _facts(device: Device) -> Facts:
    size = free = waiting = captures = None
    with contextlib.suppress(OSError):
        size, free = device.storage.total(), device.storage.free()
    with contextlib.suppress(OSError):
        waiting = device.upload.count()
    with contextlib.suppress(AllegroError):
        found = Counter(job.state for job in device.jobs.unfinished())
        captures = {str(state): found[state] for state in TRANSITIONS}
    return Facts(
        name=device.name(),
        system_id=device.system_id,
        firmware=device.firmware,
        up_s=boottime.now_ns() / 1e9,
        recorder=device.recorder(),
        storage_size=size,
        storage_free=free,
        captures=captures,
        uploads_waiting=waiting,
        problems=device.problems(),
    )
