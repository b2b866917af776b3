"""Scripts, styles and pictures of the page, under names that hold a hash of their content.

What has such a name never changes, so a browser keeps it and does not ask again (`immutable`, RFC 8246). A
page that was open over an update asks for names of before: it gets what there is today, as who asks for the
plain name does, and has to ask again the next time (ETag: RFC 9110, 8.8.3).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from allegro.web.packing import packed, takes_packed

PREFIX = "/static/"
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"

_DIGITS = 12
_HASH = re.compile(rf"\.[0-9a-f]{{{_DIGITS}}}(?=\.|$)")
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class OwnFile:
    """A file as it was when the program started."""

    name: str
    content: bytes

    @cached_property
    def digest(self) -> str:
        """Of its content."""
        return hashlib.sha256(self.content).hexdigest()[:_DIGITS]

    @cached_property
    def hashed_name(self) -> str:
        """`allegro.0123456789ab.css`."""
        stem, dot, suffix = self.name.rpartition(".")
        return f"{stem}.{self.digest}{dot}{suffix}" if dot else self.name

    @cached_property
    def small(self) -> bytes:
        """Compressed."""
        return packed(self.content)


class OwnFiles:
    """All of them. `folders`: where they lie, by how their names begin; one that is missing has none."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        paths = {
            f"{prefix}{path.name}": path
            for prefix, folder in folders.items()
            for path in folder.glob("*")
            if path.is_file()
        }
        self._files = {name: OwnFile(name, path.read_bytes()) for name, path in paths.items()}

    def address(self, name: str) -> str:
        """What a page is to ask for."""
        file = self._files.get(name)
        return PREFIX + (file.hashed_name if file else name)

    def route(self) -> Route:
        """Where they are had."""
        return Route(f"{PREFIX}{{name:path}}", self._answer, methods=["GET"])

    async def _answer(self, request: Request) -> Response:
        name = request.path_params["name"]
        file = self._files.get(name) or self._files.get(_HASH.sub("", name))
        if file is None:
            raise HTTPException(404)
        is_small = takes_packed(request)
        tag = f'"{file.digest}-gzip"' if is_small else f'"{file.digest}"'
        headers = {
            "Cache-Control": FOR_EVER if name == file.hashed_name != file.name else ASK_AGAIN,
            "ETag": tag,
            "Vary": "Accept-Encoding",
        }
        known = {
            each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")
        }
        if known & {tag, "*"}:
            return Response(status_code=304, headers=headers)
        if is_small:
            headers["Content-Encoding"] = "gzip"
        media_type = _MEDIA_TYPES.get(Path(file.name).suffix, "text/plain")
        return Response(file.small if is_small else file.content, headers=headers, media_type=media_type)
