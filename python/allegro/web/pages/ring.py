"""Packet ring buffer: how large it is, what it holds, what was lost."""

from starlette.responses import Response

from allegro.web.forms import Form
from allegro.web.pages.section import Section
from allegro.web.site import Action, Page, Visit

SECTION = Section("recording", leave_out=("ring_disk", "ring_disk_mib"))


async def _show(visit: Visit, form: Form, status: int) -> Response:
    return visit.render("ring.html", status=status, form=form, ring=await visit.api.get("/ring"))


async def _live(visit: Visit) -> Response:
    return visit.render("parts/ring_live.html", ring=await visit.api.get("/ring"))


PAGE = Page(
    title="Packet ring buffer",
    path="/ring",
    manual="packet-ring",
    group=("Generic",),
    actions=(
        *SECTION.actions("/ring", _show, "Saved. The packet ring buffer is made to fit within some seconds."),
        Action("GET", "/ring/live", _live, every_s=3),
    ),
)
