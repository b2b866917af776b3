"""What of a window a press wants to have in its file. No I/O."""

import json
from dataclasses import dataclass
from typing import Literal

from allegro.capture.extraction.shape import WHOLE, Shape
from allegro.filters.device import GroupTexts

Target = Literal["", "storage", "upload"]
"""Where a file goes; empty: as the export is set when it is made."""


@dataclass(frozen=True)
class WantedRow:
    """A row of the filter table that applies to a press: a file of its own, with what matches its filter."""

    name: str
    filter: str
    shape: Shape = WHOLE


@dataclass(frozen=True)
class Content:
    """`filter` is the text of the filter that packets have to match; empty: all. `groups` (`groups_kept`) are
    the link groups at the press, if the filter may name one: it goes on meaning what it meant then. `shape`
    is what the file looks like. With `rows`, each makes a file instead. `note`: what somebody wants to be
    known of it, on one line.
    """

    filter: str = ""
    groups: str = ""
    rows: tuple[WantedRow, ...] = ()
    shape: Shape = WHOLE
    target: Target = ""
    note: str = ""


EVERYTHING = Content()


def groups_kept(groups: GroupTexts, *filters: str) -> str:
    """Link groups as a job keeps them; empty if none of its filters can ask for one."""
    return json.dumps(groups) if any("group" in text.lower() for text in filters) else ""


def groups_of(kept: str) -> GroupTexts:
    """The link groups that a job has kept."""
    return [(name, text) for name, text in json.loads(kept or "[]")]
