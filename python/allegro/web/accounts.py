"""The part of the API that the page's program answers itself: accounts and certificate, which it keeps."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from allegro.accounts.tokens import Token
from allegro.accounts.users import User
from allegro.api.asker import OWNER, ROLE_HEADER, SOURCE_HEADER, USER_HEADER
from allegro.api.targets import ACCOUNTS
from allegro.errors import Conflict, InvalidInput
from allegro.events.event import Note
from allegro.web.backend import Asker
from allegro.web.login import Doorkeeper, WrongPassword
from allegro.web.site import Site
from allegro.words import utc

if TYPE_CHECKING:
    from allegro.api.certificate import CertificateAnswer

_OURS = tuple(name.lower().encode() for name in (USER_HEADER, ROLE_HEADER, SOURCE_HEADER))
"""Headers that nobody but this program may set."""


class Keeper:
    """Does what the page does, with the same words."""

    def __init__(self, site: Site, doorkeeper: Doorkeeper) -> None:
        self._site = site
        self._doorkeeper = doorkeeper

    def users(self) -> list[User]:
        """By name."""
        return self._site.users.all()

    def add_user(self, name: str, role: str, password: str) -> None:
        """A new one, who chooses another password at the first login."""
        self._site.users.add(name, role, password)

    def change_user(self, name: str, role: str | None, password: str | None, by: str) -> None:
        """A role, a password for the next login (which ends what is open), or both: all or nothing."""
        if password is not None and name == by:
            raise Conflict("Your own password is changed with the old one.", remedy="PUT /api/password.")
        self._site.users.change(name, role=role, password=password)
        if password is not None:
            self._site.sessions.end_all_of(name)

    async def change_password(self, name: str, old: str, new: str, address: str) -> None:
        """One's own; a wrong old one counts like a wrong one at the login."""
        if self._site.users.get(name) is None:
            raise Conflict("Who asks has no password: it is no user.")
        try:
            user = await self._doorkeeper.check(address, name, old)
        except WrongPassword:
            raise InvalidInput("The old password is wrong.", place="old") from None
        await run_in_threadpool(partial(self._site.users.set_password, name, new, by=user))
        self._site.sessions.end_all_of(name)

    def delete_user(self, name: str, by: str) -> None:
        """Ends all that the user has open, too."""
        if name == by:
            raise Conflict("You cannot delete yourself. Another administrator can.")
        self._site.users.delete(name)
        self._site.sessions.end_all_of(name)

    def tokens(self) -> list[Token]:
        """By name."""
        return self._site.tokens.all()

    def add_token(self, name: str, role: str, days: int | None) -> tuple[Token, str]:
        """A new one, and its text, which is not kept."""
        return self._site.tokens.add(name, role, days)

    def delete_token(self, token_id: str) -> Token:
        """It lets nobody in any more."""
        return self._site.tokens.delete(token_id)

    def certificate(self) -> "CertificateAnswer":
        """The present one."""
        from allegro.api.certificate import CertificateAnswer

        served = self._site.certificate
        return CertificateAnswer(
            uploaded=served.uploaded,
            fingerprint=served.info.fingerprint,
            issuer=served.info.issuer,
            names=list(served.info.names),
            begins_time=_time(served.info.begins),
            ends_time=_time(served.info.ends),
            pem=served.public.decode("ascii"),
        )

    def upload_certificate(self, pem: str) -> None:
        """Shows another one from now on."""
        self._site.certificate.replace(pem)

    def own_certificate(self) -> None:
        """Back to the one that the device has made itself."""
        self._site.certificate.go_back()

    def certificate_request(self) -> str:
        """For the device's own key, PEM."""
        return self._site.certificate.request()


class AccountsApi:
    """What is below /api that this program answers itself; loaded when it is first asked for."""

    def __init__(self, site: Site, doorkeeper: Doorkeeper) -> None:
        self._keeper = Keeper(site, doorkeeper)
        self._note = site.reports.note
        self._made: ASGIApp | None = None
        self._making = asyncio.Lock()

    @staticmethod
    def answers(path: str) -> bool:
        """Whether a path (decoded, below /api/) is one of these. Which one the router finds, and judges."""
        return path.partition("/")[0] in ACCOUNTS

    async def answer(
        self, asker: Asker | None, content: bytes | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answers a request whose content has been read; without `asker` it is root's."""
        app = await self._app()
        headers = [(name, value) for name, value in scope["headers"] if name not in _OURS]
        if asker is not None:
            headers += [(name.lower().encode(), value.encode()) for name, value in asker.headers().items()]
        kept = ("type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string")
        inner = {name: scope[name] for name in kept} | {
            "headers": headers,
            "root_path": "",
            "client": scope.get("client"),
            "server": scope.get("server"),
            "state": {OWNER: asker is None},
        }
        await app(inner, _content_then(content or b"", receive), send)

    async def _app(self) -> ASGIApp:
        async with self._making:
            if self._made is None:
                self._made = await run_in_threadpool(_make, lambda: self._keeper, self._note)
            return self._made


def _make(keeper: Callable[[], Keeper], note: Note) -> ASGIApp:
    from allegro.api import accounts, certificate
    from allegro.api.described import Api, layered
    from allegro.version import own_version

    api = Api(own_version())
    api.add(accounts.router(keeper))
    api.add(certificate.router(keeper))
    return layered(api, note)


def _time(moment: datetime) -> str:
    return utc(int(moment.timestamp()) * 10**9)


def _content_then(content: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message
