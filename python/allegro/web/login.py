"""Log in, log out, choose a new password."""

import asyncio
import math
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from allegro.accounts.users import FIRST_PASSWORD, FIRST_USER, User
from allegro.errors import AllegroError, InvalidInput
from allegro.web.sessions import LONGEST_S
from allegro.web.site import COOKIE, NEW_PASSWORD, Action, Site, Visit, form_of, plain_error, route, see


class TooManyAttempts(AllegroError):
    """Wait before the next try."""

    status = 429

    def __init__(self, wait_s: float) -> None:
        self.wait_s = math.ceil(wait_s)
        super().__init__(
            "Too many wrong passwords.", place="password", remedy=f"Try again in {self.wait_s} seconds."
        )


class WrongPassword(AllegroError):
    """No user with that password."""

    status = 401


class Doorkeeper:
    """Checks passwords one after the other: guessing cannot take the processor away from recording."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._one_at_a_time = asyncio.Lock()

    async def check(self, address: str, name: str, password: str) -> User:
        """The user. Raises WrongPassword or TooManyAttempts."""
        attempts = self._site.attempts
        async with self._one_at_a_time:
            if wait_s := attempts.wait_s(address, name, self._site.now_s()):
                raise TooManyAttempts(wait_s)
            user = await run_in_threadpool(self._site.users.verified, name, password)
            if user is None:
                attempts.failed(address, name, self._site.now_s())
                raise WrongPassword("User name or password is wrong.", place="password")
            attempts.succeeded(address, name)
            return user


def routes(site: Site, doorkeeper: Doorkeeper) -> list[Route]:
    """/login, /logout and /password."""

    def page(next_path: str, *, name: str = "", error: AllegroError | None = None) -> HTMLResponse:
        first = site.users.get(FIRST_USER)
        html = site.templates.get_template("login.html").render(
            host_name=site.host_name,
            name=name,
            error=error,
            next=_own_path(next_path),
            first_login=first is not None and first.must_change and len(site.users.all()) == 1,
            first_user=FIRST_USER,
            first_password=FIRST_PASSWORD,
        )
        answer = HTMLResponse(html, error.status if error else 200)
        if isinstance(error, TooManyAttempts):
            answer.headers["Retry-After"] = str(error.wait_s)
        return answer

    async def login(request: Request) -> Response:
        if request.method != "POST":
            return page(request.query_params.get("next", ""))
        try:
            data = await form_of(request)
        except AllegroError as error:
            return plain_error(site, error)
        name, password, next_path = (data.get(key, [""])[0] for key in ("name", "password", "next"))
        try:
            user = await doorkeeper.check(
                request.client.host if request.client else "", name.strip(), password
            )
        except AllegroError as error:
            return page(next_path, name=name, error=error)
        site.sessions.end(request.cookies.get(COOKIE, ""))
        token, _ = site.sessions.start(user.name, site.now_s())
        answer = see(NEW_PASSWORD if user.must_change else _own_path(next_path))
        answer.set_cookie(
            COOKIE, token, max_age=int(LONGEST_S), path="/", secure=True, httponly=True, samesite="strict"
        )
        return answer

    async def logout(visit: Visit) -> Response:
        site.sessions.end(visit.request.cookies.get(COOKIE, ""))
        answer = see("/login")
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    async def ask_new(visit: Visit) -> Response:
        return visit.render("password.html", error=None)

    async def take_new(visit: Visit) -> Response:
        new = visit.typed("password")
        try:
            if not visit.user.must_change:  # else it was typed a moment ago
                address = visit.request.client.host if visit.request.client else ""
                try:
                    await doorkeeper.check(address, visit.user.name, visit.typed("old"))
                except WrongPassword:
                    raise InvalidInput("The old password is wrong.", place="old") from None
            if new != visit.typed("again"):
                raise InvalidInput("The two entries are not the same.", place="again")
            await run_in_threadpool(site.users.set_password, visit.user.name, new)
        except AllegroError as error:
            return visit.render("password.html", status=error.status, error=error)
        site.sessions.end_all_of(visit.user.name, but=visit.session)
        return visit.done("Your new password is saved.", "/")

    actions = (
        Action("POST", "/logout", logout, before_new_password=True),
        Action("GET", NEW_PASSWORD, ask_new, before_new_password=True),
        Action("POST", NEW_PASSWORD, take_new, before_new_password=True),
    )
    return [Route("/login", login, methods=["GET", "POST"]), *(route(site, each, None) for each in actions)]


def _own_path(text: str) -> str:
    """Where to go after the login; never to another site."""
    parts = urlsplit(text)
    safe = (
        text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    )
    return text if safe and text.isprintable() else "/"
