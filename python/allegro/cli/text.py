"""Words and columns that the texts of all commands are made of."""

import json
import re
from collections.abc import Iterable, Sequence

from allegro import words
from allegro.cli.grammar import Answer


def table(rows: Iterable[Sequence[object]], indent: str = "") -> str:
    """Columns aligned by blanks; the last one is as long as it is."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        return ""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(indent + line.rstrip() for line in lines)


def on_terminal(text: str) -> str:
    """What a terminal gets of a text: lines in which nothing controls it."""
    return "\n".join(words.harmless(line.expandtabs()) for line in text.split("\n"))


def as_json(data: object) -> str:
    """JSON for people and programs; what could control a terminal is escaped in it."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def size(count: float | None) -> str:
    """`12.3 MB`; a dash if it is not known."""
    return "-" if count is None else words.size(count)


def number(count: int | None) -> str:
    """`1 234 567`; a dash if it is not known."""
    return "-" if count is None else f"{count:,}".replace(",", " ")


def moment(time: str | None) -> str:
    """`2026-11-21 14:30:05` of an ISO 8601 time in UTC; a dash if there is none."""
    return "-" if time is None else time[:19].replace("T", " ")


def actions(answer: Sequence[Answer]) -> str:
    """Long actions: how far they are, how they ended."""
    rows = []
    for action in answer:
        known = action["state"] == "running" and action["progress"] is not None
        rows.append(
            (action["name"], f"{action['progress']:.0%}" if known else action["state"], action["text"])
        )
    return "Actions\n" + table(rows, indent="  ")
