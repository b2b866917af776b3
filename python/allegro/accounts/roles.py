"""What each role may do. Rules only, no I/O.

viewer: looks at everything, but cannot open captures (they hold other people's traffic).
capture: fires the trigger and works with files as well. admin: everything.
"""

from typing import Literal, get_args

Role = Literal["admin", "capture", "viewer"]
ROLES: tuple[Role, ...] = get_args(Role)


def includes(role: Role, needed: Role) -> bool:
    """Each role may do what the ones after it in ROLES may."""
    return ROLES.index(role) <= ROLES.index(needed)


def role_named(text: str) -> Role | None:
    """The role of that name, if there is one."""
    return next((role for role in ROLES if role == text), None)
