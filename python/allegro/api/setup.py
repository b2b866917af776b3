"""How far the set-up of a new device is: where the page goes on with it."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.audit import say
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.first_steps import Place
from allegro.system.set_up import SetUp


class SetUpPlace(BaseModel):
    """Where the set-up is."""

    model_config = ConfigDict(extra="forbid")

    step: Place = Field(
        description="The step with which it goes on. not-begun: it has not been offered, as on a device that"
        " was set up without it"
    )


def router(set_up: SetUp) -> APIRouter:
    """GET and PUT /setup."""
    routes = noun("setup")

    @routes.get("/setup", dependencies=[requires("viewer")])
    def place() -> SetUpPlace:
        """Where the set-up is."""
        return SetUpPlace(step=set_up.place())

    @routes.put("/setup", dependencies=[requires("admin")])
    def go(wanted: SetUpPlace, request: Request) -> SetUpPlace:
        """Goes on there from now on. Nothing else is changed: what a step sets are settings."""
        set_up.go(wanted.step)
        say(request, f"Set-up: {wanted.step}")
        return SetUpPlace(step=set_up.place())

    return routes
