"""Answers that are compressed (gzip, RFC 1952) where the client takes it.

The length of what is compressed tells of its content: whoever sees lengths, and chooses a part of the
content, can guess another part of it bit by bit (BREACH). So a page is compressed only where nothing in it
is worth guessing. Its token against forged requests is another text each time (`Session.masked_csrf`); a
cookie never stands in a page, and is not sent for a page of another site (SameSite=Strict). Pages with a
password, a token or strangers' packets are never compressed (`Action.packs`), nor is what answers a form
that was sent, as that may show again what was typed, nor answers of the API and captures.
"""

import zlib

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

LEAST = 1000
"""Bytes; what is smaller fits into one packet anyway."""

_LEVEL = 6
GZIP = 16 + zlib.MAX_WBITS


def takes_packed(request: Request) -> bool:
    """Whether the client says that it can unpack (RFC 9110, 12.5.3)."""
    for each in request.headers.get("Accept-Encoding", "").split(","):
        name, _, quality = each.partition(";")
        if name.strip().lower() == "gzip":
            return quality.replace(" ", "").rstrip("0.") != "q="
    return False


def packed(content: bytes) -> bytes:
    """The content, compressed."""
    packer = zlib.compressobj(_LEVEL, wbits=GZIP)
    return packer.compress(content) + packer.flush()


def pack(answer: Response, request: Request) -> Response:
    """The answer with its content compressed, if that is worth it."""
    if (
        isinstance(answer, HTMLResponse | JSONResponse)
        and len(answer.body) >= LEAST
        and takes_packed(request)
    ):
        answer.body = packed(bytes(answer.body))
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Content-Length"] = str(len(answer.body))
    return answer
