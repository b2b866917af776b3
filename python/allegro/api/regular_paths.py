"""The layer that refuses what can be read in two ways, before anything else."""

from starlette.types import ASGIApp, Receive, Scope, Send

from allegro.api.errors import answer
from allegro.api.targets import IrregularPath, is_regular


class RegularPaths:
    """ASGI layer around everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] == "http" and not is_regular(scope["raw_path"]):
            await answer(IrregularPath())(scope, receive, send)
        else:
            await self._app(scope, receive, send)
