"""Firmware updates: versions at hand, update server, upload, activation."""

from typing import Any

from starlette.responses import Response

from allegro.api.client import ApiError, segment
from allegro.web.forms import Form
from allegro.web.pages.section import Section
from allegro.web.site import Action, Page, Visit, see

PATH = "/firmware"
ACTION = "firmware"
"""The name of its long actions in the status."""

SECTION = Section("firmware")


async def _show(visit: Visit, form: Form, status: int) -> Response:
    return visit.render(
        "firmware.html",
        status=status,
        form=form,
        firmware=await visit.api.get("/firmware"),
        events=await visit.api.get("/firmware/events"),
        action=await _action(visit),
    )


async def _live(visit: Visit) -> Response:
    action = await _action(visit)
    if visit.request.query_params.get("shown") != _shown(action):
        # Something began or ended: the versions are others now, too.
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return visit.render("parts/firmware_live.html", action=action)


async def _check(visit: Visit) -> Response:
    try:
        newer = (await visit.api.post("/firmware/check"))["newer"]
    except ApiError as error:
        if error.message in (await visit.api.get("/firmware"))["check_problem"]:
            return see(PATH)  # which shows it, as long as it holds
        raise
    return visit.done(
        f"There is a newer version: {newer}." if newer else "There is no newer version on the update server."
    )


async def _download(visit: Visit) -> Response:
    await visit.api.post("/firmware/download", {"version": visit.typed("name")})
    return visit.done(f"Version {visit.typed('name')} is being downloaded.")


async def _install(visit: Visit) -> Response:
    older = visit.typed("older") == "on"
    await visit.api.post("/firmware/install", {"name": visit.typed("name"), "older": older})
    return visit.done(f"{visit.typed('name')} is being installed. The running version goes on meanwhile.")


async def _activate(visit: Visit) -> Response:
    older = visit.typed("older") == "on"
    answer = await visit.api.post("/firmware/activate", {"slot": visit.typed("name"), "older": older})
    return visit.render("restarting.html", text=f"The device starts version {answer['version']}.", back=PATH)


async def _delete(visit: Visit) -> Response:
    name = visit.typed("name")
    await visit.api.delete(f"/firmware/files/{segment(name)}")
    return visit.done(f"{name} is deleted.")


async def _action(visit: Visit) -> dict[str, Any] | None:
    """What is being done to the firmware, or was done last."""
    actions: list[dict[str, Any]] = (await visit.api.get("/status"))["actions"]
    return next((action for action in actions if action["name"] == ACTION), None)


def _shown(action: dict[str, Any] | None) -> str:
    return action["state"] if action else "none"


PAGE = Page(
    title="Firmware updates",
    path=PATH,
    manual="firmware",
    group=("Settings",),
    actions=(
        *SECTION.actions(PATH, _show),
        Action("GET", "/firmware/live", _live, every_s=2),
        Action("POST", "/firmware/check", _check, role="admin"),
        Action("POST", "/firmware/download", _download, role="admin"),
        Action("POST", "/firmware/install", _install, role="admin"),
        Action("POST", "/firmware/activate", _activate, role="admin"),
        Action("POST", "/firmware/delete", _delete, role="admin"),
    ),
)
