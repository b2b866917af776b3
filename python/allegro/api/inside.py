"""Asks the API from within: what it answers to whoever may see everything, secrets masked as for all."""

from starlette.types import ASGIApp, Message, Scope

from allegro.api.asker import OWNER


async def asked(app: ASGIApp, target: str) -> tuple[int, bytes]:
    """Status and body of a GET; `target` is the path with its query."""
    path, _, query = target.partition("?")
    status = 0
    parts: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [],
        "client": None,
        "server": None,
        "state": {OWNER: True},
    }
    await app(scope, receive, send)
    return status, b"".join(parts)
