"""Management interface settings: the addresses by which the device is reached, by cable and by WiFi."""

from typing import Any

from starlette.responses import Response

from allegro.settings.network import Management
from allegro.settings.wifi import Wifi
from allegro.web.forms import Form
from allegro.web.menu import Action, Page
from allegro.web.pages.section import Section
from allegro.web.site import Visit

PATH = "/management"
LAN = Section("management", Management)
WIFI = Section("wifi", Wifi)


async def _show(visit: Visit, lan: Form, wifi: Form, status: int = 200) -> Response:
    return visit.render(
        "management.html",
        status=status,
        form=lan,
        wifi_form=wifi,
        wifi=await visit.api.get("/wifi"),
        network=await visit.api.get("/network"),
    )


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
        Action("GET", "/management/wifi/live", _live, poll=True),
        Action("POST", "/management/wifi/scan", _scan, role="admin"),
        Action("POST", "/management/wifi/join", _join, role="admin"),
    ),
)
