"""What all pages share: who asks, whether that may be, and how a page is put together."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urlsplit

import jinja2
import markupsafe
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from allegro.accounts.roles import Role, includes
from allegro.accounts.tokens import TokenStore
from allegro.accounts.users import User, UserStore
from allegro.api.asker import Forbidden
from allegro.api.client import ApiError
from allegro.errors import AllegroError, InvalidInput
from allegro.events.event import Kind
from allegro.first_steps import TITLES
from allegro.web import template_filters
from allegro.web.attempts import Attempts
from allegro.web.backend import Asker, Backend, UserApi
from allegro.web.connection import user_is_known
from allegro.web.device_readiness import DeviceReadiness
from allegro.web.device_zone import DeviceZone
from allegro.web.history import History
from allegro.web.known_browsers import KnownBrowsers
from allegro.web.lasting import Lasting
from allegro.web.manual import Manual
from allegro.web.menu import Heading
from allegro.web.own_addresses import DeviceName
from allegro.web.packing import pack
from allegro.web.reports import Reports
from allegro.web.served_certificate import ServedCertificate
from allegro.web.sessions import Session, Sessions

# The prefix makes browsers insist on Secure, on Path=/ and on no Domain (RFC 6265bis, 4.1.3.2).
COOKIE = "__Host-allegro"
LOOKS = ("GET", "HEAD")
_CHANGE_S = 5.0
LARGEST_FORM, LARGEST_TABLES = 256 * 1024, 2 * 1024 * 1024
"""Bytes of a form; of one of an administrator, whose tables come twice: as they are, and as they were."""

NEW_PASSWORD = "/password"  # noqa: S105 (an address)

USERS_REMEDY = "All others can log in. If this comes again after a restart, replace the disk."

log = logging.getLogger(__name__)


class TooLarge(InvalidInput):
    """More was sent than any of our forms holds."""

    status = 413


Handler = Callable[["Visit"], Awaitable[Response]]


@dataclass(frozen=True)
class Action:
    """What answers one address. `role`: the least that may use it.

    `every_s`: it is a part of a page that changes by itself, which the page, not its user, looks at so often
    (`allegro.web.live_parts`).
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    role: Role = "viewer"
    every_s: float = 0.0
    before_new_password: bool = False  # can be used although a new password is due
    packs: bool = True  # may be compressed (`allegro.web.packing`)


@dataclass(frozen=True)
class Page:
    """A page. It names its place in the menu; nothing else has to be changed for it.

    `group`: the headings that it stands under; `manual`: its page there, or a section of one
    (`network#links`); `below`: the page that leads to it, where the menu does not.
    """

    title: str
    path: str
    manual: str
    actions: tuple[Action, ...]
    group: tuple[str, ...] = ()
    role: Role = "viewer"
    below: str = ""


@dataclass(frozen=True)
class Site:
    """The parts of the web page. `menu` is made of `pages`; `now_s` is a monotonic clock."""

    users: UserStore
    backend: Backend
    manual: Manual
    certificate: ServedCertificate
    named: DeviceName
    pages: Sequence[Page]
    menu: Sequence[Page | Heading[Page]]
    templates: jinja2.Environment
    browsers: KnownBrowsers
    tokens: TokenStore
    reports: Reports
    certificate_problem: str = ""
    sessions: Sessions = field(default_factory=Sessions)
    attempts: Attempts = field(default_factory=Attempts)
    history: History = field(default_factory=History)
    lasting: Lasting = field(default_factory=Lasting)
    zone: DeviceZone = field(default_factory=DeviceZone)
    readiness: DeviceReadiness = field(default_factory=DeviceReadiness)
    now_s: Callable[[], float] = time.monotonic

    @property
    def host_name(self) -> str:
        """The name of the device."""
        return self.named()

    def problems(self) -> list[dict[str, str]]:
        """What is wrong with what the page itself keeps, as the API tells of everything else."""
        disk = "Restart the device; if this message stays, replace its disk."
        wrong = (
            ("users", self.users.problem, disk if self.users.locked else USERS_REMEDY),
            ("tokens", self.tokens.problem, disk),
            ("certificate", self.certificate_problem, disk),
            ("events", self.reports.problem, "Restart the device if this message stays."),
        )
        told = [
            {"id": name, "severity": "error", "text": text, "remedy": remedy}
            for name, text, remedy in wrong
            if text
        ]
        if trouble := self.certificate.trouble():
            severity = "error" if trouble.severe else "warning"
            told.append(
                {
                    "id": "uploaded-certificate",
                    "severity": severity,
                    "text": trouble.text,
                    "remedy": trouble.remedy,
                }
            )
        return told


@cache
def templates() -> jinja2.Environment:
    """The page templates, with the filters of `allegro.web.template_filters`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (
        template_filters.size,
        template_filters.bit_rate,
        template_filters.number,
        template_filters.duration,
        template_filters.moment,
    ):
        environment.filters[filter_.__name__] = filter_
    environment.filters["when"] = _when
    environment.filters["day"] = _day
    environment.filters["segment"] = lambda name: quote(str(name), safe="")
    environment.globals["setup_titles"] = TITLES
    environment.globals["is_heading"] = lambda item: isinstance(item, Heading)
    return environment


@jinja2.pass_context
def _when(context: Context, text: str | None) -> str:
    """A time of the API in the device's zone; a script adds what it is in the browser's."""
    shown = template_filters.moment(text, context["zone"])
    if not text:
        return shown
    return markupsafe.Markup('<time datetime="{}Z">{}</time>').format(text[:19], shown)


@jinja2.pass_context
def _day(context: Context, seconds: float) -> str:
    return template_filters.day(seconds, context["zone"])


@dataclass(frozen=True)
class Visit:
    """One request of a user who is logged in."""

    site: Site
    request: Request
    session: Session
    user: User
    page: Page | None
    data: Mapping[str, Sequence[str]]  # the form that was sent
    confirm_within_s: float | None = None  # a change of the network waits for so long
    zone: str = "UTC"  # of the device: its times are shown in it
    kept: dict[str, Any] | None = None
    """What a part of the page leaves for its next look; None where it is asked for once."""

    @property
    def api(self) -> UserApi:
        """The API, in this user's name."""
        return UserApi(self.site.backend, Asker(self.user.name, self.user.role, self.address))

    @property
    def address(self) -> str:
        """The user's."""
        return self.request.client.host if self.request.client else ""

    @property
    def way_back(self) -> str:
        """The address that is looked at again after a log-in."""
        return _way_back(self.request, self.page.path if self.page else "/")

    def note(self, kind: Kind, text: str) -> None:
        """For the list of events: what this user has done with what the page itself keeps."""
        self.site.reports.note(kind, text, who=self.user.name, source=self.address)

    def typed(self, name: str) -> str:
        """A text of the form; empty if it was not sent."""
        return next(iter(self.data.get(name, ())), "")

    def may(self, role: Role) -> bool:
        """Whether the user has this role or a higher one."""
        return includes(self.user.role, role)

    def render(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """A page or a part of one. Status 422 shows a form with its mistakes."""
        whole = {
            "visit": self,
            "user": self.user,
            "page": self.page,
            "menu": self.site.menu,
            "may": self.may,
            "csrf": self.session.masked_csrf()
            if self.kept is None
            else "",  # a stream is compressed: no secret in it
            "host_name": self.site.host_name,
            "confirm_within_s": self.confirm_within_s,
            "zone": self.zone,
            "flashes": [] if self.is_part else self.session.take_flashes(),
        }
        return HTMLResponse(self.site.templates.get_template(template).render(whole | context), status)

    @property
    def is_part(self) -> bool:
        """A part of the page is asked for by one of its scripts, or by its stream."""
        return self.kept is not None or self.request.headers.get("HX-Request") == "true"

    def done(self, text: str, path: str = "", *, warnings: Sequence[str] = ()) -> Response:
        """Back to the page (so that loading it again does nothing twice), which says what was done.

        A script that asked for a part of the page makes the browser load the page.
        """
        self.session.flash("good", text)
        for warning in warnings:
            self.session.flash("warning", warning)
        return _go(self.request, path or (self.page.path if self.page else "/"))


def see(path: str) -> Response:
    """Lets the browser get another page."""
    return RedirectResponse(path, status_code=303)


def route(site: Site, action: Action, page: Page | None) -> Route:
    """The action behind all checks: session, same origin, CSRF token, role, new password."""

    async def endpoint(request: Request) -> Response:
        try:
            data = await form_of(request, _largest_form(site, request))
        except AllegroError as error:
            return plain_error(site, error)
        token = request.cookies.get(COOKIE, "")
        session = site.sessions.get(token, site.now_s(), poll=action.every_s > 0) if token else None
        user = site.users.get(session.user) if session else None
        if session is None or user is None:
            return to_login(request, page.path if page else "")
        user_is_known(request.scope)
        zone = await site.zone.name(site.backend, site.now_s())
        visit = Visit(site, request, session, user, page, data, zone=zone)
        if user.must_change and not action.before_new_password:
            return _go(request, NEW_PASSWORD)
        answer = await answered(visit, action)
        packs = action.packs and action.method in LOOKS  # what was typed, and is shown again, may be secret
        return pack(answer, request) if packs else answer

    return Route(action.path, endpoint, methods=[action.method])


async def answered(visit: Visit, action: Action) -> Response:
    """What the action answers to who may use it. A failure is told in its place."""
    try:
        if action.method not in LOOKS:
            sent = visit.request.headers.get("X-CSRF-Token") or visit.typed("csrf")
            if not visit.session.is_csrf(sent):
                raise Forbidden("This page is too old.", remedy="Load it again, then repeat what you did.")
        if not visit.may(action.role):
            raise Forbidden(
                f"Your role ({visit.user.role}) does not allow this.",
                remedy="Ask an administrator of the device.",
            )
        if not (action.every_s or visit.is_part or visit.user.must_change):
            visit = replace(visit, confirm_within_s=await _confirm_within_s(visit))
        return await action.handler(visit)
    except AllegroError as error:
        return _failed(visit, action, error)
    finally:
        if action.method not in LOOKS:
            visit.site.zone.forget()
            visit.site.readiness.forget()


async def _confirm_within_s(visit: Visit) -> float | None:
    """Whether a change of the network waits. Who cannot be asked keeps no page from being shown."""
    try:
        async with asyncio.timeout(_CHANGE_S):
            change = await visit.api.get("/network/change")
    except (AllegroError, TimeoutError):
        return None
    waits: float | None = change["confirm_within_s"]
    return waits


def _largest_form(site: Site, request: Request) -> int:
    """Bytes. Of nobody else so much is kept in memory before it is known what he may do."""
    token = request.cookies.get(COOKIE, "")
    session = site.sessions.get(token, site.now_s(), poll=True) if token else None
    user = site.users.get(session.user) if session else None
    return LARGEST_TABLES if user is not None and includes(user.role, "admin") else LARGEST_FORM


async def form_of(request: Request, largest: int = LARGEST_FORM) -> Mapping[str, Sequence[str]]:
    """The form of a POST, checked to come from our own page. Raises Forbidden or TooLarge."""
    if request.method in LOOKS:
        return {}
    check_origin(request)
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > largest:
            raise TooLarge("This is more than the device expects.")
    try:
        return parse_qs(content.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10_000)
    except ValueError:
        raise TooLarge("This form has more fields than the device expects.") from None


def check_origin(request: Request) -> None:
    """Browsers say where a request comes from (Origin: RFC 6454; Fetch Metadata); another site is refused."""
    if site := request.headers.get("Sec-Fetch-Site"):
        foreign = site not in ("same-origin", "none")
    else:  # an old browser; with our Referrer-Policy it says "null" for our own page, too
        origin = request.headers.get("Origin", "null")
        foreign = origin != "null" and _host(origin) != request.headers.get("Host")
    if foreign:
        raise Forbidden("This request comes from another site and was refused.")


def _host(address: str) -> str | None:
    """Host and port of an address, None if it is none."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None


def to_login(request: Request, page: str) -> Response:
    """After the session has ended: to the login, and back from there; what is no page leads back to one."""
    here = _way_back(request, page)
    return _go(request, f"/login?next={quote(here)}" if here.strip("/") else "/login")


def _way_back(request: Request, page: str) -> str:
    """The address to look at again: this one, or that of its `page` where something was sent to it."""
    if request.method not in LOOKS or request.headers.get("HX-Request") == "true":
        return page
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def plain_error(site: Site, error: AllegroError) -> Response:
    """A failure shown to somebody who is not logged in."""
    page = site.templates.get_template("plain_error.html")
    return HTMLResponse(page.render(error=error, host_name=site.host_name), error.status)


def _go(request: Request, path: str) -> Response:
    if request.headers.get("HX-Request") == "true":  # a redirect would end up in a part of the page
        return Response(status_code=204, headers={"HX-Redirect": path})
    return see(path)


def _failed(visit: Visit, action: Action, error: AllegroError) -> Response:
    """A failed change is told on the page where it was asked for; a failed look in place of the page."""
    status = error.status
    if status >= 500 and not isinstance(error, ApiError):
        log.warning("%s %s: %s", action.method, visit.request.url.path, error)
    if visit.is_part:
        return visit.render("parts/error.html", error=error)
    if action.method == "POST" and visit.page is not None:
        visit.session.flash("error", f"{error.message} {error.remedy}".strip())
        return see(visit.page.path)
    return visit.render("error.html", status=status, error=error)
