"""The layer that refuses what can be read in two ways, before anything else."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from allegro.api.client import shape
from allegro.api.targets import IrregularPath, is_regular


class RegularPaths:
    """ASGI layer around everything else; it looks at paths that begin with `below` when they are decoded."""

    def __init__(self, app: ASGIApp, below: str = "") -> None:
        self._app = app
        self._below = below

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        looked_at = scope["type"] == "http" and scope["path"].startswith(self._below)
        if looked_at and not is_regular(scope["raw_path"]):
            error = IrregularPath()
            await JSONResponse(shape(error), error.status)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
