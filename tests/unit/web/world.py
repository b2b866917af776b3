"""A browser without a screen, and a web page in front of the API of a device in a folder."""

import asyncio
import html
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
from starlette.types import ASGIApp

from allegro.accounts.roles import Role
from allegro.accounts.tokens import TokenStore
from allegro.accounts.users import UserStore
from allegro.firmware.update import FirmwareService
from allegro.system.actions import Actions
from allegro.web import certificate
from allegro.web.app import create_app, make_site
from allegro.web.backend import Backend
from allegro.web.known_browsers import KnownBrowsers
from allegro.web.own_addresses import DeviceName
from allegro.web.served_certificate import ServedCertificate
from allegro.web.site import Site
from tests.unit.api.bench import Bench, make_bench

PASSWORD = "correct horse battery"


class Clock:
    """Monotonic seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Browser:
    """Keeps cookies, follows no redirects by itself."""

    def __init__(self, app: ASGIApp, address: str = "192.0.2.1") -> None:
        self._app = app
        self._address = address
        self.cookies = httpx.Cookies()

    def send(
        self,
        method: str,
        path: str,
        *,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> httpx.Response:
        async def request() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, client=(self._address, 50000))
            async with httpx.AsyncClient(
                transport=transport, base_url="https://device.local", cookies=self.cookies
            ) as client:
                response = await client.request(
                    method, path, data=dict(data) if data else None, headers=headers, content=content
                )
                self.cookies = client.cookies
                return response

        return asyncio.run(request())

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.send("GET", path, headers=headers)

    def page(self, path: str) -> str:
        """The text of a page that is shown."""
        response = self.get(path)
        assert response.status_code == 200, (response.status_code, response.headers.get("location"))
        return html.unescape(response.text)

    def post(self, path: str, headers: Mapping[str, str] | None = None, **data: str) -> httpx.Response:
        """Sends a form as the page would, with the token that stands in it."""
        return self.send("POST", path, data={"csrf": self.csrf(), **data}, headers=headers)

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([\w-]+)"', self.get("/password").text)
        return found[1] if found else ""

    def log_in(self, name: str, password: str) -> httpx.Response:
        return self.send("POST", "/login", data={"name": name, "password": password})


class World:
    """One device with its page."""

    def __init__(
        self, folder: Path, updates: Callable[[Path, Actions], FirmwareService] | None = None
    ) -> None:
        self.device: Bench = make_bench(folder, updates)
        self.clock = Clock()
        self.users_file = folder / "users.json"
        pem = folder / "certificate.pem"
        info = certificate.ensure(pem, ["allegro", "device.local"], datetime.now(UTC))
        made = make_site(
            UserStore(self.users_file),
            Backend(httpx.ASGITransport(self.device.app)),
            folder / "built",
            ServedCertificate(pem, info),
            DeviceName("allegro-mm-3456"),
            KnownBrowsers(b"k" * 32),
            TokenStore(folder / "tokens.json"),
        )
        self.site: Site = replace(made, now_s=self.clock)
        self.app = create_app(self.site, folder / "built")

    def user(self, role: Role) -> Browser:
        """A browser in which somebody with this role has logged in."""
        name = f"the-{role}"
        self.site.users.add(name, role, PASSWORD)
        self.site.users.set_password(name, PASSWORD + "!")
        browser = Browser(self.app)
        assert browser.log_in(name, PASSWORD + "!").headers["location"] == "/"
        return browser
