"""The manual, on the device itself."""

from starlette.responses import FileResponse, Response

from allegro.errors import NotFound
from allegro.web.manual import ONE_FILE
from allegro.web.site import Action, Page, Visit

LONGEST = 100
"""Characters that are searched for."""


async def _contents(visit: Visit) -> Response:
    manual = visit.site.manual
    wanted = visit.request.query_params.get("search", "")[:LONGEST].strip()
    people, programs = manual.search(wanted)
    return visit.render(
        "manual.html",
        parts=manual.parts,
        front=manual.front,
        part=None,
        wanted=wanted,
        found=(("", people), ("For programs", programs)),
    )


async def _part(visit: Visit) -> Response:
    part = visit.site.manual.part(visit.request.path_params["name"])
    if part is None:
        raise NotFound(
            "There is no such page in the manual.", remedy="The manual's first page lists all of them."
        )
    return visit.render("manual.html", part=part)


async def _image(visit: Visit) -> Response:
    image = visit.site.manual.images.get(visit.request.path_params["name"])
    if image is None:
        raise NotFound("There is no such picture in the manual.")
    return FileResponse(image, media_type="image/webp")


async def _file(visit: Visit) -> Response:
    if not visit.site.manual.one_file.exists():
        raise NotFound("This software was built without its manual.")
    return FileResponse(visit.site.manual.one_file, media_type="text/html", filename=ONE_FILE)


PAGE = Page(
    title="Manual",
    path="/manual",
    manual="",
    actions=(
        Action("GET", "/manual", _contents),
        Action("GET", f"/manual/{ONE_FILE}", _file),
        Action("GET", "/manual/{name}", _part),
        Action("GET", "/manual/images/{name}", _image),
    ),
)
