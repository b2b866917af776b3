"""Which records, or parts of them, need not be read: what their summaries say that nothing in it matches."""

from __future__ import annotations

from dataclasses import dataclass

from allegro.capture import _packets
from allegro.capture.extraction.coverage import Window
from allegro.capture.extraction.filter_rows import Rows
from allegro.capture.extraction.pieces import WHOLE, Pieces, worth_reading
from allegro.capture.extraction.timeline import Timeline
from allegro.capture.ring.record import PACKET_SLACK_NS, Record
from allegro.capture.ring.record_summaries import RecordSummaries


@dataclass
class Amounts:
    """Bytes of the ring: of the records that the window reaches, and of those that were read."""

    reached: int = 0
    read: int = 0


class Sieve:
    """Judges the records of a window, and counts them in `amounts`."""

    def __init__(self, window: Window, line: Timeline) -> None:
        self.amounts = Amounts()
        self._window = window
        self._line = line
        self._summaries = RecordSummaries()

    def leave(self, record: Record) -> None:
        """Nobody wants packets of the record any more."""
        self.amounts.reached += record.length

    def pieces(self, record: Record, rows: Rows | None) -> Pieces | None:
        """What is to be read of a record: nothing (None) if all its packets are in the window, and none of
        these filters lets one through. `rows` None: somebody wants all packets.

        Of a record that is not wholly in the window nobody could say, without reading it, how many are.
        """
        self.amounts.reached += record.length
        if rows is None or not self._is_inside(record):
            return WHOLE
        try:
            found = _packets.matching_parts(rows.ready, self._summaries.of(record))
        except ValueError:  # of a form that is not known here: nothing is known
            return WHOLE
        if found is None:
            return WHOLE
        return worth_reading(record, found) if found else None

    def _is_inside(self, record: Record) -> bool:
        first_ns, last_ns = self._line.first(record), self._line.last(record)
        return (
            not record.step_ns
            and first_ns - PACKET_SLACK_NS >= self._window.start_ns
            and last_ns + PACKET_SLACK_NS <= self._window.end_ns
        )
