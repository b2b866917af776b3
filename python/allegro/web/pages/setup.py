"""Set-up of a new device in five steps, each on this page: it is left and taken up again where one was."""

from typing import Any, get_args

from starlette.responses import Response

from allegro import first_steps
from allegro.errors import AllegroError, NotFound
from allegro.first_steps import Step
from allegro.web import port_picture
from allegro.web.forms import Form
from allegro.web.pages import dashboard, links, time, trigger
from allegro.web.pages.section import Section
from allegro.web.setup_offer import PATH, begin
from allegro.web.site import Action, Page, Visit, see

LEARN_S = 300
"""Seconds for which a key of an unknown presenter is waited for."""

SFTP = Section("export", only=("host", "port", "username", "password", "immediately"))


async def _look(visit: Visit) -> Response:
    await begin(visit)
    step = first_steps.shown((await visit.api.get(PATH))["step"])
    return await _show(visit, step)


async def _show(visit: Visit, step: Step, status: int = 200, **more: Any) -> Response:
    return visit.render(
        "setup.html",
        status=status,
        **(await _FACTS[step](visit) | more),
        step=step,
        number=first_steps.number(step),
        before=first_steps.before(step),
        after=first_steps.after(step),
    )


async def _clock(visit: Visit) -> dict[str, Any]:
    first_password = (await visit.api.get("/wifi"))["first_password"]
    return {"clock": await time.clock(visit), "first_wifi_password": first_password}


async def _links(visit: Visit) -> dict[str, Any]:
    network, ring = await visit.api.get("/network"), await visit.api.get("/ring")
    jacks = port_picture.jacks(network["ports"], ring["ports"])
    return {
        "jacks": jacks,
        "missing": [ring["message"]] if ring["message"] else port_picture.missing(jacks),
        "seeing": port_picture.seeing(jacks),
        "blinking": [port["name"] for port in network["ports"] if port["present"]],
    }


async def _presenter(visit: Visit) -> dict[str, Any]:
    facts = await trigger.presenters(visit)
    last = facts["inputs"]["last_press"]
    heard_now = last is not None and last["job"] > await _since(visit)
    settings = await visit.api.get("/settings/trigger")
    return {**facts, "heard_now": heard_now, "beep": settings["beep"], "use_path": "/setup/use"}


async def _captures(visit: Visit) -> dict[str, Any]:
    return {"form": await SFTP.present(visit), "result": None, "accept_path": "/setup/accept"}


async def _press(visit: Visit) -> dict[str, Any]:
    device, since = await visit.api.get("/status"), await _since(visit)
    made = await dashboard.captures(visit, device["time"], 1)
    jobs = [job for job in made["jobs"] if job["id"] > since]
    settings = await visit.api.get("/settings/export")
    waits = any(job["file"] in made["files"] and job["directory"] == "upload" for job in jobs)
    return {"jobs": jobs, "files": made["files"], "export": settings, "waits": waits}


_FACTS = {"clock": _clock, "links": _links, "presenter": _presenter, "captures": _captures, "press": _press}


async def _since(visit: Visit) -> int:
    """The newest capture when the step was opened: what is newer has come of a press in it."""
    if visit.session.setup_since is None:
        visit.session.setup_since = await _newest(visit)
    return visit.session.setup_since


async def _newest(visit: Visit) -> int:
    return max((job["id"] for job in await visit.api.get("/jobs?limit=1")), default=0)


async def _go(visit: Visit) -> Response:
    return await _at(visit, visit.typed("step"))


async def _at(visit: Visit, place: str, said: str = "") -> Response:
    """Goes on at this step, and waits there for a key of an unknown presenter, too."""
    if place not in get_args(first_steps.Place):
        raise NotFound("There is no such step.")
    inputs = await visit.api.get("/presenters")
    if place != "presenter" and (inputs["heard"] or inputs["learning_s"] is not None):
        await visit.api.delete("/presenters/learn")
    await visit.api.put(PATH, {"step": place})
    visit.session.setup_begins = False
    visit.session.setup_since = await _newest(visit)
    if place == "presenter":
        await _wait_for_a_key(visit)
    if said:
        visit.session.flash("good", said)
    if place == "finished":
        return visit.done("The set-up is finished.", "/")
    return see(PATH)


async def _wait_for_a_key(visit: Visit) -> None:
    try:
        await visit.api.post("/presenters/learn", {"seconds": LEARN_S})
    except AllegroError as error:  # a presenter that is known works without
        visit.session.flash("warning", f"{error}")


async def _set_clock(visit: Visit) -> Response:
    """By the browser: its zone, and its time unless a server keeps the clock."""
    if zone := visit.typed("zone"):
        await visit.api.patch("/settings/time", {"zone": zone})
    clock = await visit.api.get("/time")
    if (utc := visit.typed("utc")) and not clock["synchronised"]:
        clock = await visit.api.put("/time", {"time": utc})
    return await _at(visit, "links", f"The device's time: {time.local(clock)}, {clock['zone']}.")


async def _learn(visit: Visit) -> Response:
    await _wait_for_a_key(visit)
    return see(PATH)


async def _live_links(visit: Visit) -> Response:
    return visit.render("parts/setup_links.html", **await _links(visit))


async def _live_presenter(visit: Visit) -> Response:
    return visit.render("parts/setup_presenter.html", **await _presenter(visit))


async def _live_press(visit: Visit) -> Response:
    return visit.render("parts/setup_press.html", **await _press(visit))


async def _again(visit: Visit, form: Form, status: int) -> Response:
    return await _show(visit, "captures", status, form=form)


async def _here(visit: Visit) -> Response:
    await visit.api.patch("/settings/export", {"enabled": False})
    return await _at(visit, "press", "Captures stay on this device.")


async def _server(visit: Visit) -> Response:
    """Saves the server, and tests it at once."""
    answer = await SFTP.saver(_again)(visit)
    return await _tested(visit) if answer.status_code == see(PATH).status_code else answer


async def _accept(visit: Visit) -> Response:
    await visit.api.post("/export/host-key", {"fingerprint": visit.typed("fingerprint")})
    return await _tested(visit)


async def _tested(visit: Visit) -> Response:
    """Captures are sent only to a server that has taken the test file."""
    export = await visit.api.get("/settings/export")
    if export["protocol"] != "sftp" or export["enabled"]:
        await visit.api.patch("/settings/export", {"protocol": "sftp", "enabled": False})
    result = await visit.api.post("/export/test")
    if not result["accepted"]:
        return await _show(visit, "captures", result=result)
    await visit.api.patch("/settings/export", {"enabled": True})
    return await _at(visit, "press", f"{result['message']} Captures go to this server from now on.")


PAGE = Page(
    title="Set-up",
    path=PATH,
    manual="set-up",
    below="/administration",
    role="admin",
    actions=(
        Action("GET", PATH, _look, role="admin"),
        Action("POST", PATH, _go, role="admin"),
        Action("POST", "/setup/clock", _set_clock, role="admin"),
        Action("GET", "/setup/links", _live_links, role="admin", every_s=2),
        Action("POST", "/setup/blink", links.blink, role="admin"),
        Action("GET", "/setup/presenter", _live_presenter, role="admin", every_s=1),
        Action("POST", "/setup/learn", _learn, role="admin"),
        Action("POST", "/setup/use", trigger.use, role="admin"),
        Action("POST", "/setup/tone", trigger.tone, role="admin"),
        Action("POST", "/setup/here", _here, role="admin"),
        Action("POST", "/setup/server", _server, role="admin"),
        Action("POST", "/setup/accept", _accept, role="admin"),
        Action("POST", "/setup/press", dashboard.press, role="admin"),
        Action("GET", "/setup/press", _live_press, role="admin", every_s=2),
    ),
)
