"""A terminal that understands what the console sends (ECMA-48), so that tests can read its screen."""

import re

_SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z\]])|\x1b(.)", re.DOTALL)


class Screen:
    """Characters in rows; colours are left out."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns = columns
        self._rows = rows
        self._clear()
        self._row = self._column = 0

    def text(self) -> str:
        """What can be read, line by line."""
        return "\n".join("".join(row).rstrip() for row in self._cells)

    def feed(self, data: str) -> None:
        """Takes what was sent."""
        at = 0
        while at < len(data):
            if match := _SEQUENCE.match(data, at):
                self._control(match[1] or "", match[2] or "")
                at = match.end()
            else:
                self._put(data[at])
                at += 1

    def _clear(self) -> None:
        self._cells = [[" "] * self._columns for _ in range(self._rows)]

    def _control(self, parameters: str, kind: str) -> None:
        if kind == "H":
            row, _, column = parameters.partition(";")
            self._row = min(int(row or 1), self._rows) - 1
            self._column = min(int(column or 1), self._columns) - 1
        elif kind == "J":
            self._clear()
        elif kind == "K":
            self._cells[self._row][self._column :] = [" "] * (self._columns - self._column)

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._new_line()
        elif character >= " ":
            if self._column == self._columns:
                self._column = 0
                self._new_line()
            self._cells[self._row][self._column] = character
            self._column += 1

    def _new_line(self) -> None:
        if self._row == self._rows - 1:
            self._cells = [*self._cells[1:], [" "] * self._columns]
        else:
            self._row += 1
