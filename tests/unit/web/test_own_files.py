"""Names of scripts, styles and pictures, and what is answered to who asks for them."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from allegro.web.app import OWN_FILES, create_app
from allegro.web.own_files import ASK_AGAIN, FOR_EVER, OwnFiles
from allegro.web.pages import PAGES
from tests.unit.web.world import Browser, World

pytestmark = pytest.mark.spec("W14")


def addresses(text: str) -> set[str]:
    return set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text))


def asked(world: World, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    return Browser(world.app).get(path, headers)


SENTENCE = re.compile(r"[A-Z][a-z][\w' ,:;-]* .*|.* \w+\.")


def test_what_scripts_say_stands_in_the_pages(world: World) -> None:
    admin = world.user("admin")
    pages = [admin.page(page.path) for page in PAGES]
    brought = {name for page in pages for name in re.findall(r'data-name="([\w-]+)"', page)}
    asked_for = set()
    for script in sorted(OWN_FILES.glob("*.js")):
        code = re.sub(r"(?m)(^|\s)//.*$|/\*.*?\*/", "", script.read_text())
        texts = ["".join(found) for found in re.findall(r'"([^"\n]*)"|`([^`]*)`', code)]
        assert [text for text in texts if SENTENCE.fullmatch(text)] == [], script.name
        asked_for |= {
            name
            for call in re.findall(r"sentence\(([^)]*)", code)
            for name in re.findall(r'"([\w-]+)"', call)
        }
    assert asked_for == brought, "each is there, and none for nothing"
    assert len(asked_for) > 15


def test_each_page_asks_by_names_that_never_change_their_content(world: World) -> None:
    browser = world.user("admin")
    found = set().union(
        *(addresses(browser.page(page.path)) for page in PAGES), addresses(asked(world, "/login").text)
    )
    own = {each for each in found if "/vendor/" not in each and not each.endswith("/allegro-extcap")}
    assert len(own) >= 9
    for address in own:
        assert re.fullmatch(r"/static/[a-z]+\.[0-9a-f]{12}\.(js|css|svg)", address)
        answer = asked(world, address)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, FOR_EVER)
        plain = OWN_FILES / re.sub(r"\.[0-9a-f]{12}", "", address.rpartition("/")[2])
        assert answer.content == plain.read_bytes()


def test_other_content_is_another_name(tmp_path: Path) -> None:
    file = tmp_path / "page.min.js"
    file.write_text("one")
    before = OwnFiles({"vendor/": tmp_path}).address("vendor/page.min.js")
    assert OwnFiles({"vendor/": tmp_path}).address("vendor/page.min.js") == before
    file.write_text("two")
    after = OwnFiles({"vendor/": tmp_path}).address("vendor/page.min.js")
    assert before != after
    assert re.fullmatch(r"/static/vendor/page\.min\.[0-9a-f]{12}\.js", after)


def test_a_page_that_was_open_over_an_update_gets_what_there_is_and_keeps_it_not(world: World) -> None:
    old = asked(world, "/static/allegro.0123456789ab.css")
    assert (old.status_code, old.headers["cache-control"]) == (200, ASK_AGAIN)
    assert old.content == (OWN_FILES / "allegro.css").read_bytes()
    for unknown in (
        "/static/gone.0123456789ab.js",
        "/static/../app.py",
        "/static/",
        "/static/allegro.css.map",
    ):
        assert asked(world, unknown).status_code == 404, unknown
    program = asked(world, "/static/allegro-extcap")
    assert program.text.startswith("#!")
    assert program.headers["cache-control"] == ASK_AGAIN


@pytest.mark.parametrize("accepts", ["", "gzip, br"])
def test_who_has_it_already_is_told_so(world: World, accepts: str) -> None:
    way = {"Accept-Encoding": accepts}
    first = asked(world, "/static/allegro.css", way)
    assert first.headers.get("content-encoding", "") == accepts.partition(",")[0]
    assert first.headers["vary"] == "Accept-Encoding"
    tag = first.headers["etag"]
    for same in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = asked(world, "/static/allegro.css", way | {"If-None-Match": same})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert asked(world, "/static/allegro.css", way | {"If-None-Match": '"x"'}).status_code == 200


def test_the_tag_is_of_the_content_and_not_of_the_time_of_a_file(world: World, tmp_path: Path) -> None:
    """In an image all files have the same time."""
    tags = set()
    for content in ("a{}", "b{}"):
        (tmp_path / "vendor").mkdir(exist_ok=True)
        (tmp_path / "vendor/x.css").write_text(content)
        browser = Browser(create_app(replace(world.site), tmp_path))
        tags.add(browser.get("/static/vendor/x.css").headers["etag"])
    assert len(tags) == 2
