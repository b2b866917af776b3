"""Capture: the time line of the ring, and any part of it as a file."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from allegro.api.client import ApiError
from allegro.errors import AllegroError, InvalidInput
from allegro.web.local_time import comes_twice, local_of, utc_of, which_of
from allegro.web.site import Action, Page, Visit, see

PATH = "/capture"
PRESSES = 200
"""So many of the last presses are marked."""
STEPS = 400
MOMENTS = ("start", "end")
OFFERED = timedelta(seconds=60)
LONGEST = timedelta(days=1)
"""The longest window that the device cuts."""
SHAPE = ("format", "packet_length", "size_limit_mib")
"""What the file looks like; begins as the settings have it."""

TARGETS = {"computer": "This computer, at once", "storage": "Storage of the device", "upload": "Upload queue"}
LONGEST_NAME = 32
LONGEST_NOTE = 200

MOST = {"packet_length": 65535, "size_limit_mib": 1024 * 1024}
"""As `allegro.settings.filter_table` has them, which is loaded by the first form only."""

NO_STREAM = {
    429: (
        "As many live captures as the device makes are going on.",
        "Wait until one of them has ended, or capture a file.",
    ),
    503: ("The device has no packets at the moment.", "The dashboard says why, and what to do."),
}
"""Words and remedy by the status with which the API refuses a stream that makes sense."""


async def _look(
    visit: Visit, typed: dict[str, str] | None = None, mistakes: dict[str, str] | None = None
) -> Response:
    """`typed` with its `mistakes` by field; without them the last minute is offered."""
    settings = await visit.api.get("/settings")
    zone: str = settings["time"]["zone"]
    if typed is None:
        now = datetime.now(UTC)
        typed = {name: str(settings["trigger"][name]) for name in ("filter", *SHAPE)} | {
            "name": "",
            "note": "",
        }
        typed["target"] = "upload" if settings["export"]["enabled"] else "storage"
        for name, moment in (("start", now - OFFERED), ("end", now)):
            typed[name] = local_of(moment.isoformat(), zone)
            typed[f"{name}_which"] = which_of(moment.isoformat(), zone)
    return visit.render(
        "capture.html",
        status=422 if mistakes else 200,
        zone=zone,
        typed=typed,
        twice={name: comes_twice(typed[name], zone) for name in MOMENTS},
        mistakes=mistakes or {},
        most=MOST,
        targets=TARGETS,
        upload_is_off=not settings["export"]["enabled"],
    )


async def _timeline(visit: Visit) -> Response:
    """What the picture shows: the ring between two moments, and the presses."""
    query = visit.request.query_params
    asked = {name: query[name] for name in ("start", "end") if query.get(name)}
    ring = await visit.api.get(f"/ring/timeline?{urlencode(asked | {'steps': str(STEPS)})}")
    jobs = await visit.api.get(f"/jobs?limit={PRESSES}")
    presses = [
        {"time": job["press_time"], "start": job["start_time"], "end": job["end_time"], "key": job["key"]}
        for job in jobs
    ]
    return JSONResponse({"ring": ring, "presses": presses})


async def _packets(visit: Visit) -> Response:
    """Leads to the packets of the part that is typed."""
    typed = _typed(visit)
    try:
        start, end = _window(typed, visit.zone)
        _request(start, end, typed["filter"])
    except InvalidInput as error:
        return await _look(visit, typed, {error.place: f"{error.message} {error.remedy}".strip()})
    asked = {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
    return see(f"/packets?{urlencode(asked | {'filter': typed['filter']})}")


def _typed(visit: Visit) -> dict[str, str]:
    names = (*MOMENTS, *(f"{name}_which" for name in MOMENTS), "filter", *SHAPE, "target", "name", "note")
    return {name: visit.typed(name) for name in names}


def _window(typed: dict[str, str], zone: str) -> tuple[datetime, datetime]:
    """In UTC. Raises InvalidInput for the field that holds no time."""
    start, end = (
        datetime.fromisoformat(utc_of(typed[name], zone, name, typed[f"{name}_which"])).astimezone(UTC)
        for name in MOMENTS
    )
    return start, end


async def _capture(visit: Visit) -> Response:
    typed = _typed(visit)
    zone: str = (await visit.api.get("/settings"))["time"]["zone"]
    try:
        start, end = _window(typed, zone)
        asked = _request(start, end, typed["filter"])
        if typed["target"] == "computer":
            return await _to_this_computer(visit, typed, start, end)
        asked |= {name: typed[name].strip() or "0" for name in SHAPE if name in visit.data}
        asked |= {"target": typed["target"] or None, "note": typed["note"]}
        if typed["name"].strip():
            asked["key"] = _name(typed["name"])
        job: dict[str, Any] = await visit.api.post("/trigger", asked)
    except AllegroError as error:
        place = {"time": "start", "before_s": "start", "key": "name"}.get(error.place, error.place)
        if place not in typed:
            raise
        return await _look(visit, typed, {place: f"{error.message} {error.remedy}".strip()})
    if job["state"] == "refused":
        visit.session.flash("error", f"Nothing was captured. {job['message']}")
        return await _look(visit, typed)
    return visit.done("Accepted. The capture appears on the dashboard, and then in the storage.", PATH)


def _name(text: str) -> str:
    """As it may stand in the name of a file. Raises InvalidInput."""
    letters = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    name = re.sub(r"[^a-z0-9]+", "-", letters.lower()).strip("-")[:LONGEST_NAME].strip("-")
    if not name:
        raise InvalidInput("Letters and digits are needed.", place="name")
    return name


async def _to_this_computer(
    visit: Visit, typed: Mapping[str, str], start: datetime, end: datetime
) -> Response:
    """Leads to the stream of the window; what is wrong with it is told on this page. Raises InvalidInput."""
    if typed["packet_length"].strip() not in ("", "0"):
        raise InvalidInput(
            "What goes to this computer at once holds whole packets.", place="packet_length", remedy="Type 0."
        )
    if typed["format"] == "pcap":
        raise InvalidInput("What goes to this computer at once is pcapng.", place="format")
    limit = typed["size_limit_mib"].strip() or "0"
    if not limit.isascii() or not limit.isdecimal() or int(limit) > MOST["size_limit_mib"]:
        raise InvalidInput("This is no number of MiB.", place="size_limit_mib")
    query = {"start": start.isoformat(), "end": end.isoformat(), "filter": typed["filter"]}
    if int(limit):
        query["bytes"] = str(int(limit) << 20)
    try:
        return await _stream(visit, query)
    except ApiError as error:
        if error.status != InvalidInput.status:
            raise
        raise InvalidInput(  # of filter and times nothing else is wrong
            "This begins before the last start of the device, and only what came since then can go to this"
            " computer at once.",
            place="start",
            remedy="Choose the storage, or a later time.",
        ) from None


async def _live(visit: Visit) -> Response:
    """Leads to the packets as they come in."""
    asked = visit.request.query_params
    return await _stream(visit, {name: asked.get(name, "") for name in ("filter", "seconds")})


async def _stream(visit: Visit, query: Mapping[str, str]) -> Response:
    """Leads to a stream that the API grants: its refusal would come in place of the page, and in no words
    for people. Raises InvalidInput and ApiError."""
    if query["filter"].strip():
        mistake = (await visit.api.get(f"/filter/check?{urlencode({'text': query['filter']})}"))["mistake"]
        if mistake:
            raise InvalidInput(mistake["message"], place="filter", remedy=mistake["remedy"])
    stream = f"/live?{urlencode(query)}"
    try:
        await visit.api.head(stream)
    except ApiError as error:
        if error.status not in NO_STREAM:
            raise
        words, remedy = NO_STREAM[error.status]
        raise ApiError(error.status, words, place="target", remedy=remedy) from None
    return see(f"/api{stream}")


def _request(start: datetime, end: datetime, filter_text: str) -> dict[str, Any]:
    """What the API is asked for. Raises InvalidInput if there is no such window."""
    if end <= start:
        raise InvalidInput("The end has to come after the start.", place="end")
    if end - start > LONGEST:
        raise InvalidInput(
            "This is more than a day.", place="start", remedy="Choose a shorter time, or several of them."
        )
    return {
        "source": "page",
        "time": end.isoformat(),
        "before_s": (end - start).total_seconds(),
        "after_s": 0,
        "filter": filter_text,
    }


PAGE = Page(
    title="Capture",
    path=PATH,
    manual="captures#any-part-of-the-ring",
    group=("Generic",),
    actions=(
        Action("GET", PATH, lambda visit: _look(visit)),
        Action("GET", f"{PATH}/timeline", _timeline),
        Action("GET", f"{PATH}/live", _live, role="capture"),
        Action("POST", PATH, _capture, role="capture"),
        Action("POST", f"{PATH}/packets", _packets, role="capture"),
    ),
)
