"""A recorder in a network of its own; a browser, and the page of a device whose hardware is made up."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from allegro.web.app import create_app
from tests.harness.browser import BUILT, PHONE, WAIT_MS, chromium_browser
from tests.harness.namespaces import Namespace
from tests.harness.waiting import PATIENCE
from tests.host.recording import Recording
from tests.unit.web.world import PASSWORD, World


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test may take longer by as much as what it waits for."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            own = item.get_closest_marker("timeout")
            seconds = float(own.args[0] if own else config.getini("timeout"))
            item.add_marker(pytest.mark.timeout(seconds * PATIENCE), append=False)


@pytest.fixture
def namespace(worker_id: str) -> Iterator[Namespace]:
    """A network of its own, with nothing in it; tests of several files may run side by side."""
    made = Namespace(f"recorder-{worker_id}")
    yield made
    made.close()


@pytest.fixture
def recording(namespace: Namespace, tmp_path: Path) -> Iterator[Recording]:
    """A recorder in that network, not started yet."""
    made = Recording(namespace, tmp_path)
    yield made
    if made.process is not None:
        made.process.kill()


@dataclass
class Site:
    """The page of a device in a folder, served over HTTPS. `anna` is its administrator."""

    world: World
    url: str


@contextmanager
def served(world: World, folder: Path) -> Iterator[Site]:
    """The page of this device, served by a thread; its certificate lies in the folder."""
    if not (BUILT / "vendor").is_dir():
        pytest.fail("the files of others are missing: make web-assets")
    world.site.users.add("anna", "admin", PASSWORD)
    world.site.users.set_password("anna", PASSWORD + "!")
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(world.site, BUILT),
        ssl_certfile=folder / "certificate.pem",
        log_config=None,
        lifespan="on",
        http="h11",
        ws="none",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield Site(world, f"https://localhost:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(20)
        world.device.jobs.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The page of a device on which nothing has happened yet."""
    with served(World(tmp_path), tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a module."""
    with chromium_browser() as browser:
        yield browser


def log_in(page: Page) -> None:
    """As anna, to the dashboard."""
    page.goto("/login")
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD + "!")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


@pytest.fixture
def anna(site: Site, chromium: Browser) -> Iterator[Page]:
    """A window on a phone in which anna has logged in."""
    context = chromium.new_context(ignore_https_errors=True, base_url=site.url, viewport=PHONE)  # type: ignore[arg-type]
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    log_in(page)
    yield page
    context.close()
