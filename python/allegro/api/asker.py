"""Who asks: the headers with which the page vouches for a user. No FastAPI here: the page sends them, too."""

from starlette.types import Scope

from allegro.accounts.roles import Role, role_named
from allegro.errors import AllegroError

USER_HEADER = "X-Allegro-User"
ROLE_HEADER = "X-Allegro-Role"
"""Name and role of the user for whom the web page asks. They can be believed: only root and the web page's
process can connect to the socket (`allegro.supervisor.listener`)."""

SOURCE_HEADER = "X-Allegro-From"
"""The network address of who asks, as the web page sees it."""

WEB_PROGRAM = "program:web"
"""The user in whose name the web page's program asks for itself: no user and no token can have this name."""

OWNER = "owner"
"""In the state of a connection (`scope["state"]`): whether root is at its other end, as the kernel says.
Root needs no headers, and is an administrator."""


class Forbidden(AllegroError):
    """The role of who asks is not enough."""

    status = 403


def role_of(scope: Scope) -> Role | None:
    """The role of who asks; None if nobody vouches for one."""
    named = header(scope, ROLE_HEADER)
    if named is not None:
        return role_named(named)
    if header(scope, USER_HEADER) is not None:
        return None
    return "admin" if scope.get("state", {}).get(OWNER) is True else None


def header(scope: Scope, name: str) -> str | None:
    """The header of that name; of several the first."""
    wanted = name.lower().encode()
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == wanted), None)
