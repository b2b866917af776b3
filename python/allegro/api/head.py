"""HEAD answers like GET, without the body (RFC 9110, 9.3.2)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATH_SEND = "http.response.pathsend"
"""ASGI extension: the server itself would send the file. So a file is named, and not read for nothing."""


def wants_no_body(scope: Scope) -> bool:
    """Whether only the head of the answer is sent, for a route whose body is dear."""
    return _PATH_SEND in scope.get("extensions", {})


class Head:
    """ASGI layer: the routes know GET only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
            elif message["type"] == _PATH_SEND or not message.get("more_body", False):
                await send({"type": "http.response.body", "body": b""})

        extensions = {**scope.get("extensions", {}), _PATH_SEND: {}}
        await self._app({**scope, "method": "GET", "extensions": extensions}, receive, without_body)
