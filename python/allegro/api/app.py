"""The REST API: all routers together, described in /api/openapi.json."""

from fastapi import FastAPI

from allegro.api import (
    bmc,
    clock,
    errors,
    export,
    files,
    firmware,
    install,
    jobs,
    log,
    network,
    power,
    reset,
    ring,
    settings,
    status,
    wifi,
)
from allegro.api.audit import Audit
from allegro.api.device import Device

PREFIX = "/api"


def create_app(device: Device) -> FastAPI:
    """The API of one device, ready to be served. It trusts its caller: the socket decides who may connect."""
    app = FastAPI(
        title="Allegro",
        version=device.firmware,
        description="Everything that the web page and the command line do. Times are UTC.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    errors.install(app)
    app.add_middleware(Audit)
    for router in (
        status.router(device),
        jobs.router(device.triggers, device.jobs, device.cutter),
        ring.router(device.recorder),
        settings.router(device.settings, device.change_settings, device.network.remaining_s),
        power.router(device.power),
        reset.router(device.reset_configuration),
        network.router(device.network),
        bmc.router(device.bmc),
        clock.router(device.clock),
        files.router({"storage": device.storage, "upload": device.upload}),
        log.router(device.log),
        firmware.router(device.updates),
        install.router(device.installer),
        export.router(device.export, device.settings, device.change_settings),
        wifi.router(device.wifi),
    ):
        app.include_router(router, prefix=PREFIX)
    return app
