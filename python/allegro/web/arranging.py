"""Tables whose order counts: buttons of the form move, add and remove rows, and save nothing. No I/O."""

import re
from collections.abc import Mapping, Sequence

Data = Mapping[str, Sequence[str]]
Rows = Sequence[Mapping[str, str]]
"""Values of the fields of some rows, as a form sends them; a box that is ticked is "on"."""

FIELD = "arrange"
"""Name of the buttons; their value is `<table>.<row>.up`, `.down` or `.remove`, or `<table>.0.<template>`."""


def arranged(data: Data, wanted: str, templates: Mapping[str, Rows]) -> dict[str, Sequence[str]]:
    """The form's values with the rows of a table as a button wants them; else as they are."""
    found = re.fullmatch(r"(.+)\.(\d{1,4})\.([a-z-]+)", wanted)
    if found is None:
        return dict(data)
    table, number, action = found[1], int(found[2]), found[3]
    rows = _rows(data, table)
    if action in templates:
        after = max((each for each, row in rows.items() if _is_filled(row)), default=-1) + 1
        rows |= {after + place: _as_sent(row) for place, row in enumerate(templates[action])}
    elif action == "remove":
        rows.pop(number, None)
    elif action in ("up", "down"):
        _swap(rows, number, 1 if action == "down" else -1)
    rest = {name: value for name, value in data.items() if not name.startswith(f"{table}.")}
    for each, row in rows.items():
        rest |= {f"{table}.{each}.{name}": value for name, value in row.items()}
    return rest


def _rows(data: Data, table: str) -> dict[int, dict[str, Sequence[str]]]:
    rows: dict[int, dict[str, Sequence[str]]] = {}
    for name, value in data.items():
        if found := re.fullmatch(rf"{re.escape(table)}\.(\d{{1,4}})\.(.+)", name):
            rows.setdefault(int(found[1]), {})[found[2]] = value
    return rows


def _swap(rows: dict[int, dict[str, Sequence[str]]], number: int, step: int) -> None:
    numbers = sorted(rows)
    if number not in numbers:
        return
    other = numbers.index(number) + step
    if 0 <= other < len(numbers):
        there = numbers[other]
        rows[number], rows[there] = rows[there], rows[number]


def _is_filled(row: Mapping[str, Sequence[str]]) -> bool:
    """Whether it has a name: each row of such a table needs one."""
    return any(value.strip() for value in row.get("name", ()))


def _as_sent(row: Mapping[str, str]) -> dict[str, Sequence[str]]:
    return {name: [value] for name, value in row.items()}
