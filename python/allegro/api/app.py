"""The REST API: all routers together, described in /api/openapi.json."""

import time
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from allegro.api import (
    accounts,
    bmc,
    certificate,
    clock,
    configuration,
    disks,
    events,
    export,
    files,
    filters,
    firmware,
    install,
    jobs,
    live,
    log,
    metrics,
    network,
    notifications,
    packets,
    power,
    presenters,
    reset,
    ring,
    settings,
    setup,
    status,
    support,
    wifi,
)
from allegro.api.described import Api, layered
from allegro.api.device import Device
from allegro.api.judge import requires
from allegro.api.noun import PREFIX
from allegro.storage.captures import Captures


def create_app(device: Device) -> ASGIApp:
    """The API of one device, ready to be served.

    It trusts its caller's word about the user: the socket decides who may connect. What the user may do the
    routes decide.
    """
    api = Api(device.firmware)
    captures = Captures(
        {
            "storage": device.storage,
            "upload": device.upload,
            "sent": device.sent,
            "disk": device.disks.files,
        },
        device.jobs,
        device.export.is_sending,
    )
    api.describe(lambda: accounts.router(_elsewhere))
    api.describe(lambda: certificate.router(_elsewhere))
    api.add(_description(api))
    later = api.later
    later(lambda: status.router(device), "status")
    later(lambda: metrics.router(device), "metrics")
    later(lambda: jobs.router(device.triggers, device.jobs, device.cutter), "jobs", "trigger")
    later(lambda: live.router(device.live), "live")
    later(lambda: ring.router(device.recorder, device.traffic, device.restart_recorder), "ring")
    later(
        lambda: filters.router(device.recorder, lambda: device.settings().groups.texts, device.seen), "filter"
    )
    later(
        lambda: settings.router(device.settings, device.change_settings, device.network.remaining_s),
        "settings",
    )
    later(
        lambda: configuration.router(
            device=device.name,
            firmware=device.firmware,
            now_ns=time.time_ns,
            current=device.settings,
            change=device.change_settings,
            attempt=device.try_settings,
            past=device.past_changes,
            remaining_s=device.network.remaining_s,
        ),
        "configuration",
    )
    later(lambda: power.router(device.power, device.restart_without_data), "power")
    later(lambda: reset.router(device.reset_configuration), "reset")
    later(lambda: network.router(device.network), "network")
    later(lambda: bmc.router(device.bmc), "bmc")
    later(lambda: clock.router(device.clock, device.set_clock), "time")
    later(
        lambda: disks.router(
            *(device.disks, device.ring_disk, device.formatter, device.disk_health),
            *(device.settings, device.change_settings, device.events.note),
        ),
        "disks",
    )
    later(lambda: files.router(captures), "files", "archive")
    later(lambda: packets.router(device.packets, captures), "packets")
    later(lambda: presenters.router(device.inputs), "presenters")
    later(lambda: log.router(device.log), "log")
    later(lambda: support.router(api, device.name, device.machine_facts), "support")
    later(lambda: events.router(device.events), "events")
    later(lambda: firmware.router(device.updates), "firmware")
    later(lambda: install.router(device.installer), "install")
    later(
        lambda: export.router(device.export, device.settings, device.change_settings, device.events.all),
        "export",
    )
    later(lambda: wifi.router(device.wifi), "wifi")
    later(lambda: notifications.router(device.notifier), "notifications")
    later(lambda: setup.router(device.set_up), "setup")
    return layered(api, device.events.note)


def _elsewhere() -> Any:
    raise NotImplementedError("the web page's program answers this")


def _description(api: FastAPI) -> APIRouter:
    routes = APIRouter(prefix=PREFIX)

    @routes.get("/openapi.json", include_in_schema=False, dependencies=[requires("viewer")])
    def openapi() -> JSONResponse:
        return JSONResponse(api.openapi())

    return routes
