"""Storage: the finished captures; download, delete."""

from starlette.responses import Response

from allegro.api.client import segment
from allegro.web.site import Action, Page, Visit


async def _look(visit: Visit) -> Response:
    files = sorted(await visit.api.get("/files"), key=lambda file: file["modified_time"], reverse=True)
    status = await visit.api.get("/status")
    return visit.render("storage.html", files=files, storage=status["storage"])


async def _delete(visit: Visit) -> Response:
    name = visit.typed("name")
    await visit.api.delete(f"/files/{segment(name)}")
    return visit.done(f"{name} is deleted.")


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
