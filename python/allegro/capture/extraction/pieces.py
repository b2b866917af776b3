"""Which bytes of a record are read: all of them, or the parts of it that may hold packets that match."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from allegro.capture.ring.record import ALIGNMENT, HEAD_SIZE, Record, rounded


class Piece(NamedTuple):
    """Packets of a block that lie one behind the other: where the first begins, where the last ends."""

    begin: int
    end: int
    packets: int


Pieces = tuple[Piece, ...]
"""In their order, with something between them; none: the record is read whole."""

WHOLE: Pieces = ()

Wanted = tuple[Record, Pieces]


def worth_reading(record: Record, found: list[tuple[int, int, int]]) -> Pieces:
    """The pieces, if they are less than half of the record, and can be of it by what it says itself."""
    pieces = tuple(map(Piece._make, found))
    possible = (
        pieces[0].begin >= HEAD_SIZE
        and pieces[-1].end <= record.used
        and sum(piece.packets for piece in pieces) < record.packets
    )
    return pieces if possible and 2 * size(record, pieces) < record.length else WHOLE


def spans(record: Record, pieces: Pieces) -> Iterator[tuple[int, int]]:
    """Where in the record to read, from and to, in multiples of ALIGNMENT: its head, the pieces, its end only
    with the last packets."""
    begin, end = 0, ALIGNMENT
    for piece in pieces:
        first, behind = piece.begin & -ALIGNMENT, rounded(piece.end)
        if behind == rounded(record.used):
            behind = record.length
        if first > end:
            yield begin, end
            begin = first
        end = max(behind, end)
    yield begin, end


def size(record: Record, pieces: Pieces) -> int:
    """Bytes to read."""
    return sum(end - begin for begin, end in spans(record, pieces)) if pieces else record.length
