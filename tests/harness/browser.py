"""The browser of the tests: Debian's chromium by Playwright, sizes of screens, the judge of accessibility."""

import base64
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.harness.bench_errors import BenchError
from tests.harness.qemu import REPOSITORY
from tests.harness.waiting import PATIENCE

BUILT = REPOSITORY / "build/web"
PHONE = {"width": 390, "height": 844}
SMALL_PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}
WAIT_MS = 20_000 * PATIENCE
"""How long a page of this machine may take to show something."""


@contextmanager
def chromium_browser(wait_ms: float = WAIT_MS, certificate: str = "") -> Iterator[Browser]:
    """A browser without a screen, in which `expect` waits so long. Raises BenchError without chromium.

    A `certificate` (PEM) that is given is trusted: from a server that is not, chromium keeps nothing, and
    scripts and styles come anew with every page.
    """
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise BenchError("chromium is missing: scripts/install-host-packages")
    expect.set_options(timeout=wait_ms)
    with sync_playwright() as playwright:
        trusted = [f"--ignore-certificate-errors-spki-list={_key_hash(certificate)}"] if certificate else []
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *trusted])
        yield browser
        browser.close()


def _key_hash(certificate: str) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo), in Base64 (chromium's network_switch_list.h)."""
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    return base64.b64encode(
        hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    ).decode()


class Thumb:
    """Somebody with a keyboard alone; what is pressed counts as a tap of a phone's user."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.taps = 0

    def press(self, button: Locator, key: str = "Enter") -> None:
        """Goes there by Tab, and presses."""
        self.reach(button)
        self._page.keyboard.press(key)
        self.taps += 1

    def reach(self, element: Locator) -> None:
        """Goes there by Tab."""
        expect(element).to_be_visible()
        for _ in range(60):
            if element.evaluate("element => element === document.activeElement"):
                return
            self._page.keyboard.press("Tab")
        pytest.fail(f"{element} is not reached by the keyboard")

    def type(self, field: Locator, text: str) -> None:
        """What stands there goes."""
        self.reach(field)
        self._page.keyboard.press("Control+A")
        self._page.keyboard.type(text)


def photograph(page: Page, path: Path) -> None:
    """Save what the whole page shows, from its top."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=path, full_page=True)


def picture(page: Page, path: Path, quality: int = 80) -> None:
    """Save what the window shows, as a small file for documents (WebP, quality 0 to 100)."""
    page.evaluate("window.scrollTo(0, 0)")
    session = page.context.new_cdp_session(page)
    shown = session.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(shown["data"]))


def picture_of(browser: Browser, png: Path, path: Path) -> None:
    """Save a picture that is there as a small file for documents (WebP)."""
    page = browser.new_page()
    page.set_content(f'<img src="data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}">')
    page.add_style_tag(content="body { margin: 0 } img { display: block }")
    image = page.locator("img").bounding_box()
    assert image
    page.set_viewport_size({"width": int(image["width"]), "height": int(image["height"])})
    picture(page, path)
    page.close()


def accessibility(page: Page) -> list[str]:
    """What axe-core finds wrong with the page."""
    page.evaluate((BUILT / "dev/axe.min.js").read_text())
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']} ({each['help']}): {node['html'][:200]} {node['failureSummary']}"
        for each in result["violations"]
        for node in each["nodes"]
    ]


def assert_accessible(page: Page) -> None:
    """axe-core finds nothing wrong with the page."""
    found = accessibility(page)
    assert found == [], f"{page.url}:\n" + "\n".join(found)
