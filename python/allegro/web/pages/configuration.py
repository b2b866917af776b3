"""Configuration: export and import as one file, what an import would change, the last changes and back."""

import json
from typing import Any

from starlette.responses import Response

from allegro.api.client import ApiError
from allegro.errors import AllegroError, InvalidInput
from allegro.web.site import Action, Page, Visit


async def _look(visit: Visit) -> Response:
    return await _show(visit, 200)


async def _show(visit: Visit, status: int, error: AllegroError | None = None) -> Response:
    history = await visit.api.get("/configuration/history")
    return visit.render("configuration.html", status=status, history=history, error=error)


async def _export(visit: Visit) -> Response:
    try:
        file = await visit.api.post("/configuration/export", {"password": visit.typed("password")})
    except ApiError as error:
        if error.status != InvalidInput.status:
            raise
        return await _show(visit, error.status, error)
    disposition = f'attachment; filename="{visit.site.host_name}-configuration.json"'
    content = json.dumps(file, indent=2, ensure_ascii=False) + "\n"
    return Response(content, media_type="application/json", headers={"Content-Disposition": disposition})


async def _compare(visit: Visit) -> Response:
    try:
        wanted = _wanted(visit)
        comparison = await visit.api.post("/configuration/compare", wanted)
    except (InvalidInput, ApiError) as error:
        if error.status != InvalidInput.status:
            raise
        return await _show(visit, error.status, error)
    sections = list(dict.fromkeys((each["section"], _section(each)) for each in comparison["changes"]))
    return visit.render(
        "configuration_compare.html",
        comparison=comparison,
        sections=sections,
        file=visit.typed("file"),
        password=wanted["password"],
    )


async def _import(visit: Visit) -> Response:
    wanted = {**_wanted(visit), "sections": list(visit.data.get("section", ()))}
    if not wanted["sections"]:
        raise InvalidInput("Nothing is imported: no section was chosen.")
    tag = visit.typed("seen")
    done = await visit.api.post("/configuration/import", wanted, if_match=tag)
    left_out = (f"Not taken over: {each}" for each in done["left_out"])
    return visit.done("The configuration is imported.", warnings=[*done["warnings"], *left_out])


async def _return(visit: Visit) -> Response:
    number = visit.typed("name")
    if not (number.isascii() and number.isdecimal() and len(number) < 16):
        raise InvalidInput("There is no such change.", remedy="Load the page again.")
    done = await visit.api.post(f"/configuration/history/{number}/return", if_match=visit.typed("seen"))
    return visit.done("The earlier settings are in force again.", warnings=done["warnings"])


def _wanted(visit: Visit) -> dict[str, Any]:
    """File and password as the form sends them. Raises InvalidInput."""
    text = visit.typed("file").strip()
    if not text:
        raise InvalidInput("No file is chosen.")
    try:
        file = json.loads(text)
    except (ValueError, RecursionError):
        file = None
    if not isinstance(file, dict):
        raise InvalidInput(
            "This is no configuration that an Allegro device has exported.",
            remedy="Choose a file that was made with “Export”.",
        )
    return {"file": file, "password": visit.typed("password")}


def _section(change: dict[str, Any]) -> str:
    label: str = change["label"]
    return label.partition(",")[0]


PAGE = Page(
    title="Configuration",
    path="/configuration",
    manual="administration#configuration",
    group=("Settings",),
    role="admin",
    below="/administration",
    actions=(
        Action("GET", "/configuration", _look, role="admin"),
        Action("POST", "/configuration/export", _export, role="admin"),
        Action("POST", "/configuration/compare", _compare, role="admin"),
        Action("POST", "/configuration/import", _import, role="admin"),
        Action("POST", "/configuration/return", _return, role="admin"),
    ),
)
