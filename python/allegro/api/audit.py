"""Who changed what: one line in the log and one event for each request that is more than a look."""

import logging
import re

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from allegro.api.asker import SOURCE_HEADER, USER_HEADER, WEB_PROGRAM, header
from allegro.events.event import LONGEST_TEXT, Kind, Note, visible

_USER = re.compile(r"(token:)?[A-Za-z0-9._-]{1,32}")
_ONLY_LOOKS = ("GET", "HEAD", "OPTIONS")
_SAID = "said"
_LOCAL = "this device"

_KINDS: dict[str, Kind] = {
    "users": "user",
    "password": "password",
    "tokens": "token",
    "certificate": "certificate",
    "settings": "settings",
    "configuration": "settings",
    "network": "network",
    "wifi": "network",
    "time": "clock",
    "firmware": "firmware-order",
    "install": "firmware-order",
    "files": "file",
    "trigger": "press",
    "disks": "settings",
    "power": "power",
    "reset": "reset",
}
"""By the first segment below /api."""

_DOWNLOADS = ("/api/files/", "/api/archive", "/api/live", "/api/packets", "/api/support")
"""What shows packets, or all that the device knows: worth a line although it only looks."""

_OWN = "/api/events"
"""Where events come in is none itself."""

log = logging.getLogger(__name__)


class Audit:
    """ASGI layer around the API. A request without the header comes from root on the device itself."""

    def __init__(self, app: ASGIApp, note: Note) -> None:
        self._app = app
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http" or scope["path"] == _OWN:
            await self._app(scope, receive, send)
            return
        looks = scope["method"] in _ONLY_LOOKS
        shows_packets = looks and _is_download(scope)
        if looks and not shows_packets:
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if shows_packets:  # a live capture may go on for days
                    self._tell(scope, status)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            path = visible(scope["path"], LONGEST_TEXT)
            if not looks:
                log.info("%s: %s %s: %s", user_of(scope), scope["method"], path, status or "failed")
                self._tell(scope, status)

    def _tell(self, scope: Scope, status: int) -> None:
        if 200 <= status < 300:
            kind, text = happened(scope["method"], scope["path"])
            source = header(scope, SOURCE_HEADER) or _LOCAL
            self._note(kind, scope["state"].get(_SAID) or text, who=user_of(scope), source=source)


def say(request: Request, text: str) -> None:
    """For a route: what it has done, in words and without secrets, for the list of events."""
    request.scope.setdefault("state", {})[_SAID] = text


def happened(method: str, path: str) -> tuple[Kind, str]:
    """What a request that was granted did, as far as method and path say it."""
    noun, _, rest = path.removeprefix("/api/").partition("/")
    if noun == "files" and method == "GET":
        return "download", f"Downloaded {rest}"
    if noun == "archive":
        return "download", "Downloaded an archive"
    if noun == "packets":
        return "download", "Looked at packets"
    if noun == "support":
        return "download", "Downloaded a support bundle"
    if noun == "live":
        return "download", "Captured live"
    if noun == "files" and method == "DELETE":
        return "file", deleted(rest)
    if noun == "export" and rest.startswith("files/"):
        return "file", deleted(rest.removeprefix("files/"))
    if noun == "trigger":
        return "press", "Pressed by page or program"
    return _KINDS.get(noun, "change"), f"{method} {path}"


def deleted(name: str) -> str:
    """What stands in the list of events of a file that somebody has deleted."""
    return visible(f"Deleted {name}", LONGEST_TEXT)


def user_of(scope: Scope) -> str:
    """The user's name, `root` without one, `?` if what was sent cannot be a name."""
    named = header(scope, USER_HEADER)
    if named is None:
        return "root"
    return named if named == WEB_PROGRAM or _USER.fullmatch(named) else "?"


def _is_download(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["method"] == "GET" and path.startswith(_DOWNLOADS)
