"""The manual as it was rendered when the device's software was built: in parts, and all in one file."""

import json
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from allegro.web.manual_search import Found, search, sections

ONE_FILE = "allegro-manual.html"
FOR_PROGRAMS = frozenset({"command-line", "rest-api", "metrics"})
"""Pages that nobody needs who has the page."""


@dataclass(frozen=True)
class Part:
    """A page of the manual. `html` was made by us from our own text, and is put into the page as it is."""

    name: str
    title: str
    html: Markup


class Manual:
    """`folder` as scripts/web_assets.py makes it; without it there is no manual."""

    def __init__(self, folder: Path) -> None:
        self.parts: tuple[Part, ...] = ()
        self.front = Markup("")
        self.one_file = folder / ONE_FILE
        self.images = {path.name: path for path in (folder / "images").glob("*.webp")}
        contents = folder / "contents.json"
        if contents.exists():
            self.front = _html(folder, "front")
            listed = json.loads(contents.read_text("utf-8"))
            self.parts = tuple(_part(folder, each["name"], each["title"]) for each in listed)

    def search(self, wanted: str) -> tuple[list[Found], list[Found]]:
        """What has these words: in the pages for people, in those for programs."""
        found = []
        for for_programs in (False, True):
            chosen = [part for part in self.parts if (part.name in FOR_PROGRAMS) is for_programs]
            found.append(
                search(wanted, [s for part in chosen for s in sections(part.name, part.title, part.html)])
            )
        return found[0], found[1]

    def part(self, name: str) -> Part | None:
        """The page of that name."""
        return next((part for part in self.parts if part.name == name), None)


def _part(folder: Path, name: str, title: str) -> Part:
    return Part(name, title, _html(folder, name))


def _html(folder: Path, name: str) -> Markup:
    return Markup((folder / f"{name}.html").read_text("utf-8"))  # noqa: S704 (our own text)
