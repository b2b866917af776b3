"""Dashboard: how the device is, at a glance, and the button that captures."""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from allegro.api.client import segment
from allegro.errors import AllegroError
from allegro.web.readiness import Item
from allegro.web.setup_offer import unfinished
from allegro.web.site import Action, Page, Visit, see

CAPTURES = 8
ASK_AGAIN_S = 30.0
RECORDING = {
    "recording": ("good", "Recording"),
    "starting": ("warning", "Recording starts"),
    "no-ring": ("error", "Not recording"),
    "silent": ("error", "Not known"),
}

ONE_PRESS = "This click came so soon after the one before that both are one press."


async def _facts(visit: Visit) -> dict[str, Any]:
    device = await visit.api.get("/status")
    device["problems"] = [*visit.site.problems(), *device["problems"]]
    kind, words = RECORDING[device["ring"]["state"]]
    if device["ring"]["in_memory_since"]:
        kind, words = "warning", "Recording in memory only"
    return {
        "device": device,
        "ring": device["ring"],
        **await _captures(visit, device),
        "recording": {"kind": kind, "words": words},
    }


async def _captures(visit: Visit, device: Mapping[str, Any]) -> Mapping[str, Any]:
    """The last captures and their files.

    An open dashboard asks for them again when the status tells of a change, as long as one is being made, and
    now and then for what no status tells.
    """
    counts = [device["storage"][name] for name in ("files", "sent", "on_disk")]
    seen = [device["jobs"], counts, device["uploads_waiting"]]
    kept = {} if visit.kept is None else visit.kept
    if kept.get("seen") == seen and visit.site.now_s() < kept["until_s"]:
        known: Mapping[str, Any] = kept["captures"]
        return known
    made = await captures(visit, device["time"], CAPTURES)
    if not any(job["state"] in ("accepted", "waiting", "cutting") for job in made["jobs"]):
        kept.update(seen=seen, captures=made, until_s=visit.site.now_s() + ASK_AGAIN_S)
    return made


async def captures(visit: Visit, time: str, most: int) -> dict[str, Any]:
    """The newest captures, and which of their files are there (for parts/captures.html); `time` is now."""
    jobs = await visit.api.get(f"/jobs?limit={most}")
    made = [*jobs, *(row for job in jobs for row in job["rows"])]
    names = [("name", one["file"]) for one in made if one["file"]]
    files = await visit.api.get(f"/files?{urlencode(names)}") if names else []
    there = {file["name"]: file["directory"] for file in files}
    waits = await _waits(visit) if "upload" in there.values() else ""
    gone = [("name", name) for _, name in names if name not in there]
    sent = await _sent(visit, gone) if gone else None
    for job in jobs:
        job["window_is_open"] = job["end_time"] > time
        for one in (job, *job["rows"]):
            one["became"] = became({"finished_time": job["finished_time"], **one}, sent) if sent else ""
            one["waits"] = waits if there.get(one["file"]) == "upload" else ""
    return {"jobs": jobs, "files": there}


async def _sent(visit: Visit, names: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
    """What is known of files that are gone (GET /export/sent). Their captures are shown without it, too."""
    try:
        known: Mapping[str, Any] = await visit.api.get(f"/export/sent?{urlencode(names)}")
    except AllegroError:
        return {"names": [], "noted_since": None, "deleted_by": {}}
    return known


async def _waits(visit: Visit) -> str:
    """What files in the upload directory wait for, in words; some are sent sooner, as when told to."""
    export = await visit.api.get("/settings/export")
    if not export["enabled"]:
        return "waits, as the upload is off"
    if export["immediately"]:
        return "waits to be sent"
    return f"waits for the upload (each day at {export['time']})"


def became(job: Mapping[str, Any], sent: Mapping[str, Any]) -> str:
    """What became of a capture whose file is gone, as far as it is known (`sent`: GET /export/sent)."""
    if job["file"] in sent["names"]:
        return "sent"
    if who := sent["deleted_by"].get(job["file"]):
        return f"deleted by {who}"
    if job["directory"] == "disk":  # which may just be unplugged
        return "not here any more"
    since = sent["noted_since"]
    noted = since is not None and (job["finished_time"] or "") >= since
    noted = noted or job["directory"] not in ("upload", "sent")
    return "deleted" if noted else "not here any more"


async def _look(visit: Visit, typed: str | None = None, mistake: str = "") -> Response:
    """`typed`: the filter that was sent, with its `mistake`; else that of the settings is offered."""
    trigger = (await visit.api.get("/settings"))["trigger"]
    return visit.render(
        "dashboard.html",
        status=422 if mistake else 200,
        **await _facts(visit),
        ready=await _readiness(visit),
        trigger=trigger,
        rows=_rows_in_use(trigger),
        filter=_offered(trigger) if typed is None else typed,
        mistake=mistake,
        setup=await unfinished(visit),
        has_manual=visit.site.manual.one_file.exists(),
    )


def _rows_in_use(trigger: Mapping[str, Any]) -> int:
    return sum(row["enabled"] for row in trigger["rows"])


def _offered(trigger: Mapping[str, Any]) -> str:
    """What the field for the filter of a press begins with; empty where the filter table counts."""
    return "" if _rows_in_use(trigger) else str(trigger["filter"])


async def _live(visit: Visit) -> Response:
    facts = await _facts(visit)
    visit.site.history.feed(time.time(), facts["ring"])
    return visit.render("parts/dashboard_live.html", **facts)


async def _readiness(visit: Visit) -> Sequence[Item]:
    site = visit.site
    return await site.readiness.items(site.backend, visit.zone, site.now_s)


async def _ready(visit: Visit) -> Response:
    return visit.render("parts/dashboard_ready.html", ready=await _readiness(visit))


async def _graph(visit: Visit) -> Response:
    return JSONResponse(visit.site.history.series())


async def press(visit: Visit) -> Response:
    """Press now, from this page or another one."""
    asked = {"source": "page"}
    if "filter" in visit.data:
        offered = _offered(await visit.api.get("/settings/trigger"))
        if (typed := visit.typed("filter").strip()) != offered:
            asked["filter"] = typed
    before = visit.session.pressed
    visit.session.pressed = (
        visit.site.now_s(),
        asked,
    )  # at once: a double click is two requests side by side
    if before is not None and before[1] == asked and await _is_one_press(visit, before[0]):
        return _pressed(visit, "good", ONE_PRESS)
    try:
        job = await visit.api.post("/trigger", asked)
    except AllegroError as error:
        visit.session.pressed = None
        if error.place != "filter" or "filter" not in visit.data:
            raise
        mistake = f"{error.message} {error.remedy}".strip()
        if visit.is_part:
            return visit.render("parts/pressed.html", mistake=mistake, kind="", text="")
        return await _look(visit, visit.typed("filter"), mistake)
    if job["state"] == "refused":
        visit.session.pressed = None
        kind, text = "error", f"Nothing was captured. {job['message']}"
    elif job["after_s"]:
        kind, text = "good", f"Accepted. The capture ends in {job['after_s']:.0f} s and then appears below."
    else:
        kind, text = "good", "Accepted. The capture appears below."
    return _pressed(visit, kind, text)


async def _is_one_press(visit: Visit, before_s: float) -> bool:
    """Whether a press after that one is no further one, as with a key of the presenter."""
    debounce_ms: int = (await visit.api.get("/settings/trigger"))["debounce_ms"]
    return visit.site.now_s() - before_s < debounce_ms / 1000


async def _stop(visit: Visit) -> Response:
    """A capture, or a row of it, that is not finished."""
    number, row = visit.typed("job"), visit.typed("row")
    job = await visit.api.post(f"/jobs/{segment(number)}{f'/rows/{segment(row)}' if row else ''}/cancel")
    if row:
        return visit.done("The row is stopped: it has no file.")
    kept = ". Files that were complete are kept." if job["rows"] else ": it has no file."
    return visit.done(f"The capture is stopped{kept}")


def _pressed(visit: Visit, kind: str, text: str) -> Response:
    if visit.is_part:
        return visit.render("parts/pressed.html", mistake="", kind=kind, text=text)
    visit.session.flash(kind, text)
    return see(visit.page.path if visit.page else "/")


PAGE = Page(
    title="Dashboard",
    path="/",
    manual="dashboard",
    actions=(
        Action("GET", "/", lambda visit: _look(visit)),
        Action("GET", "/dashboard/live", _live, every_s=2),
        Action("GET", "/dashboard/ready", _ready, every_s=10),
        Action("GET", "/dashboard/graph", _graph, every_s=2),
        Action("POST", "/dashboard/stop", _stop, role="capture"),
        Action("POST", "/press", press, role="capture"),
    ),
)
