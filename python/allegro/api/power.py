"""Start the device again, or switch it off."""

from collections.abc import Callable

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.errors import ERRORS
from allegro.api.judge import requires
from allegro.system.power import Action


class PowerRequest(BaseModel):
    """What to do."""

    model_config = ConfigDict(extra="forbid")

    action: Action = Field(description="reboot: start again; power-off: switch off")


def router(power: Callable[[Action], None]) -> APIRouter:
    """POST /power."""
    routes = APIRouter(tags=["power"], responses=ERRORS)

    @routes.post("/power", dependencies=[requires("admin")], status_code=202)
    def post(request: PowerRequest) -> PowerRequest:
        """Answers at once; the device then ends what it does, which takes some seconds.

        Captures that are being made are finished after the next start.
        """
        power(request.action)
        return request

    return routes
