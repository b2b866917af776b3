"""The clock: zone, servers, whether it is synchronised; set by hand."""

import time
from collections.abc import Callable
from typing import Self

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.system.clock import ClockState
from allegro.words import utc


class ClockAnswer(BaseModel):
    """How the clock is."""

    time: str = Field(description="ISO 8601, UTC")
    zone: str
    utc_offset: str = Field(description="Of local time now, ±hh:mm")
    synchronised: bool = Field(description="Set by an NTP server, and no doubt about it since")
    server: str = Field(description="The NTP server that is asked at the moment; empty if there is none")
    address: str = Field(description="Its address")
    servers: list[str] = Field(description="From the settings")
    servers_from_network: list[str] = Field(description="Named by DHCP")
    fallback_servers: list[str] = Field(description="Asked if there are no others")

    @classmethod
    def of(cls, state: ClockState) -> Self:
        """The clock as the API shows it."""
        return cls(
            time=utc(time.time_ns()),
            zone=state.zone,
            utc_offset=state.utc_offset,
            synchronised=state.synchronised,
            server=state.server,
            address=state.address,
            servers=list(state.servers),
            servers_from_network=list(state.servers_from_network),
            fallback_servers=list(state.fallback_servers),
        )


class Setting(BaseModel):
    """What the clock is to show."""

    model_config = ConfigDict(extra="forbid")

    time: AwareDatetime = Field(description="ISO 8601 with its offset, or Z for UTC")


def router(state: Callable[[], ClockState], set_clock: Callable[[int], None]) -> APIRouter:
    """GET and PUT /time; `set_clock` takes ns since 1970."""
    routes = noun("time")

    @routes.get("/time", dependencies=[requires("viewer")])
    def clock() -> ClockAnswer:
        """The clock; servers and zone are settings (section time)."""
        return ClockAnswer.of(state())

    @routes.put("/time", dependencies=[requires("admin")])
    def put(request: Setting) -> ClockAnswer:
        """Sets the clock by hand, while no time server keeps it. Captures of before keep their times."""
        set_clock(round(request.time.timestamp() * 1_000_000) * 1000)
        return ClockAnswer.of(state())

    return routes
