"""Paths that can be read in one way only; others are refused before anything else looks at them.

`.`, `..` and empty segments, slashes in disguise and control characters are read differently by different
programs (RFC 3986, 5.2.4 and 6.2.2): what the one takes for a path that everybody may see is another one's
way to something else. So is a bare `#`, with which the path ends for some only (RFC 3986, 3.5).
"""

import re
from urllib.parse import unquote_to_bytes

from allegro.accounts.roles import Role
from allegro.errors import AllegroError

ACCOUNTS = ("users", "password", "tokens", "certificate")
"""First segments below /api that the web page's program answers itself: it alone keeps these."""

UPLOADS = re.compile(r"firmware/files/[^/]+")
"""What PUT takes a file of any size for, which is passed on as it comes. Paths below /api/, decoded."""

UPLOADER: Role = "admin"
"""The least role for that; the file of who has a lower one is not even read."""


class IrregularPath(AllegroError):
    """The path could be read in more than one way."""

    def __init__(self) -> None:
        super().__init__(
            "The path of this request has empty segments, dots, a slash in disguise, control characters,"
            " or a # (which is written %23).",
            remedy="Write it as it stands in /api/openapi.json.",
        )


def is_regular(raw_path: bytes) -> bool:
    """Whether a path as it stands in the request (encoded, without query) can be read in one way only."""
    first, *segments = raw_path.split(b"/")
    if first or not segments or b"#" in raw_path:
        return False
    return all(_is_regular_segment(unquote_to_bytes(segment)) for segment in segments)


def _is_regular_segment(segment: bytes) -> bool:
    return segment not in (b"", b".", b"..") and not any(byte in _NEVER for byte in segment)


_NEVER = frozenset(b"/\\\x7f") | frozenset(range(0x20))
"""Slashes of every system, and control characters (ASCII), as bytes."""
