"""Notifications: how each way is, a test of each, settings."""

from typing import Any

from starlette.responses import Response

from allegro.errors import InvalidInput
from allegro.web.forms import Form
from allegro.web.pages.section import Section
from allegro.web.site import Action, Page, Visit

PATH = "/notifications"
SECTION = Section("notifications")
WAYS = {"mail": "E-mail", "webhook": "Webhook", "syslog": "Syslog"}


async def _ways(visit: Visit) -> list[dict[str, Any]]:
    ways: list[dict[str, Any]] = await visit.api.get("/notifications")
    return [each | {"title": WAYS[each["way"]]} for each in ways]


async def _show(visit: Visit, form: Form, status: int) -> Response:
    return visit.render("notifications.html", status=status, form=form, ways=await _ways(visit))


async def _live(visit: Visit) -> Response:
    return visit.render("parts/notifications_live.html", ways=await _ways(visit))


async def _test(visit: Visit) -> Response:
    way = visit.typed("way")
    if way not in WAYS:
        raise InvalidInput("There is no such way.", place="way")
    message: str = (await visit.api.post("/notifications/test", {"way": way}))["message"]
    if visit.is_part:
        return visit.render("parts/message.html", kind="good", text=message)
    return visit.done(message)


PAGE = Page(
    title="Notifications",
    path=PATH,
    manual="notifications",
    group=("Settings", "Remote access and export"),
    actions=(
        *SECTION.actions(PATH, _show),
        Action("GET", "/notifications/live", _live, every_s=5),
        Action("POST", "/notifications/test", _test, role="admin"),
    ),
)
