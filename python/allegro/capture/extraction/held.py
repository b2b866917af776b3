"""What of a window the ring held, by its own word and the recorder's: for the sentences in the file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from allegro.capture import status
from allegro.capture.extraction import coverage
from allegro.capture.extraction.contract import LATEST_NS, Request
from allegro.capture.extraction.timeline import Timeline, present, timeline
from allegro.capture.ring.reader import ORDER_SLACK_NS, RingReader
from allegro.capture.ring.record import Record
from allegro.capture.ring.segments import Run
from allegro.system import boottime


class Held:
    """The ring while an extraction reads it: what was read before it was overwritten counts as there."""

    def __init__(self, request: Request, reader: RingReader) -> None:
        self._reader = reader
        self._directory = request.ring_directory
        self._status_file = request.status_file
        self.runs = reader.runs()
        self.line = _line_of(request, self.runs)
        self._wrapped = reader.has_overwritten()
        self._oldest_ns = self._oldest()
        self._earliest_ns: int | None = None
        bounds = reader.bounds()
        self._empty = bounds is None
        self._start_ns = max(request.start_ns, self._oldest_ns or 0)
        newest_ns = bounds[1] + self.line.correction_ns if bounds else request.end_ns
        self._end_ns = min(request.end_ns, newest_ns)

    def wanted(self, record: Record, window: coverage.Window) -> bool:
        """Whether packets of the window may be in the record."""
        line = self.line
        return (
            line.last(record) >= window.start_ns - ORDER_SLACK_NS
            and line.first(record) <= window.end_ns + ORDER_SLACK_NS
        )

    def saw(self, first_ns: int) -> None:
        """A block was read whose first packet is of this moment on the time line."""
        self._earliest_ns = min(first_ns, self._earliest_ns or first_ns)

    def goes_on(self, reader: RingReader, directory: Path) -> None:
        """What follows is in another ring."""
        self._reader, self._directory = reader, directory

    def progress(self, moment_ns: int) -> float:
        """How far a moment is by time, within the part of the window that the ring holds; 0 to 1."""
        if self._end_ns <= self._start_ns:
            return 0.0
        return min(max((moment_ns - self._start_ns) / (self._end_ns - self._start_ns), 0.0), 1.0)

    def now_ns(self) -> int:
        """This moment, on the time line."""
        offset_ns = self.line.offsets.get(bytes.fromhex(boottime.boot_id()))
        if offset_ns is None:
            return time.time_ns() + self.line.correction_ns
        return boottime.now_ns() + offset_ns

    def ring(self, findings: coverage.Findings) -> coverage.Ring:
        """What the ring had for the extraction. One whose disk is gone meanwhile counts as it was before."""
        oldest_ns, wrapped, empty, runs = self._oldest_ns, self._wrapped, self._empty, self.runs
        with contextlib.suppress(OSError):
            now_ns = self._oldest()
            if not wrapped and now_ns is not None and oldest_ns is not None:
                wrapped = now_ns > oldest_ns and self._reader.has_overwritten()
            empty = empty and self._reader.bounds() is None
            oldest_ns, runs = now_ns, self._reader.runs()
        if oldest_ns is not None and self._earliest_ns is not None:
            oldest_ns = min(oldest_ns, self._earliest_ns)
        unplaced_ns = self.line.begin_ns if self.line.unplaced else None
        return coverage.Ring(empty, oldest_ns if wrapped else None, self._ups(findings, runs), unplaced_ns)

    def _oldest(self) -> int | None:
        """The moment of the oldest packets in the ring; None if they have no place on the time line."""
        oldest = next((record for record in self._reader.iterate(0, LATEST_NS) if record.packets), None)
        return self.line.first(oldest) if oldest is not None and self.line.has(oldest) else None

    def _ups(self, findings: coverage.Findings, runs: Sequence[Run]) -> list[coverage.Up]:
        """When the recorder was up; of one that is running, how far it has come by its own word."""
        said = _recorder(self._status_file)
        ups = []
        # Of a run whose packets are being overwritten meanwhile, the ring says nothing any more.
        # A ring on a disk and one in memory may have parts of the same run.
        for run in {(run.run, run.start_ns): run for run in (*self.runs, *runs)}.values():
            span = self.line.run(run)
            if span is None:
                continue
            start_ns, alive_ns = span
            running = said is not None and said.run_id == run.run
            if said is not None and running and not self._is_here(said):
                findings.away.append(coverage.Away(coverage.RING, "", alive_ns, None, "it went on elsewhere"))
                running, alive_ns = False, LATEST_NS
            if said is not None and running:
                through_ns = said.complete_through_ns - (run.alive_ns - alive_ns)
                if run.boot_id and said.boot_id == run.boot_id:
                    through_ns = said.complete_through_boot_ns + start_ns - run.start_boot_ns
                alive_ns = max(alive_ns, through_ns)
            start_ns = max(start_ns, findings.opened.get(run.run, start_ns))
            ups.append(coverage.Up(start_ns, alive_ns, running, run.ended, run.left))
        return ups

    def _is_here(self, said: status.RecorderStatus) -> bool:
        """Whether the recorder writes into this ring."""
        return said.ring_directory in ("", str(self._directory))


def _recorder(status_file: Path | None) -> status.RecorderStatus | None:
    """What the recorder says, if its process is there."""
    try:
        said = status.from_json(status_file.read_bytes()) if status_file is not None else None
    except (OSError, ValueError):
        return None
    return said if said is not None and Path(f"/proc/{said.pid}").exists() else None


def _line_of(request: Request, runs: Sequence[Run]) -> Timeline:
    """Of a press by its own clock; of dates by that of now."""
    if request.boot_id:
        return timeline(runs, bytes.fromhex(request.boot_id), request.boot_offset_ns)
    return present(runs, boottime.boot_id(), boottime.read_clocks())
