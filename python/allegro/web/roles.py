"""What each role may do. Rules only, no I/O.

viewer: looks at everything, but cannot open captures (they hold other people's traffic).
capture: fires the trigger and works with files as well. admin: everything.
"""

import re
from typing import Literal, get_args

Role = Literal["admin", "capture", "viewer"]
ROLES: tuple[Role, ...] = get_args(Role)

LOOKS = ("GET", "HEAD")

_CAPTURE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("GET", re.compile(r"files/.+")),
    ("HEAD", re.compile(r"files/.+")),
    ("DELETE", re.compile(r"files/[^/]+")),
    ("POST", re.compile(r"trigger")),
    ("POST", re.compile(r"jobs/\d+/cancel")),
    ("POST", re.compile(r"export/now")),
)
"""Requests that need the role capture; paths below /api/, decoded."""


def needed_role(method: str, path: str) -> Role:
    """The least role that may send this request to the API; `path` is decoded, without the prefix /api/."""
    if any(method == allowed and pattern.fullmatch(path) for allowed, pattern in _CAPTURE):
        return "capture"
    return "viewer" if method in LOOKS else "admin"


def includes(role: Role, needed: Role) -> bool:
    """Each role may do what the ones after it in ROLES may."""
    return ROLES.index(role) <= ROLES.index(needed)
