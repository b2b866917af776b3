"""Management interface settings: the addresses by which the device is reached, by cable and by WiFi."""

import asyncio
from typing import Any

from starlette.responses import Response

from allegro.api.client import ApiError
from allegro.errors import AllegroError
from allegro.web import forms
from allegro.web.forms import Form, Values
from allegro.web.pages.section import Section
from allegro.web.site import Action, Page, Visit

PATH = "/management"
BMC_S = 5.0
"""So long the page waits for a BMC; one that is well answers within a second."""

HARMLESS = {"host_name", "confirm_s"}
"""What of the section does not change an address."""


def _moves(changes: Values) -> bool:
    return not changes.keys() <= HARMLESS


LAN = Section("management", moves=_moves)
WIFI = Section("wifi")


async def _show(
    visit: Visit, lan: Form, wifi: Form, status: int = 200, bmc: dict[str, Any] | None = None
) -> Response:
    return visit.render(
        "management.html",
        status=status,
        form=lan,
        wifi_form=wifi,
        wifi=await visit.api.get("/wifi"),
        network=await visit.api.get("/network"),
        bmc=bmc or await _bmc(visit),
    )


async def _bmc(visit: Visit) -> dict[str, Any] | None:
    """The BMC with its form; None without one. One that does not answer must not take the page with it."""
    try:
        async with asyncio.timeout(BMC_S):
            bmc: dict[str, Any] = await visit.api.get("/bmc")
    except TimeoutError:
        return {
            "problem": f"The BMC has not answered within {BMC_S:.0f} s. Load the page again to ask again."
        }
    except AllegroError as error:
        return {"problem": str(error)}
    if not bmc["present"]:
        return None
    from allegro.system.bmc import Wanted  # as in section: not at the start

    static = bmc["source"] == "static"
    values = {
        "source": "static" if static else "dhcp",
        "address": bmc["address"] if static else "",
        "gateway": bmc["gateway"] if static else "",
    }
    return {**bmc, "problem": "", "form": forms.form(Wanted, "bmc", values)}


async def _confirm(visit: Visit) -> Response:
    await visit.api.post("/network/confirm")
    return visit.done("Confirmed: the changed settings stay.")


async def _take_back(visit: Visit) -> Response:
    await visit.api.post("/network/take-back")
    return visit.done("The changed settings are taken back.")


async def _look(visit: Visit) -> Response:
    return await _show(visit, await LAN.present(visit), await WIFI.present(visit))


async def _lan_again(visit: Visit, form: Form, status: int) -> Response:
    return await _show(visit, form, await WIFI.present(visit), status)


def pages_at(management: Values, host_name: str) -> list[str]:
    """Where the page may be opened after the change: by addresses that were set, and by the name."""
    ports = (management, management["second"])
    addresses = [port["address"].partition("/")[0] for port in ports if port["mode"] != "dhcp"]
    return [f"https://{host}/" for host in (*filter(None, addresses), f"{host_name}.local")]


async def moved(visit: Visit, answer: Values) -> Response:
    """Shown before the address changes, as no answer may come afterwards."""
    management = answer["settings"]["management"]
    return visit.render(
        "moved.html",
        pages=pages_at(management, management["host_name"] or visit.site.host_name),
        by_dhcp=management["mode"] == "dhcp",
        within_s=answer["confirm_within_s"],
    )


async def _wifi_again(visit: Visit, form: Form, status: int) -> Response:
    return await _show(visit, await LAN.present(visit), form, status)


async def _live(visit: Visit) -> Response:
    return visit.render("parts/wifi_live.html", wifi=await visit.api.get("/wifi"))


async def _scan(visit: Visit) -> Response:
    wifi: dict[str, Any] = await visit.api.post("/wifi/scan")
    if visit.is_part:
        return visit.render("parts/wifi_networks.html", networks=wifi["scan"]["networks"], wifi=wifi)
    count = len(wifi["scan"]["networks"])
    return visit.done(f"{count} network{'' if count == 1 else 's'} found.")


async def _join(visit: Visit) -> Response:
    ssid = visit.typed("ssid")
    client = {"ssid": ssid, "password": visit.typed("password")}
    answer = await visit.api.patch("/settings", {"wifi": {"mode": "client", "client": client}})
    text = f"The device joins {ssid}. Open this page there, and confirm the change."
    return visit.done(text, warnings=answer["warnings"])


async def _claim(visit: Visit) -> Response:
    wanted = {"dhcp_server": bool(visit.typed("dhcp_server"))}
    claim = await visit.api.post("/network/temporary-address", wanted)
    return visit.done(f"The management port has the address {claim['address']} until power-off.")


async def _release(visit: Visit) -> Response:
    await visit.api.delete("/network/temporary-address")
    return visit.done("The temporary address is given back.")


async def _set_bmc(visit: Visit) -> Response:
    from allegro.system.bmc import Wanted

    typed = forms.patch(Wanted, "bmc", visit.data)
    wanted = {"source": "dhcp"} if typed.get("source") == "dhcp" else typed
    try:
        await visit.api.put("/bmc", wanted)
    except ApiError as error:
        bmc = await _bmc(visit)
        if error.status != 422 or bmc is None or bmc["problem"]:
            raise
        mistake = AllegroError(error.message, place=f"bmc.{error.place}", remedy=error.remedy)
        bmc["form"] = forms.with_error(forms.form(Wanted, "bmc", typed), mistake)
        return await _show(visit, await LAN.present(visit), await WIFI.present(visit), 422, bmc)
    if typed.get("source") == "dhcp":
        return visit.done("The BMC gets its address from a DHCP server.")
    return visit.done("The BMC has its new address.")


PAGE = Page(
    title="Management interface settings",
    path=PATH,
    manual="network#management-port",
    group=("Settings",),
    actions=(
        Action("GET", PATH, _look),
        Action(
            "POST",
            PATH,
            LAN.saver(
                _lan_again,
                "Saved. If the address of the device changes, open the page at the new one and confirm it"
                " there.",
                moved,
            ),
            role="admin",
        ),
        Action("POST", "/management/confirm", _confirm, role="admin"),
        Action("POST", "/management/take-back", _take_back, role="admin"),
        Action(
            "POST",
            "/management/wifi",
            WIFI.saver(
                _wifi_again,
                "Saved. If the network of the device changes, join it again and confirm that on this page.",
            ),
            role="admin",
        ),
        Action("GET", "/management/wifi/live", _live, every_s=3),
        Action("POST", "/management/wifi/scan", _scan, role="admin"),
        Action("POST", "/management/wifi/join", _join, role="admin"),
        Action("POST", "/management/temporary-address", _claim, role="admin"),
        Action("POST", "/management/temporary-address/release", _release, role="admin"),
        Action("POST", "/management/bmc", _set_bmc, role="admin"),
    ),
)
