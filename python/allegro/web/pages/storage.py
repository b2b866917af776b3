"""Storage: the finished captures; search, download, rename, move to the upload and back, delete."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from math import ceil
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from allegro.api.client import ApiError, segment
from allegro.errors import AllegroError, InvalidInput, NotFound
from allegro.web.forms import Form
from allegro.web.local_time import start_of
from allegro.web.pages.section import Section
from allegro.web.site import Action, Page, Visit, see

SECTION = Section("storage", leave_out=("device",))

PER_PAGE = 50

ORDERS = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "name": "By name",
    "largest": "Largest first",
    "smallest": "Smallest first",
}
_FIELDS = ("search", "since", "until", "order")
_LONGEST = 255


async def _look(visit: Visit) -> Response:
    return await _show(visit, await SECTION.present(visit), 200)


async def _show(visit: Visit, form: Form, code: int) -> Response:
    asked = _asked(visit)
    status = await visit.api.get("/status")
    searching = asked.keys() - {"order"}
    storage = status["storage"]
    files = storage["files"] + storage["sent"] + storage["on_disk"] + status["uploads_waiting"]
    pages = max(1, ceil(files / PER_PAGE))
    number = _number(visit) if searching else min(_number(visit), pages)
    found = await visit.api.get(f"/files?{urlencode(_query(asked, number, visit.zone))}")
    return visit.render(
        "storage.html",
        status=code,
        form=form,
        files=found[:PER_PAGE],
        storage=storage,
        disks=await _disks(visit),
        action=_formatting(status),
        exports=status["export_enabled"],
        were_made=any(job["state"] == "complete" for job in status["jobs"]),
        number=number,
        pages=None if searching else pages,
        further=len(found) > PER_PAGE,
        asked=asked,
        orders=ORDERS,
        query=_suffix(asked, number),
        newer=_suffix(asked, number - 1),
        older=_suffix(asked, number + 1),
    )


async def _disks(visit: Visit) -> Mapping[str, Any]:
    """What the API says of other disks; that they cannot be listed keeps nobody from the captures."""
    try:
        answer: Mapping[str, Any] = await visit.api.get("/disks")
    except AllegroError as error:
        nothing = {"volumes": (), "running_from": None, "disks": (), "known": ()}
        ring = {"chosen": "", "used": False, "size_mib": 0, "reason": error.message}
        return {"chosen": "", "used": False, "free": None, "reason": error.message, "ring": ring, **nothing}
    return answer


def _formatting(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """How far a disk is that is being formatted, or how that ended."""
    return next((action for action in status["actions"] if action["name"] == "format"), None)


async def _live(visit: Visit) -> Response:
    action = _formatting(await visit.api.get("/status"))
    if visit.request.query_params.get("shown") != (action["state"] if action else "none"):
        # Something began or ended: the disks are others now, too.
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return visit.render("parts/disk_live.html", action=action)


def _asked(visit: Visit) -> Mapping[str, str]:
    """What is looked for, by the address of the page; what makes no sense is left out."""
    query = visit.request.query_params
    asked = {name: query.get(name, "")[:_LONGEST].strip() for name in _FIELDS}
    for name in ("since", "until"):
        if _day(asked[name]) is None:
            asked[name] = ""
    if asked["order"] not in ORDERS or asked["order"] == next(iter(ORDERS)):
        asked["order"] = ""
    return {name: value for name, value in asked.items() if value}


def _query(asked: Mapping[str, str], number: int, zone: str) -> Mapping[str, str]:
    """The same for the API: one file more than fits, which tells whether there are further ones.

    Days are those of the zone.
    """
    part = {"limit": str(PER_PAGE + 1), "offset": str((number - 1) * PER_PAGE)}
    query = {"order": next(iter(ORDERS)), **asked, **part}
    if until := _day(asked.get("until", "")):
        query["until"] = start_of(until + timedelta(days=1), zone)
    if since := _day(asked.get("since", "")):
        query["since"] = start_of(since, zone)
    return query


def _day(text: str) -> date | None:
    """A day as the browser sends it; None if it is none, or the last of the calendar."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day < date.max else None


def _suffix(asked: Mapping[str, str], number: int) -> str:
    """What the page's address has behind its path, for a part of what is looked for."""
    query = {**asked, "page": str(number)} if number > 1 else asked
    return f"?{urlencode(query)}" if query else ""


def _number(visit: Visit) -> int:
    """The part of the list that is asked for, from 1 on."""
    asked = visit.request.query_params.get("page", "")
    return max(1, int(asked)) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 1


def _back(visit: Visit) -> str:
    return f"/storage{_suffix(_asked(visit), _number(visit))}"


async def _delete(visit: Visit) -> Response:
    name = visit.typed("name")
    await visit.api.delete(f"/files/{segment(name)}")
    return visit.done(f"{name} is deleted.", _back(visit))


async def _delete_selected(visit: Visit) -> Response:
    names: Sequence[str] = visit.data.get("name", ())
    deleted = 0
    for name in names:
        try:
            await visit.api.delete(f"/files/{segment(name)}")
        except ApiError as error:
            if error.status != NotFound.status:
                raise
        else:
            deleted += 1
    what = "1 capture is" if deleted == 1 else f"{deleted} captures are"
    return visit.done(f"{what} deleted." if names else "Nothing is selected.", _back(visit))


async def _archive(visit: Visit) -> Response:
    names = visit.request.query_params.getlist("name")
    if not names:
        visit.session.flash("error", "Nothing is selected.")
        return see(PAGE.path)
    return see(f"/api/archive?{urlencode([('name', name) for name in names])}")


async def _rename(visit: Visit) -> Response:
    moved = await _change(visit, {"name": visit.typed("new_name").strip()})
    return visit.done(f"{visit.typed('name')} is now called {moved['name']}.", _back(visit))


async def _queue(visit: Visit) -> Response:
    moved = await _change(visit, {"directory": "upload"})
    return visit.done(f"{moved['name']} is to be sent.", _back(visit))


async def _keep(visit: Visit) -> Response:
    moved = await _change(visit, {"directory": "storage"})
    return visit.done(f"{moved['name']} is not sent.", _back(visit))


async def _change(visit: Visit, wanted: Mapping[str, str]) -> Any:
    return await visit.api.patch(f"/files/{segment(visit.typed('name'))}", wanted)


async def _use_disk(visit: Visit) -> Response:
    uuid = visit.typed("name")
    await visit.api.put("/disks/chosen", {"uuid": uuid})
    return visit.done("Captures go to the disk from now on." if uuid else "Captures stay on the device.")


async def _remove_disk(visit: Visit) -> Response:
    await visit.api.post("/disks/remove")
    return visit.done("The disk can be pulled. Captures stay on the device until it is plugged in again.")


async def _use_ring_disk(visit: Visit) -> Response:
    uuid, size = visit.typed("name"), visit.typed("size").strip()
    try:
        await visit.api.put("/disks/ring", {"uuid": uuid, "size_mib": size or None})
    except ApiError as error:
        if error.place != "size_mib":
            raise
        told = error.message[:1].lower() + error.message[1:]
        raise InvalidInput(f"The size of the ring in MiB {told}", remedy=error.remedy) from None
    return visit.done(
        "The packet ring buffer goes to the disk."
        if uuid
        else "The packet ring buffer has its place on the device's own disk."
    )


async def _remove_ring_disk(visit: Visit) -> Response:
    await visit.api.post("/disks/ring/remove")
    return visit.done("The disk can be pulled. Until it is plugged in again the ring is on the device.")


async def _forget_disk(visit: Visit) -> Response:
    await visit.api.delete(f"/disks/known/{segment(visit.typed('name'))}")
    return visit.done("The disk is forgotten. What lies on it stays.")


async def _format_disk(visit: Visit) -> Response:
    name = visit.typed("name")
    sequence = visit.typed("sequence")
    await visit.api.post(
        "/disks/format",
        {
            "disk": name,
            "confirm": name,
            "sequence": int(sequence) if sequence.isascii() and sequence.isdecimal() else 0,
            "kind": visit.typed("kind"),
            "label": visit.typed("label"),
        },
    )
    return visit.done(f"{name} is being formatted.")


async def _label_disk(visit: Visit) -> Response:
    await visit.api.put("/disks/label", {"uuid": visit.typed("name"), "label": visit.typed("label")})
    return visit.done(f"The disk is called {visit.typed('label').strip()} now.")


PAGE = Page(
    title="Storage",
    path="/storage",
    manual="storage",
    group=("Generic",),
    actions=(
        Action("GET", "/storage", _look),
        Action("POST", "/storage", SECTION.saver(_show), role="admin"),
        Action("POST", "/storage/use-disk", _use_disk, role="admin"),
        Action("POST", "/storage/remove-disk", _remove_disk, role="admin"),
        Action("POST", "/storage/use-ring-disk", _use_ring_disk, role="admin"),
        Action("POST", "/storage/remove-ring-disk", _remove_ring_disk, role="admin"),
        Action("POST", "/storage/forget-disk", _forget_disk, role="admin"),
        Action("POST", "/storage/format-disk", _format_disk, role="admin"),
        Action("POST", "/storage/label-disk", _label_disk, role="admin"),
        Action("GET", "/storage/disks", _live, every_s=2),
        Action("GET", "/storage/archive", _archive, role="capture"),
        Action("POST", "/storage/delete", _delete, role="capture"),
        Action("POST", "/storage/delete-selected", _delete_selected, role="capture"),
        Action("POST", "/storage/rename", _rename, role="capture"),
        Action("POST", "/storage/queue", _queue, role="capture"),
        Action("POST", "/storage/keep", _keep, role="capture"),
    ),
)
