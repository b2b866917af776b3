"""Time: how the clock is, its servers, the time zone; setting it by hand."""

import zoneinfo
from datetime import datetime
from functools import cache
from typing import Any

from starlette.responses import Response

from allegro.errors import InvalidInput
from allegro.web.forms import Form, with_suggestions
from allegro.web.local_time import comes_twice, utc_of, which_of
from allegro.web.pages.section import Section
from allegro.web.site import Action, Page, Visit

PATH = "/time"


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(zoneinfo.available_timezones()))


SECTION = Section("time", finish=lambda form: with_suggestions(form, "time.zone", _zones()))


def local(clock: dict[str, Any]) -> str:
    """The device's own local time, which is not that of the browser."""
    utc = datetime.fromisoformat(f"{clock['time'][:19]}+00:00")
    zone = datetime.fromisoformat(f"2000-01-01T00:00:00{clock['utc_offset']}").tzinfo
    return f"{utc.astimezone(zone):%Y-%m-%d %H:%M:%S}"


async def clock(visit: Visit) -> dict[str, Any]:
    """GET /time, and what a clock on the wall beside the device shows."""
    answer: dict[str, Any] = await visit.api.get("/time")
    return answer | {"local": local(answer)}


async def _show(visit: Visit, form: Form, status: int, mistake: str = "") -> Response:
    """With a `mistake` in the time that was typed."""
    shown = await clock(visit)
    zone = shown["zone"]
    local = visit.typed("local") if mistake else shown["local"].replace(" ", "T")
    which = visit.typed("local_which") if mistake else which_of(shown["time"], zone)
    typed = {"local": local, "local_which": which, "twice": comes_twice(local, zone), "mistake": mistake}
    return visit.render("time.html", status=status, form=form, clock=shown, typed=typed)


async def _live(visit: Visit) -> Response:
    return visit.render("parts/time_live.html", clock=await clock(visit))


async def _set(visit: Visit) -> Response:
    """`utc` is what the browser's clock shows, `local` a time in the device's own zone, typed by the user."""
    wanted = visit.typed("utc")
    if not wanted:
        zone: str = (await visit.api.get("/time"))["zone"]
        try:
            wanted = utc_of(visit.typed("local"), zone, "local", visit.typed("local_which"))
        except InvalidInput as error:
            form = await SECTION.present(visit)
            return await _show(visit, form, error.status, f"{error.message} {error.remedy}".strip())
    await visit.api.put("/time", {"time": wanted})
    return visit.done("The clock is set.")


PAGE = Page(
    title="Time",
    path=PATH,
    manual="time",
    group=("Settings",),
    actions=(
        *SECTION.actions(PATH, _show),
        Action("GET", "/time/live", _live, every_s=5),
        Action("POST", "/time/set", _set, role="admin"),
    ),
)
