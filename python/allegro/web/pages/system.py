"""System info: what support asks for."""

from starlette.responses import Response

from allegro.web.site import Action, Page, Visit


async def _look(visit: Visit) -> Response:
    return visit.render("system.html", device=await visit.api.get("/status"))


PAGE = Page(
    title="System info",
    path="/system",
    manual="system-info",
    group=("Info",),
    actions=(Action("GET", "/system", _look),),
)
