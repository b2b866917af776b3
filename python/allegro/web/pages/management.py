"""Management interface settings: the address by which the device is reached."""

from starlette.responses import Response

from allegro.settings.model import Management
from allegro.web.forms import Form
from allegro.web.menu import Page
from allegro.web.pages.section import Section
from allegro.web.site import Visit

SECTION = Section("management", Management)


async def _show(visit: Visit, form: Form, status: int) -> Response:
    return visit.render("management.html", status=status, form=form)


PAGE = Page(
    title="Management interface settings",
    path="/management",
    manual="network#management-port",
    group=("Settings",),
    actions=SECTION.actions(
        "/management", _show, "Saved. If the address of the device changes, open the page at the new one."
    ),
)
