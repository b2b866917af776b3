"""Search in the manual: the sections that have all words, first those that have them in their heading.

No I/O: what is searched is the HTML that was rendered from our own text when the software was built.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST_WORDS = 8
MOST_FOUND = 20
_AROUND = 90
"""Characters of an excerpt on each side of the first word that was found."""

_HEADING = re.compile(r'<h[23] id="([^"]*)">(.*?)</h[23]>', re.DOTALL)


@dataclass(frozen=True)
class Section:
    """What stands under one heading. `address` is that of its page in the manual, with the section's id."""

    address: str
    title: str  # of its page
    heading: str  # empty above the first one
    text: str


@dataclass(frozen=True)
class Found:
    """`excerpt`: pieces of text, and whether each is one of the words."""

    section: Section
    excerpt: Sequence[tuple[str, bool]]


def sections(name: str, title: str, rendered: str) -> Iterator[Section]:
    """The sections of a page of the manual."""
    above, *parts = _HEADING.split(rendered)
    yield Section(f"/manual/{name}", title, "", _words_of(above))
    for anchor, heading, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        yield Section(f"/manual/{name}#{anchor}", title, _words_of(heading), _words_of(text))


def search(wanted: str, all_sections: Sequence[Section]) -> list[Found]:
    """The best first, in the order of the manual among equals."""
    words = wanted.casefold().split()[:MOST_WORDS]
    if not words:
        return []
    ranked = [(rank, each) for each in all_sections if (rank := _rank(words, each)) is not None]
    ranked.sort(key=lambda each: each[0])
    return [Found(each, _excerpt(words, each.text)) for _, each in ranked[:MOST_FOUND]]


def _rank(words: Sequence[str], section: Section) -> int | None:
    """The lower the better, None if a word is nowhere: how many of them no heading has, the own one first."""
    own = (section.heading or section.title).casefold()
    any_heading, text = f"{section.title} {section.heading}".casefold(), section.text.casefold()
    if any(word not in any_heading and word not in text for word in words):
        return None
    return sum(0 if word in own else 1 if word in any_heading else 3 for word in words)


def _excerpt(words: Sequence[str], text: str) -> list[tuple[str, bool]]:
    pattern = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.I)
    first = pattern.search(text)
    start, end = max(0, (first.start() if first else 0) - _AROUND), (first.end() if first else 0) + _AROUND
    shown = f"{'… ' if start else ''}{text[start:end].strip()}{' …' if end < len(text) else ''}"
    pieces, at = [], 0
    for match in pattern.finditer(shown):
        pieces += [(shown[at : match.start()], False), (match[0], True)]
        at = match.end()
    return [piece for piece in (*pieces, (shown[at:], False)) if piece[0]]


def _words_of(rendered: str) -> str:
    """Text without markup, its white space as single blanks."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", rendered)).split())
