"""Which records need not be read, because their summaries say that nothing in them matches."""

from __future__ import annotations

from dataclasses import dataclass

from allegro.capture import _packets
from allegro.capture.extraction.coverage import Window
from allegro.capture.extraction.filter_rows import Rows
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

    def passes_over(self, record: Record, rows: Rows | None) -> bool:
        """Whether all packets of the record are in the window, and none of these filters lets one through.
        None: somebody wants all packets.

        Of a record that is not wholly in the window nobody could say, without reading it, how many are.
        """
        self.amounts.reached += record.length
        if rows is not None and self._is_inside(record) and not self._may_match(record, rows):
            return True
        self.amounts.read += record.length
        return False

    def _is_inside(self, record: Record) -> bool:
        first_ns, last_ns = self._line.first(record), self._line.last(record)
        return (
            not record.step_ns
            and first_ns - PACKET_SLACK_NS >= self._window.start_ns
            and last_ns + PACKET_SLACK_NS <= self._window.end_ns
        )

    def _may_match(self, record: Record, rows: Rows) -> bool:
        summary = self._summaries.of(record)
        try:
            return _packets.may_match(rows.ready, summary)
        except ValueError:  # of a form that is not known here: nothing is known
            return True
