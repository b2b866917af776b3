"""Log: who did what, for administrators; what the device has said since its last start."""

from typing import Any
from urllib.parse import urlencode

from starlette.responses import PlainTextResponse, Response

from allegro.system.journal import CHOICES, MOST, Choice
from allegro.web.site import Action, Page, Visit

SHOWN = 300
EVENTS_SHOWN = 25
USUAL: Choice = "device"
WORDS: dict[Choice, str] = {
    "device": "Its own, and all warnings",
    "info": "Everything",
    "warning": "Warnings and errors",
    "error": "Errors",
}


async def _look(visit: Visit) -> Response:
    return visit.render(
        "log.html",
        level=_level(visit),
        words=WORDS,
        entries=await _entries(visit, SHOWN),
        events=await _events(visit) if visit.may("admin") else None,
    )


async def _live(visit: Visit) -> Response:
    return visit.render("parts/log_live.html", level=_level(visit), entries=await _entries(visit, SHOWN))


async def _newest(visit: Visit) -> Response:
    return visit.render("parts/log_events.html", level=_level(visit), events=await _events(visit))


async def _file(visit: Visit) -> Response:
    lines = (
        f"{each['time']} {each['level'].upper():<7} {each['program']}: {each['text']}\n"
        for each in await _entries(visit, MOST)
    )
    disposition = f'attachment; filename="{visit.site.host_name}-log.txt"'
    return PlainTextResponse("".join(lines), headers={"Content-Disposition": disposition})


async def _events(visit: Visit) -> dict[str, Any]:
    before = visit.request.query_params.get("before", "")
    asked = {"limit": EVENTS_SHOWN}
    if before.isascii() and before.isdecimal() and 0 < len(before) < 19 and int(before) > 0:
        asked["before"] = int(before)
    answer: dict[str, Any] = await visit.api.get(f"/events?{urlencode(asked)}")
    return {**answer, "is_newest": "before" not in asked}


async def _entries(visit: Visit, limit: int) -> list[dict[str, str]]:
    answer = await visit.api.get(f"/log?{urlencode({'limit': limit, 'level': _level(visit)})}")
    entries: list[dict[str, str]] = answer["entries"]
    return entries[::-1] if limit == SHOWN else entries


def _level(visit: Visit) -> Choice:
    asked = visit.request.query_params.get("level", "")
    return next((choice for choice in CHOICES if choice == asked), USUAL)


PAGE = Page(
    title="Log",
    path="/log",
    manual="log",
    group=("Info",),
    actions=(
        Action("GET", "/log", _look),
        Action("GET", "/log/live", _live, every_s=5),
        Action("GET", "/log/events", _newest, role="admin", every_s=2),
        Action("GET", "/log/file", _file),
    ),
)
