"""The machine's management controller (BMC): its LAN address."""

from typing import Literal, Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.system.bmc import Bmc, BmcLan, Wanted


class BmcAnswer(BaseModel):
    """The LAN address of the BMC; `present` is false in a machine without one, the rest is empty then."""

    present: bool
    source: Literal["", "static", "dhcp", "bios", "other"]
    address: str = Field(description="With prefix length; empty if it has none")
    gateway: str
    mac: str

    @classmethod
    def of(cls, lan: BmcLan | None) -> Self:
        """What is known."""
        if lan is None:
            return cls(present=False, source="", address="", gateway="", mac="")
        return cls(present=True, source=lan.source, address=lan.address, gateway=lan.gateway, mac=lan.mac)


def router(bmc: Bmc) -> APIRouter:
    """GET and PUT /bmc."""
    routes = noun("bmc")

    @routes.get("/bmc", dependencies=[requires("viewer")])
    def get() -> BmcAnswer:
        """The BMC's LAN address, asked from the BMC."""
        return BmcAnswer.of(bmc.lan() if bmc.present else None)

    @routes.put("/bmc", dependencies=[requires("admin")])
    def put(request: Wanted) -> BmcAnswer:
        """Sets it; kept by the BMC itself, also over resets of this device."""
        return BmcAnswer.of(bmc.set_lan(request.source, request.address, request.gateway))

    return routes
