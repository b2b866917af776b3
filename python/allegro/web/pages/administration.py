"""Administration: what concerns the device as a whole. Restart, switching off, reset, certificate."""

from starlette.concurrency import run_in_threadpool
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
    served = visit.site.certificate
    return visit.render("administration.html", certificate=served.info, uploaded=served.uploaded, keep=KEEP)


async def _certificate(visit: Visit) -> Response:
    return _file(visit.site.certificate.public, f"{visit.site.host_name}.crt")


async def _request(visit: Visit) -> Response:
    made = await run_in_threadpool(visit.site.certificate.request)
    return _file(made.encode("ascii"), f"{visit.site.host_name}.csr")


def _file(pem: bytes, name: str) -> Response:
    disposition = f'attachment; filename="{name}"'
    return Response(pem, media_type="application/x-pem-file", headers={"Content-Disposition": disposition})


async def _upload(visit: Visit) -> Response:
    await run_in_threadpool(visit.site.certificate.replace, visit.typed("pem"))
    visit.note("certificate", "Uploaded a certificate for the page")
    return visit.done("The page shows this certificate to each new connection.")


async def _own(visit: Visit) -> Response:
    await run_in_threadpool(visit.site.certificate.go_back)
    visit.note("certificate", "Went back to the device's own certificate")
    return visit.done("The page shows the device's own certificate again.")


async def _reboot(visit: Visit) -> Response:
    await visit.api.post("/power", {"action": "reboot"})
    return visit.render("restarting.html", text="The device restarts.", back="/")


async def _restart_recording(visit: Visit) -> Response:
    await visit.api.post("/ring/restart")
    return visit.done("Recording was restarted.")


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
        Action("GET", "/administration/certificate/request", _request, role="admin"),
        Action("POST", "/administration/certificate", _upload, role="admin"),
        Action("POST", "/administration/certificate/own", _own, role="admin"),
        Action("POST", "/administration/reboot", _reboot, role="admin"),
        Action("POST", "/administration/recording", _restart_recording, role="admin"),
        Action("POST", "/administration/power-off", _power_off, role="admin"),
        Action("POST", "/administration/reset", _reset, role="admin"),
    ),
)
