import re
from pathlib import Path

import pytest

from allegro.web.manual import Manual
from allegro.web.pages import PAGES
from scripts import web_assets


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("built") / "manual"
    web_assets.render(web_assets.MANUAL, web_assets.IMAGES, made)
    return made


@pytest.mark.spec("W7")
def test_each_page_has_its_section_in_the_manual(folder: Path) -> None:
    manual = Manual(folder)
    for page in PAGES:
        name, _, section = page.manual.partition("#")
        if page.path == "/manual":
            continue
        part = manual.part(name)
        assert part is not None, page.title
        assert not section or f'id="{section}"' in part.html, page.manual


def test_all_links_of_the_manual_lead_somewhere(folder: Path) -> None:
    manual = Manual(folder)
    for text in (manual.front, *(part.html for part in manual.parts)):
        for name, section in re.findall(r'href="/manual/([\w-]+)(?:#([\w-]+))?"', text):
            part = manual.part(name)
            assert part is not None, name
            assert not section or f'id="{section}"' in part.html, f"{name}#{section}"
        assert "<th></th>" not in text
        assert ".md" not in re.sub(r"<code>.*?</code>", "", text)


@pytest.mark.spec("W7")
def test_the_manual_in_one_file_needs_nothing_else(folder: Path) -> None:
    text = (folder / web_assets.ONE_FILE).read_text()
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="([^"]+)"', text)
    assert links
    assert all(link.startswith("#") and link[1:] in ids for link in links), links
    pictures = re.findall(r'src="([^"]+)"', text)
    assert pictures
    assert all(picture.startswith("data:image/webp;base64,") for picture in pictures)
    assert {part.name for part in Manual(folder).parts} <= set(ids)


def test_each_picture_is_there_is_small_and_is_described_in_words(folder: Path) -> None:
    manual = Manual(folder)
    shown = set()
    for text in (manual.front, *(part.html for part in manual.parts)):
        for tag in re.findall(r"<img [^>]*>", text):
            source = re.search(r'src="/manual/images/([^"]+)"', tag)
            assert source, tag
            assert re.search(r'alt="[^"]{20,}"', tag), tag
            shown.add(source[1])
    assert shown == set(manual.images)
    assert all(path.stat().st_size < 100_000 for path in manual.images.values())


def test_without_a_manual_the_page_still_works(tmp_path: Path) -> None:
    assert Manual(tmp_path / "nowhere").parts == ()
