"""Pcap export: where captures go, keys, test, queue."""

from typing import Any

from starlette.responses import Response

from allegro.api.client import segment
from allegro.web.forms import Form
from allegro.web.pages.section import Section
from allegro.web.site import Action, Page, Visit, see

PATH = "/export"
SECTION = Section("export", leave_out=("host_key", "host_key_type"))
SHOWN = 50
"""Files of the queue."""


async def _show(visit: Visit, form: Form, status: int) -> Response:
    return visit.render("export.html", status=status, form=form, export=await _export(visit))


async def _live(visit: Visit) -> Response:
    return visit.render("parts/export_live.html", export=await _export(visit))


async def _export(visit: Visit) -> dict[str, Any]:
    answer: dict[str, Any] = await visit.api.get(f"/export?limit={SHOWN}")
    return answer


async def _test(visit: Visit) -> Response:
    result: dict[str, Any] = await visit.api.post("/export/test")
    if visit.is_part:
        return visit.render("parts/export_test.html", result=result)
    visit.session.flash("good" if result["accepted"] else "warning", result["message"])
    return see(PATH)


async def _accept(visit: Visit) -> Response:
    await visit.api.post("/export/host-key", {"fingerprint": visit.typed("fingerprint")})
    return visit.done("The host key is accepted. Repeat the test upload: it now writes a file.")


async def _forget(visit: Visit) -> Response:
    await visit.api.post("/export/host-key", {"fingerprint": ""})
    return visit.done("The host key is forgotten. A test upload shows the server's present one.")


async def _now(visit: Visit) -> Response:
    released = (await visit.api.post("/export/now"))["files"]
    return visit.done(f"{released} file{'' if released == 1 else 's'} will be sent now.")


async def _delete(visit: Visit) -> Response:
    name = visit.typed("name")
    await visit.api.delete(f"/export/files/{segment(name)}")
    return visit.done(f"{name} is deleted and will not be sent.")


PAGE = Page(
    title="Pcap export via SFTP",
    path=PATH,
    manual="export",
    group=("Settings", "Remote access and export"),
    actions=(
        *SECTION.actions(PATH, _show),
        Action("GET", "/export/live", _live, every_s=3),
        Action("POST", "/export/test", _test, role="admin"),
        Action("POST", "/export/accept", _accept, role="admin"),
        Action("POST", "/export/forget", _forget, role="admin"),
        Action("POST", "/export/now", _now, role="capture"),
        Action("POST", "/export/delete", _delete, role="admin"),
    ),
)
