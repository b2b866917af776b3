"""Administration: what concerns the device as a whole. Restart, switching off, reset, certificate."""

from starlette.responses import Response

from allegro.web.site import Action, Page, Visit

KEEP = {
    "management": "Management ports and WiFi",
    "users": "Users and their passwords",
    "storage": "Packet ring buffer and storage",
    "keys": "SSH key and certificate",
}
"""What a configuration reset can spare (POST /api/reset), as people call it."""


async def _look(visit: Visit) -> Response:
    return visit.render("administration.html", certificate=visit.site.certificate.info, keep=KEEP)


async def _certificate(visit: Visit) -> Response:
    disposition = f'attachment; filename="{visit.site.host_name}.crt"'
    return Response(
        visit.site.certificate.public,
        media_type="application/x-pem-file",
        headers={"Content-Disposition": disposition},
    )


async def _reboot(visit: Visit) -> Response:
    await visit.api.post("/power", {"action": "reboot"})
    return visit.render("restarting.html", text="The device restarts.", back="/")


async def _power_off(visit: Visit) -> Response:
    await visit.api.post("/power", {"action": "power-off"})
    return visit.render("restarting.html", text="The device switches itself off.", back="")


async def _reset(visit: Visit) -> Response:
    keep = [each for each in visit.data.get("keep", ()) if each in KEEP]
    await visit.api.post("/reset", {"keep": keep})
    return visit.render(
        "restarting.html", text="The device restarts, with its configuration reset.", back="/"
    )


PAGE = Page(
    title="Administration",
    path="/administration",
    manual="administration",
    group=("Settings",),
    actions=(
        Action("GET", "/administration", _look),
        Action("GET", "/administration/certificate", _certificate),
        Action("POST", "/administration/reboot", _reboot, role="admin"),
        Action("POST", "/administration/power-off", _power_off, role="admin"),
        Action("POST", "/administration/reset", _reset, role="admin"),
    ),
)
