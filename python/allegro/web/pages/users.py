"""Users: who may log in, and what they may do; tokens of programs."""

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from allegro.accounts.roles import ROLES
from allegro.errors import AllegroError, Conflict, InvalidInput
from allegro.web.site import Action, Page, Visit

PATH = "/users"
TOKENS = "/users/tokens"
NEVER = "never"
DAYS = ("30", "90", "365", NEVER)
WHAT_ROLES_MAY = {
    "admin": "everything",
    "capture": "capture, download and delete captures, send them now; looks at everything else",
    "viewer": "looks at everything, opens no captures",
}


def _show(
    visit: Visit, error: AllegroError | None = None, new_token: str = "", changed: str = ""
) -> Response:
    """With an `error` of what was sent; `changed`: the user whose password that was."""
    return visit.render(
        "users.html",
        status=error.status if error else 200,
        users=visit.site.users.all(),
        tokens=visit.site.tokens.all(),
        new_token=new_token,
        roles=ROLES,
        what_roles_may=WHAT_ROLES_MAY,
        error=error,
        mistakes={each.place: f"{each.message} {each.remedy}".strip() for each in (error, *error.more)}
        if error
        else {},
        typed={key: visit.typed(key) for key in ("name", "role")},
        is_token=visit.request.url.path == TOKENS,
        changed=changed,
        days=DAYS,
    )


async def _look(visit: Visit) -> Response:
    return _show(visit)


async def _add(visit: Visit) -> Response:
    name = visit.typed("name").strip()
    try:
        await run_in_threadpool(visit.site.users.add, name, visit.typed("role"), visit.typed("password"))
    except AllegroError as error:
        return _show(visit, error)
    visit.note("user", f"Added {name} ({visit.typed('role')})")
    return visit.done(f"{name} can log in now, and is then asked for a new password.")


async def _role(visit: Visit) -> Response:
    name, role = visit.typed("name"), visit.typed("role")
    visit.site.users.change(name, role=role)
    visit.note("user", f"Gave {name} the role {role}")
    return visit.done(f"{name} has the role {role} now.")


async def _password(visit: Visit) -> Response:
    name = visit.typed("name")
    if name == visit.user.name:
        raise Conflict("Your own password is changed at the top of the page (your name, Change password).")
    try:
        await run_in_threadpool(partial(visit.site.users.change, name, password=visit.typed("password")))
    except InvalidInput as error:
        return _show(visit, error, changed=name)
    visit.site.sessions.end_all_of(name)
    visit.note("password", f"Set a new password for {name}")
    return visit.done(f"{name} can log in with this password once, and is then asked for a new one.")


async def _delete(visit: Visit) -> Response:
    name = visit.typed("name")
    if name == visit.user.name:
        raise Conflict("You cannot delete yourself. Another administrator can.")
    visit.site.users.delete(name)
    visit.site.sessions.end_all_of(name)
    visit.note("user", f"Deleted {name}")
    return visit.done(f"{name} is deleted.")


async def _add_token(visit: Visit) -> Response:
    days = visit.typed("days")
    try:
        if days not in DAYS:
            raise InvalidInput("Choose when the token ends.", place="days")
        token, text = await run_in_threadpool(
            visit.site.tokens.add,
            visit.typed("name").strip(),
            visit.typed("role"),
            None if days == NEVER else int(days),
        )
    except AllegroError as error:
        return _show(visit, error)
    visit.note("token", f"Made the token {token.name} ({token.role})")
    return _show(visit, new_token=text)  # this once: not by way of another page


async def _delete_token(visit: Visit) -> Response:
    token = await run_in_threadpool(visit.site.tokens.delete, visit.typed("name"))
    visit.note("token", f"Deleted the token {token.name}")
    return visit.done(f"The token {token.name} lets nobody in any more.")


PAGE = Page(
    title="Users",
    path=PATH,
    manual="users",
    group=("Settings",),
    role="admin",
    actions=(
        Action("GET", PATH, _look, role="admin"),
        Action("POST", PATH, _add, role="admin"),
        Action("POST", "/users/role", _role, role="admin"),
        Action("POST", "/users/password", _password, role="admin"),
        Action("POST", "/users/delete", _delete, role="admin"),
        Action("POST", TOKENS, _add_token, role="admin", packs=False),
        Action("POST", "/users/tokens/delete", _delete_token, role="admin"),
    ),
)
