"""Storage: the finished captures; download, delete."""

from math import ceil

from starlette.responses import Response

from allegro.api.client import segment
from allegro.web.site import Action, Page, Visit

PER_PAGE = 50


async def _look(visit: Visit) -> Response:
    status = await visit.api.get("/status")
    pages = max(1, ceil((status["storage"]["files"] + status["uploads_waiting"]) / PER_PAGE))
    page = min(_page(visit), pages)
    files = await visit.api.get(f"/files?order=newest&limit={PER_PAGE}&offset={(page - 1) * PER_PAGE}")
    return visit.render("storage.html", files=files, storage=status["storage"], number=page, pages=pages)


def _page(visit: Visit) -> int:
    """The part of the list that is asked for, from 1 on."""
    asked = visit.request.query_params.get("page", "")
    return max(1, int(asked)) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 1


async def _delete(visit: Visit) -> Response:
    name = visit.typed("name")
    await visit.api.delete(f"/files/{segment(name)}")
    return visit.done(f"{name} is deleted.", f"/storage?page={_page(visit)}")


PAGE = Page(
    title="Storage",
    path="/storage",
    manual="storage",
    group=("Generic",),
    actions=(
        Action("GET", "/storage", _look),
        Action("POST", "/storage/delete", _delete, role="capture"),
    ),
)
