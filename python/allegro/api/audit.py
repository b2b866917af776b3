"""Who changed what: one line in the log for each request that is more than a look."""

import logging
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from allegro.api.asker import USER_HEADER, header

_USER = re.compile(r"(token:)?[A-Za-z0-9._-]{1,32}")
_ONLY_LOOKS = ("GET", "HEAD", "OPTIONS")

log = logging.getLogger(__name__)


class Audit:
    """ASGI layer around the API. A request without the header comes from root on the device itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http" or scope["method"] in _ONLY_LOOKS:
            await self._app(scope, receive, send)
            return
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            log.info("%s: %s %s: %s", user_of(scope), scope["method"], scope["path"], status or "failed")


def user_of(scope: Scope) -> str:
    """The user's name, `root` without one, `?` if what was sent cannot be a name."""
    named = header(scope, USER_HEADER)
    if named is None:
        return "root"
    return named if _USER.fullmatch(named) else "?"
