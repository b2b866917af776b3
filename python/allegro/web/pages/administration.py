"""Administration: what concerns the device as a whole. So far: the certificate of the page."""

from starlette.responses import Response

from allegro.web.menu import Action, Page
from allegro.web.site import Visit


async def _look(visit: Visit) -> Response:
    return visit.render("administration.html", certificate=visit.site.certificate)


async def _certificate(visit: Visit) -> Response:
    disposition = f'attachment; filename="{visit.site.host_name}.crt"'
    return Response(
        visit.site.certificate_pem,
        media_type="application/x-pem-file",
        headers={"Content-Disposition": disposition},
    )


PAGE = Page(
    title="Administration",
    path="/administration",
    manual="administration",
    group=("Settings",),
    actions=(
        Action("GET", "/administration", _look),
        Action("GET", "/administration/certificate", _certificate),
    ),
)
