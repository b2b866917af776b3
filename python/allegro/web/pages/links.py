"""Links and groups: how the measuring ports are joined."""

from starlette.responses import Response

from allegro.settings.network import Links
from allegro.web.forms import Form
from allegro.web.menu import Page
from allegro.web.pages.section import Section
from allegro.web.site import Visit

SECTION = Section("links", Links)


async def _show(visit: Visit, form: Form, status: int) -> Response:
    ring = await visit.api.get("/ring")
    return visit.render("links.html", status=status, form=form, ports=ring["ports"])


PAGE = Page(
    title="Links and groups",
    path="/links",
    manual="network#links",
    group=("Settings",),
    actions=SECTION.actions("/links", _show),
)
