"""Configuration: export and import as one file, what an import would change, the last changes and back."""

import json
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from allegro.api.client import ApiError
from allegro.errors import AllegroError, InvalidInput, Outdated
from allegro.web.pages.management import HARMLESS, moved
from allegro.web.pages.section import MOVES_AFTER_S
from allegro.web.site import Action, Page, Visit


async def _look(visit: Visit) -> Response:
    return await _show(visit, 200)


async def _show(visit: Visit, status: int, error: AllegroError | None = None) -> Response:
    """With the file that was sent, so that nobody has to choose it again for a mistake in its password."""
    history = await visit.api.get("/configuration/history")
    file = visit.typed("file")
    return visit.render("configuration.html", status=status, history=history, error=error, file=file)


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


async def _compare(visit: Visit, refused: AllegroError | None = None) -> Response:
    """With `refused`, what kept an import back; the sections that were chosen for that stay so."""
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
        status=refused.status if refused else 200,
        error=refused,
        comparison=comparison,
        sections=sections,
        chosen=visit.data.get("section", ()) if refused else [name for name, _ in sections],
        moves=_moves(comparison["changes"]),
        file=visit.typed("file"),
        password=wanted["password"],
    )


async def _import(visit: Visit) -> Response:
    try:
        wanted = {**_wanted(visit), "sections": list(visit.data.get("section", ()))}
        if not wanted["sections"]:
            raise InvalidInput("Nothing is imported: no section was chosen.")
        moves = "management" in wanted["sections"] and bool(visit.typed("moves"))
        return await _changed(visit, "import", wanted, moves, "The configuration is imported.")
    except (InvalidInput, ApiError) as error:
        if error.status not in (InvalidInput.status, Outdated.status):
            raise
        return await _compare(visit, error)


async def _return(visit: Visit) -> Response:
    number = visit.typed("name")
    if not (number.isascii() and number.isdecimal() and len(number) < 16):
        raise InvalidInput("There is no such change.", remedy="Load the page again.")
    undone = (await visit.api.get("/configuration/history"))["changes"]
    moves = any(_moves(each["changes"]) for each in undone if each["id"] >= int(number))
    text = "The earlier settings are in force again."
    return await _changed(visit, f"history/{number}/return", None, moves, text)


async def _changed(
    visit: Visit, path: str, wanted: dict[str, Any] | None, moves: bool, text: str
) -> Response:
    """Changes the settings that were seen; with `moves` after the answer, which says where to go."""
    query = f"?apply_after_s={MOVES_AFTER_S}" if moves else ""
    done = await visit.api.post(f"/configuration/{path}{query}", wanted, if_match=visit.typed("seen"))
    notes = [*done["warnings"], *(f"Not taken over: {each}" for each in done.get("left_out", ()))]
    if not moves or done["confirm_within_s"] is None:
        return visit.done(text, warnings=notes)
    for note in notes:
        visit.session.flash("warning", note)
    return await moved(visit, done)


def _moves(changes: Sequence[dict[str, Any]]) -> bool:
    """Whether these change an address of the device."""
    harmless = {f"management.{name}" for name in HARMLESS}
    return any(each["section"] == "management" and each["place"] not in harmless for each in changes)


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
        Action("POST", "/configuration/compare", _compare, role="admin", packs=False),
        Action("POST", "/configuration/import", _import, role="admin", packs=False),
        Action("POST", "/configuration/return", _return, role="admin"),
    ),
)
