"""Configuration reset."""

from collections.abc import Callable, Iterable

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.system.configuration_reset import Keep


class ResetRequest(BaseModel):
    """What to spare."""

    model_config = ConfigDict(extra="forbid")

    keep: list[Keep] = Field(
        default=[],
        description="management: settings of management ports and WiFi; users: users of the web page with"
        " their passwords; storage: settings of ring and storage; keys: SSH key and certificate. Captures and"
        " the packet ring are always kept.",
    )


def router(configuration: Callable[[Iterable[str]], None]) -> APIRouter:
    """POST /reset."""
    routes = noun("reset")

    @routes.post("/reset", dependencies=[requires("admin")], status_code=202)
    def reset(request: ResetRequest) -> ResetRequest:
        """Puts all settings back to their defaults. The device starts again for it, at once."""
        configuration(request.keep)
        return request

    return routes
