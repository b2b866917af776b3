"""Somebody at the page of the image, with windows of a browser; what no page must do is noted."""

import contextlib
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.harness.waiting import PATIENCE

WAIT_MS = 60_000 * PATIENCE
"""The emulated device answers slowly."""


class Visitor:
    """Notes what its windows ask for elsewhere than at `origin` and `others`, and what their consoles say."""

    def __init__(self, browser: Browser, origin: str, *others: str, proxy: str = "") -> None:
        """`origin` as browsers write it (https://name:port); `proxy` as chromium wants it."""
        self._browser = browser
        self._origin = origin
        self._own = tuple(f"{scheme}{each}/" for each in (origin, *others) for scheme in ("", "blob:"))
        self._proxy = proxy
        self._state: Any = None
        self.foreign: list[str] = []
        self.complaints: list[str] = []

    @contextlib.contextmanager
    def window(
        self, viewport: dict[str, int], scheme: str = "light", *, time_zone: str | None = None
    ) -> Iterator[Page]:
        """A window; who has logged in once stays logged in."""
        context = self._browser.new_context(
            ignore_https_errors=True,
            viewport=viewport,  # type: ignore[arg-type]
            color_scheme=scheme,  # type: ignore[arg-type]
            base_url=self._origin,
            storage_state=self._state,
            locale="en-GB",
            timezone_id=time_zone,
            proxy={"server": self._proxy} if self._proxy else None,
        )
        context.set_default_timeout(WAIT_MS)
        context.on("request", lambda request: self._note(request.url))
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        yield context.new_page()
        self._state = context.storage_state()
        context.close()

    def _note(self, url: str) -> None:
        if not url.startswith(self._own):
            self.foreign.append(url)

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(f"{said.location.get('url', '')}: {said.text}")


def log_in(page: Page, password: str, user: str = "admin") -> None:
    """At the page for it."""
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
