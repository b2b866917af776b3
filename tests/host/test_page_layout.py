"""Every page on a phone, a tablet and a desktop, on a device with something in every list.

Nothing is cut, out of line, or too small for a thumb, a question moves nothing, and what the keyboard has
reached is seen.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from allegro.web.pages import PAGES
from tests.harness.browser import DESKTOP, PHONE, SMALL_PHONE, WAIT_MS, accessibility, photograph
from tests.host.conftest import Site, log_in, served
from tests.host.furnished import PACKETS, RECORDED, furnished
from tests.host.test_web_page import REPORT

pytestmark = [pytest.mark.timeout(600), pytest.mark.spec("W8")]

TABLET = {"width": 768, "height": 1024}
SCREENS = {"small-phone": SMALL_PHONE, "phone": PHONE, "tablet": TABLET, "desktop": DESKTOP}
PATHS = [
    *(each.path for each in PAGES if each.path != "/setup"),
    *(f"/packets?file={PACKETS}", f"/packets/packet?number=3&file={PACKETS}", f"/packets?{RECORDED}"),
    *("/manual/network", "/password", "/password/wifi"),
]
STEPS = ("clock", "links", "presenter", "captures", "press")

JUDGE = Path(__file__).resolve().parents[1] / "harness/layout_judge.js"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("furnished")
    with furnished(folder) as world, served(world, folder) as made:
        yield made


@pytest.fixture(scope="module")
def state(site: Site, chromium: Browser) -> Any:
    """What a browser keeps in which anna has logged in."""
    context = chromium.new_context(ignore_https_errors=True, base_url=site.url)
    log_in(context.new_page())
    kept = context.storage_state()
    context.close()
    return kept


@pytest.fixture
def page(site: Site, chromium: Browser, state: Any, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A window of this screen and scheme; phones and tablets have fingers."""
    screen, scheme = request.param
    touch = screen != "desktop"
    context = chromium.new_context(
        ignore_https_errors=True,
        base_url=site.url,
        viewport=SCREENS[screen],  # type: ignore[arg-type]
        has_touch=touch,
        is_mobile=touch,
        color_scheme=scheme,
        storage_state=state,
    )
    context.set_default_timeout(WAIT_MS)
    context.add_init_script(path=JUDGE)
    yield context.new_page()
    context.close()


def pages(page: Page) -> Iterator[str]:
    """Opens one page after the other, and each step of the set-up: what it is called."""
    for path in PATHS:
        page.goto(path)
        page.wait_for_load_state()
        yield path
    page.goto("/setup")
    for step in STEPS:
        yield f"/setup: {step}"
        if step != STEPS[-1]:
            page.get_by_role("button", name="Next", exact=True).click()
            page.wait_for_load_state()
    page.get_by_role("button", name="Finish").click()


on = pytest.mark.parametrize("page", [("phone", "light"), ("desktop", "dark")], indirect=True, ids="-".join)


@pytest.mark.parametrize("page", [(each, "light") for each in SCREENS], indirect=True, ids="-".join)
def test_everything_fits_stands_in_line_and_is_large_enough_for_a_thumb(
    page: Page, request: pytest.FixtureRequest
) -> None:
    screen = request.node.callspec.id
    found = []
    for path in pages(page):
        photograph(page, REPORT / f"layout{path.partition('?')[0].replace('/', '-')}-{screen}.png")
        found += [f"{path}: {each}" for each in page.evaluate("judge.fits()")]
        if "desktop" not in screen:
            found += [f"{path}: {each}" for each in page.evaluate("judge.targets()")]
    assert not found, "\n".join(found)


@on
@pytest.mark.spec("W1")
def test_a_question_moves_nothing_fits_and_can_be_taken_back(page: Page) -> None:
    found, asked = [], 0
    for path in pages(page):
        for question in page.locator("details.confirm > summary:visible").all():
            asked += 1
            name = f"{path}: {question.inner_text()!r}"
            question.scroll_into_view_if_needed()
            before = page.evaluate("judge.places()")
            question.click()
            box = question.locator("xpath=..").locator(".confirm-box")
            expect(box).to_be_in_viewport(ratio=0.5)
            if page.evaluate("judge.places()") != before:
                found.append(f"{name} moves the page")
            if box.get_by_role("button", name="Cancel").count() != 1:
                found.append(f"{name} has no Cancel")
            found += [f"{name}: {each}" for each in page.evaluate("judge.fits()")]
            page.keyboard.press("Escape")
            expect(box).to_be_hidden()
            expect(question).to_be_focused()
    assert asked > 15
    assert not found, "\n".join(found)


@on
def test_every_page_is_accessible_with_something_in_each_list(page: Page) -> None:
    found = [f"{path}: {each}" for path in pages(page) for each in accessibility(page)]
    assert not found, "\n".join(found)


@on
def test_the_keyboard_reaches_only_what_is_seen_and_shows_where_it_is(page: Page) -> None:
    found = []
    for path in pages(page):
        page.evaluate("document.activeElement.blur()")
        for _ in range(200):
            page.keyboard.press("Tab")
            wrong = page.evaluate("judge.focus()")
            if wrong is None:
                break
            found += [f"{path}: {each}" for each in wrong]
        else:
            found.append(f"{path}: the keyboard does not come to its end")
    assert not found, "\n".join(found)
