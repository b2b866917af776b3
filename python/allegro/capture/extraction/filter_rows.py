"""The filters of the files of an extraction, made ready for the packets of each port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from allegro.capture import _packets


@dataclass(frozen=True)
class Rows:
    """Filters, and the numbers of the files that they are of."""

    numbers: tuple[int, ...]
    ready: _packets.Rows


class RowsByPort:
    """Makes filters ready once for each port; `program` gives that of a file for the packets of a port.

    Several threads may ask: at worst two of them do the same.
    """

    def __init__(self, program: Callable[[int, str], bytes]) -> None:
        self._program = program
        self._known: dict[str, Rows] = {}

    def of(self, port: str, numbers: tuple[int, ...]) -> Rows | None:
        """The filters of these files; None: there are none."""
        if not numbers:
            return None
        known = self._known.get(port)
        if known is None or known.numbers != numbers:
            ready = _packets.rows([self._program(number, port) for number in numbers])
            known = self._known[port] = Rows(numbers, ready)
        return known
