"""USB capture trigger: what a press of the presenter cuts out, and which presenters are known."""

from starlette.responses import Response

from allegro.web.forms import Form
from allegro.web.pages.section import Section
from allegro.web.site import Action, Page, Visit

SECTION = Section("trigger")


async def _show(visit: Visit, form: Form, status: int) -> Response:
    device = await visit.api.get("/status")
    return visit.render("trigger.html", status=status, form=form, presenters=device["presenters"])


async def _live(visit: Visit) -> Response:
    return visit.render("parts/presenters.html", presenters=(await visit.api.get("/status"))["presenters"])


PAGE = Page(
    title="USB capture trigger",
    path="/trigger",
    manual="presenter",
    group=("Settings", "Expert settings"),
    actions=(
        *SECTION.actions("/trigger", _show),
        Action("GET", "/trigger/live", _live, poll=True),
    ),
)
