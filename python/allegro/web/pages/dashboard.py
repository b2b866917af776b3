"""Dashboard: how the device is, at a glance, and the button that captures."""

from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from allegro.errors import AllegroError
from allegro.web.site import Action, Page, Visit, see

CAPTURES = 8
RECORDING = {
    "recording": ("good", "Recording"),
    "starting": ("warning", "Recording starts"),
    "no-ring": ("error", "Not recording"),
    "silent": ("error", "Not recording"),
}


async def _facts(visit: Visit) -> dict[str, Any]:
    device = await visit.api.get("/status")
    device["problems"] = [*visit.site.problems(), *device["problems"]]
    jobs = await visit.api.get(f"/jobs?limit={CAPTURES}")
    names = [("name", job["file"]) for job in jobs if job["file"]]
    files = await visit.api.get(f"/files?{urlencode(names)}") if names else []
    kind, words = RECORDING[device["ring"]["state"]]
    return {
        "device": device,
        "ring": device["ring"],
        "jobs": jobs,
        "files": {file["name"] for file in files},
        "recording": {"kind": kind, "words": words},
    }


async def _look(visit: Visit, typed: str | None = None, mistake: str = "") -> Response:
    """`typed`: the filter that was sent, with its `mistake`; else that of the settings is offered."""
    settings = await visit.api.get("/settings")
    return visit.render(
        "dashboard.html",
        status=422 if mistake else 200,
        **await _facts(visit),
        trigger=settings["trigger"],
        filter=settings["trigger"]["filter"] if typed is None else typed,
        mistake=mistake,
        has_manual=visit.site.manual.one_file.exists(),
    )


async def _live(visit: Visit) -> Response:
    return visit.render("parts/dashboard_live.html", **await _facts(visit))


async def _graph(visit: Visit) -> Response:
    return JSONResponse(visit.site.history.series())


async def _press(visit: Visit) -> Response:
    asked = {"source": "page"}
    if "filter" in visit.data:
        asked["filter"] = visit.typed("filter")
    try:
        job = await visit.api.post("/trigger", asked)
    except AllegroError as error:
        if error.place != "filter":
            raise
        mistake = f"{error.message} {error.remedy}".strip()
        if visit.is_part:
            return visit.render("parts/pressed.html", mistake=mistake, kind="", text="")
        return await _look(visit, visit.typed("filter"), mistake)
    if job["state"] == "refused":
        kind, text = "error", f"Nothing was captured. {job['message']}"
    elif job["after_s"]:
        kind, text = "good", f"Accepted. The capture ends in {job['after_s']:.0f} s and then appears below."
    else:
        kind, text = "good", "Accepted. The capture appears below."
    if visit.is_part:
        return visit.render("parts/pressed.html", mistake="", kind=kind, text=text)
    visit.session.flash(kind, text)
    return see("/")


PAGE = Page(
    title="Dashboard",
    path="/",
    manual="dashboard",
    actions=(
        Action("GET", "/", lambda visit: _look(visit)),
        Action("GET", "/dashboard/live", _live, poll=True),
        Action("GET", "/dashboard/graph", _graph, poll=True),
        Action("POST", "/press", _press, role="capture"),
    ),
)
