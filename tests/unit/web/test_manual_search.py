import re
from pathlib import Path

import pytest

from allegro.web.manual import FOR_PROGRAMS, Manual
from allegro.web.manual_search import Found, Section, search, sections
from scripts import web_assets
from tests.unit.web.world import World

pytestmark = pytest.mark.spec("W7")

PAGE = """<p>About <em>tones</em>.</p><h2 id="volume">Volume of the tones</h2><p>Loud &amp; quiet.</p>
<h3 id="keys">Keys</h3><p>Each key has a tone; the volume stays.</p>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("built") / "manual"
    web_assets.render(web_assets.MANUAL, web_assets.IMAGES, made)
    return made


def headings(found: list[Found]) -> list[str]:
    return [each.section.heading for each in found]


def test_a_page_is_taken_apart_at_its_headings() -> None:
    above, volume, keys = sections("presenter", "Trigger", PAGE)
    assert above == Section("/manual/presenter", "Trigger", "", "About tones .")
    assert volume == Section("/manual/presenter#volume", "Trigger", "Volume of the tones", "Loud & quiet.")
    assert keys.address == "/manual/presenter#keys"


def test_all_words_count_and_headings_come_first() -> None:
    parts = list(sections("presenter", "Trigger", PAGE))
    assert headings(search("tone", parts)) == ["Volume of the tones", "", "Keys"]
    assert headings(search("TONE volume", parts)) == ["Volume of the tones", "Keys"]
    assert headings(search("trigger loud", parts)) == ["Volume of the tones"]
    for nothing in ("", "  ", "tone nowhere", ".*", "<em>"):
        assert search(nothing, parts) == []


def test_an_excerpt_shows_the_words_where_they_stand() -> None:
    text = f"{'before ' * 50}the Needle lies here, a needle{' after' * 50}"
    (found,) = search("needle", [Section("/manual/x", "X", "", text)])
    assert [word for word, is_word in found.excerpt if is_word] == ["Needle", "needle"]
    whole = "".join(piece for piece, _ in found.excerpt)
    assert whole.startswith("… ")
    assert whole.endswith(" …")
    assert len(whole) < 220
    (in_heading,) = search("x", [Section("/manual/x", "X", "", "short")])
    assert in_heading.excerpt == [("short", False)]


def test_what_a_person_looks_for_is_found_and_what_is_for_programs_stands_apart(folder: Path) -> None:
    manual = Manual(folder)
    people, _ = manual.search("lost password")
    assert people
    assert all(
        each.section.address.partition("#")[0].rpartition("/")[2] not in FOR_PROGRAMS for each in people
    )
    assert manual.search("bearer")[1]
    assert manual.search("sftp")[0][0].section.title == "Pcap export via SFTP"
    front = manual.front.partition("For programs")
    for name in FOR_PROGRAMS:
        assert manual.part(name) is not None
        assert f'href="/manual/{name}"' in front[2]
        assert f'href="/manual/{name}"' not in front[0]


def test_the_page_searches_without_scripts_and_shows_what_was_typed_as_text(
    world: World, folder: Path
) -> None:
    object.__setattr__(world.site, "manual", Manual(folder))
    browser = world.user("viewer")
    page = browser.page("/manual?search=sftp%20server")
    assert 'value="sftp server"' in page
    assert 'href="/manual/export' in page
    assert re.search(r"<mark>(sftp|server)</mark>", page, re.IGNORECASE)
    assert "Nothing in the manual has all of these words." in browser.page("/manual?search=qwertz")
    hostile = browser.get("/manual?search=%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>alert" not in hostile
