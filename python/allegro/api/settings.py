"""The settings: show them, change some of them."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field

from allegro.api.errors import ERRORS
from allegro.api.judge import requires
from allegro.settings.masks import masked
from allegro.settings.model import Settings

Change = Callable[[Mapping[str, Any]], tuple[Settings, list[str]]]


class SettingsChanged(BaseModel):
    """What holds now."""

    settings: Settings = Field(description="All settings; secrets are masked")
    warnings: list[str] = Field(
        description="The settings are saved, but these could not be put into effect yet, in plain words"
    )
    confirm_within_s: float | None = Field(
        description="If not null: the settings of the network are taken back after so many seconds, unless"
        " POST /api/network/confirm comes first, from the new address"
    )


def router(
    current: Callable[[], Settings], change: Change, remaining_s: Callable[[], float | None]
) -> APIRouter:
    """GET and PATCH /settings. `change` saves a patch and applies it; it answers with what did not work.

    `remaining_s`: seconds left to confirm a change of the network, None if none waits.
    """
    routes = APIRouter(tags=["settings"], responses=ERRORS)

    @routes.get("/settings", dependencies=[requires("viewer")])
    def get() -> Settings:
        """All settings. A secret that is set is shown as asterisks."""
        return Settings.model_validate(masked(current()))

    @routes.patch("/settings", dependencies=[requires("admin")])
    def patch(
        changes: Annotated[
            dict[str, Any],
            Body(
                description="Any part of the settings, nested as they are shown; what is not named stays as"
                " it is. A secret that comes back as asterisks stays as it is, too.",
                examples=[{"trigger": {"before_s": 90}}],
            ),
        ],
    ) -> SettingsChanged:
        """Changes settings. Everything is checked first: either all is saved, or nothing."""
        new, warnings = change(changes)
        return SettingsChanged(
            settings=Settings.model_validate(masked(new)),
            warnings=warnings,
            confirm_within_s=remaining_s(),
        )

    return routes
