"""The REST API: all routers together, described in /api/openapi.json."""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from allegro.accounts.roles import Role
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
from allegro.api.head import Head
from allegro.api.judge import requires, roles
from allegro.api.regular_paths import RegularPaths

PREFIX = "/api"

_SCHEMES = {
    "password": {"type": "http", "scheme": "basic", "description": "Name and password of a user"},
}


class Api(FastAPI):
    """The API with the least role of each route in its description."""

    def __init__(self, version: str) -> None:
        super().__init__(
            title="Allegro",
            version=version,
            description="Everything that the web page and the command line do. Times are UTC.",
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
        )
        self._roles: dict[tuple[str, str], Role] = {}

    def add(self, router: APIRouter) -> None:
        """Takes the routes of a noun. Raises TypeError for a route that does not say which role it needs."""
        found = roles(router).items()
        self._roles |= {(method, f"{PREFIX}{path}"): role for (method, path), role in found}
        self.include_router(router, prefix=PREFIX)

    def openapi(self) -> dict[str, Any]:
        """The description; the least role for an operation stands in its `security` (OpenAPI 3.1, 4.8.30)."""
        described = super().openapi()
        described["components"]["securitySchemes"] = _SCHEMES
        for (method, path), role in self._roles.items():
            operation = described["paths"].get(path, {}).get(method.lower())
            if operation is not None:
                operation["security"] = [{scheme: [role]} for scheme in _SCHEMES]
        return described


def create_app(device: Device) -> ASGIApp:
    """The API of one device, ready to be served.

    It trusts its caller's word about the user: the socket decides who may connect. What the user may do the
    routes decide.
    """
    api = Api(device.firmware)
    errors.install(api)
    for router in (
        _description(api),
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
        api.add(router)
    return RegularPaths(Audit(Head(api)))


def _description(api: FastAPI) -> APIRouter:
    routes = APIRouter()

    @routes.get("/openapi.json", include_in_schema=False, dependencies=[requires("viewer")])
    def openapi() -> JSONResponse:
        return JSONResponse(api.openapi())

    return routes
