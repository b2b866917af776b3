"""Log in, log out, choose a new password."""

import math
from functools import partial
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from allegro.accounts.users import FIRST_PASSWORD, FIRST_USER, User
from allegro.api.asker import Forbidden
from allegro.errors import AllegroError, InvalidInput
from allegro.web import known_browsers, setup_offer, wifi_password
from allegro.web.backend import Asker
from allegro.web.neighbourhood import neighbourhood
from allegro.web.sessions import LONGEST_S
from allegro.web.site import COOKIE, NEW_PASSWORD, Action, Site, Visit, form_of, plain_error, route, see
from allegro.web.turns import Turns

RESTART = "/restart"
WIFI_PASSWORD = "/password/wifi"  # noqa: S105 (an address)
_WIFI_SAVED = (
    "The WiFi has its new password; your menu at the top shows it with its QR code until you log out. Who is"
    " in this network by WPA2 stays in, and who is by WPA3 comes back by itself: the first password holds"
    " beside the new one until somebody has joined with that, at most an hour."
)
_WIFI_FASTER = "The WiFi has got another password meanwhile, and keeps it."
NOBODY = Asker("nobody", "admin")
"""In whose name this program asks for a restart without a login, and for nothing else."""


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

    def __init__(self) -> None:
        super().__init__("User name or password is wrong.", place="password")


class Doorkeeper:
    """Checks passwords one after the other; the page and the programs come the same way."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turns = Turns()

    async def check(self, address: str, name: str, password: str, note: str = "") -> User:
        """The user. `note`: what the browser was given when it logged in before.

        Raises WrongPassword, TooManyAttempts or Busy.
        """
        attempts = self._site.attempts
        browser = self._site.browsers.name(note, self._site.users.get(name))

        def must_not_wait() -> None:
            if wait_s := attempts.wait_s(address, name, self._site.now_s(), browser):
                raise TooManyAttempts(wait_s)

        must_not_wait()
        async with self._turns.turn(neighbourhood(address), known=bool(browser)):
            must_not_wait()  # others may have failed meanwhile
            user = await run_in_threadpool(self._site.users.verified, name, password)
            if user is None:
                attempts.failed(address, name, self._site.now_s(), browser)
                known = self._site.users.get(name)
                self._site.reports.failed(known.name if known else "", address)
                raise WrongPassword
            attempts.succeeded(address, name, browser)
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
            locked=site.users.problem if site.users.locked else "",
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
        address = request.client.host if request.client else ""
        try:
            note = request.cookies.get(known_browsers.COOKIE, "")
            user = await doorkeeper.check(address, name.strip(), password, note)
        except AllegroError as error:
            return page(next_path, name=name, error=error)
        site.sessions.end(request.cookies.get(COOKIE, ""))
        token, _ = site.sessions.start(user.name, site.now_s())
        # Who replaces a password ends what is open then; this may have come a moment too late for that.
        if site.users.still(user) is None:
            site.sessions.end(token)
            return page(next_path, name=name, error=WrongPassword())
        site.reports.note("login", "Logged in to the page", who=user.name, source=address)
        answer = see(NEW_PASSWORD if user.must_change else _own_path(next_path))
        _set_cookie(answer, COOKIE, token, int(LONGEST_S))
        if not site.browsers.name(note, user):
            _remember(site, answer, user)
        return answer

    async def restart(request: Request) -> Response:
        """Where nobody can log in; the supervisor decides whether it may be."""
        try:
            await form_of(request)
            if not site.users.locked:
                raise Forbidden("Log in to restart the device.")
            await site.backend.ask(NOBODY, "POST", "/power/rescue")
        except AllegroError as error:
            return plain_error(site, error)
        return HTMLResponse(site.templates.get_template("restarted.html").render(host_name=site.host_name))

    async def logout(visit: Visit) -> Response:
        site.sessions.end(visit.request.cookies.get(COOKIE, ""))
        visit.note("logout", "Logged out of the page")
        answer = see("/login")
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return answer

    async def wifi_offered(visit: Visit) -> wifi_password.Offer | None:
        """Beside the own password only at the first log-in; later the WiFi's has a page of its own."""
        return await wifi_password.offered(visit) if visit.user.must_change else None

    async def ask_new(visit: Visit) -> Response:
        return visit.render(
            "password.html",
            error=None,
            typed_wifi="",
            wifi=await wifi_offered(visit),
            first=setup_offer.is_first(visit),
        )

    async def take_new(visit: Visit) -> Response:
        new, typed = visit.typed("password"), visit.typed("wifi")
        # What the form showed; without one the WiFi is left alone.
        offer = visit.session.wifi_offer if visit.user.must_change else ""
        wifi = await wifi_offered(visit)
        first = setup_offer.is_first(visit)
        user = visit.user
        try:
            if not user.must_change:  # else it was typed a moment ago
                try:
                    note = visit.request.cookies.get(known_browsers.COOKIE, "")
                    user = await doorkeeper.check(visit.address, user.name, visit.typed("old"), note)
                except WrongPassword:
                    raise InvalidInput("The old password is wrong.", place="old") from None
            if new != visit.typed("again"):
                raise InvalidInput("The two entries are not the same.", place="again")
            if offer and typed:
                wifi_password.check(typed)
            await run_in_threadpool(partial(site.users.set_password, user.name, new, by=user))
        except AllegroError as error:
            return visit.render(
                "password.html",
                status=error.status,
                error=error,
                typed_wifi=typed,
                wifi=wifi,
                first=first,
            )
        site.sessions.end_all_of(visit.user.name, but=visit.session)
        visit.note("password", "Changed the own password")
        visit.session.setup_begins = first
        answer = visit.done("Your new password is saved.", setup_offer.PATH if first else "/")
        if now := site.users.get(user.name):
            _remember(site, answer, now)  # notes of before do not hold with another password
        if offer:
            try:
                if await wifi_password.save(visit, typed or offer):
                    visit.session.flash("good", _WIFI_SAVED)
                else:
                    visit.session.flash("warning", _WIFI_FASTER)
            except AllegroError as error:
                visit.session.flash("error", f"The new password of the WiFi was not saved. {error}")
        return answer

    async def show_wifi(visit: Visit, error: AllegroError | None = None) -> Response:
        chosen = await wifi_password.chosen(visit)
        return visit.render(
            "wifi_password.html",
            status=error.status if error else 200,
            error=error,
            typed_wifi=visit.typed("wifi"),
            wifi=chosen,
            offer=None if chosen else await wifi_password.offered(visit),
        )

    async def take_wifi(visit: Visit) -> Response:
        offer, typed = visit.session.wifi_offer, visit.typed("wifi")
        try:
            if typed:
                wifi_password.check(typed)
            if not (typed or offer):  # the form is of an earlier log-in: this one has shown none
                return see(WIFI_PASSWORD)
            saved = await wifi_password.save(visit, typed or offer)
        except AllegroError as error:
            return await show_wifi(visit, error)
        visit.session.flash("good" if saved else "warning", _WIFI_SAVED if saved else _WIFI_FASTER)
        return see(WIFI_PASSWORD)

    actions = (
        Action("POST", "/logout", logout, before_new_password=True),
        Action("GET", NEW_PASSWORD, ask_new, before_new_password=True, packs=False),
        Action("POST", NEW_PASSWORD, take_new, before_new_password=True, packs=False),
        Action("GET", WIFI_PASSWORD, show_wifi, role="admin", packs=False),
        Action("POST", WIFI_PASSWORD, take_wifi, role="admin", packs=False),
    )
    return [
        Route("/login", login, methods=["GET", "POST"]),
        Route(RESTART, restart, methods=["POST"]),
        *(route(site, each, None) for each in actions),
    ]


def _remember(site: Site, answer: Response, user: User) -> None:
    """Gives the browser a note that this user has logged in there."""
    _set_cookie(answer, known_browsers.COOKIE, site.browsers.note(user), known_browsers.KEPT_S)


def _set_cookie(answer: Response, name: str, value: str, max_age: int) -> None:
    answer.set_cookie(name, value, max_age, path="/", secure=True, httponly=True, samesite="strict")


def _own_path(text: str) -> str:
    """Where to go after the login; never to another site."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    safe = (
        text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    )
    return text if safe and text.isprintable() else "/"
