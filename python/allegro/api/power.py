"""Start the device again, or switch it off."""

from collections.abc import Callable

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.system.power import Action


class PowerRequest(BaseModel):
    """What to do."""

    model_config = ConfigDict(extra="forbid")

    action: Action = Field(description="reboot: start again; power-off: switch off")


def router(power: Callable[[Action], None], restart_without_data: Callable[[], None]) -> APIRouter:
    """POST /power, and /power/rescue for the web page where nobody can log in."""
    routes = noun("power")

    @routes.post("/power", dependencies=[requires("admin")], status_code=202)
    def post(request: PowerRequest) -> PowerRequest:
        """Answers at once; the device then ends what it does, which takes some seconds.

        Captures that are being made are finished after the next start.
        """
        power(request.action)
        return request

    @routes.post("/power/rescue", dependencies=[requires("admin")], status_code=202)
    def rescue() -> PowerRequest:
        """Starts the device again because its data partition, and with it its users, cannot be used.

        The web page asks for it for those who cannot log in then. Only while there is no data partition, and
        not within the first ten minutes after a start.
        """
        restart_without_data()
        return PowerRequest(action="reboot")

    return routes
