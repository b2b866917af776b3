"""Rows of the filter table in the list of captures: the press is a job, each row a child with its own file.

They are in a table of their own, so that release 0.1.0, which knows jobs only, cuts one file for the press at
most and never one for each row.
"""

import dataclasses
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final, Literal

from allegro.capture.extraction.shape import Format, Shape
from allegro.errors import NotFound
from allegro.trigger.content import WantedRow
from allegro.trigger.database import plain_errors

RowState = Literal["open", "complete", "failed", "cancelled"]


@dataclass(frozen=True)
class Row:
    """One row of a press and what became of it; `open` is whatever its job is. Fields as those of a job."""

    job_id: int
    number: int
    name: str
    filter: str
    state: RowState = "open"
    file: str = ""
    directory: str = ""
    size: int | None = None
    packets: int | None = None
    bytes: int | None = None
    drops: int | None = None
    message: str = ""
    finished_ns: int | None = None
    format: Format = "pcapng"
    packet_length: int = 0
    size_limit_mib: int = 0
    limited: bool = False

    @property
    def shape(self) -> Shape:
        """What its file looks like."""
        return Shape(self.format, self.packet_length, self.size_limit_mib)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state != "open"


ONE_FILE: Final = "Another release has made one file of this press instead."

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rows (
    job_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    filter TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open',
    file TEXT NOT NULL DEFAULT '',
    directory TEXT NOT NULL DEFAULT '',
    size INTEGER,
    packets INTEGER,
    bytes INTEGER,
    drops INTEGER,
    message TEXT NOT NULL DEFAULT '',
    finished_ns INTEGER,
    PRIMARY KEY (job_id, number)
)
"""
ADDED: Final = (
    # by version 5
    ("format", "TEXT NOT NULL DEFAULT 'pcapng'"),
    ("packet_length", "INTEGER NOT NULL DEFAULT 0"),
    ("size_limit_mib", "INTEGER NOT NULL DEFAULT 0"),
    ("limited", "INTEGER NOT NULL DEFAULT 0"),
)
PARENTS: Final = "SELECT job_id FROM rows"
PRUNE: Final = "DELETE FROM rows WHERE job_id NOT IN (SELECT id FROM jobs)"
END_OF_OTHERS: Final = (
    f"UPDATE rows SET state = 'failed', message = '{ONE_FILE}' WHERE state = 'open'"  # noqa: S608 (constants only)
    " AND job_id IN (SELECT id FROM jobs WHERE state = 'complete' AND content_held = 0)"
)
_INSERT = (
    "INSERT INTO rows (job_id, number, name, filter, format, packet_length, size_limit_mib)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_SELECT = (
    "SELECT job_id, number, name, filter, state, file, directory, size, packets, bytes, drops, message,"
    " finished_ns, format, packet_length, size_limit_mib, limited FROM rows"
)
FILE_MOVED: Final = "UPDATE rows SET file = ?, directory = ? WHERE file = ? AND state = 'complete'"
_UPDATE = (
    "UPDATE rows SET state = ?, file = ?, directory = ?, size = ?, packets = ?, bytes = ?, drops = ?,"
    " message = ?, finished_ns = ?, limited = ? WHERE job_id = ? AND number = ?"
)


def insert(connection: sqlite3.Connection, job_id: int, wanted: Iterable[WantedRow]) -> None:
    """Rows of a job that is being accepted, within its commit; numbered from 1."""
    values = [
        (job_id, number, row.name, row.filter, *astuple(row.shape)) for number, row in enumerate(wanted, 1)
    ]
    connection.executemany(_INSERT, values)


class Rows:
    """The table `rows`, of the same database and lock as that of the jobs, and with the same rules."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.RLock) -> None:
        self._connection = connection
        self._lock = lock

    def of(self, job_id: int) -> list[Row]:
        """The rows of a job in their order; none if it is one file."""
        return self.of_all([job_id]).get(job_id, [])

    def of_all(self, job_ids: Sequence[int]) -> dict[int, list[Row]]:
        """Those of several jobs; jobs without rows are left out."""
        if not job_ids:
            return {}
        found: dict[int, list[Row]] = {}
        marks = ", ".join("?" * len(job_ids))
        with self._lock, plain_errors():
            sql = f"{_SELECT} WHERE job_id IN ({marks}) ORDER BY job_id, number"
            for values in self._connection.execute(sql, tuple(job_ids)):
                row = Row(*values)
                found.setdefault(row.job_id, []).append(row)
        return found

    def get(self, job_id: int, number: int) -> Row:
        """Raises NotFound."""
        for row in self.of(job_id):
            if row.number == number:
                return row
        raise NotFound(f"Capture {job_id} has no row number {number}.", place="row")

    def change(self, row: Row, **changes: Any) -> Row | None:
        """The row with `changes` of its fields; None (and no change) if it has ended already."""
        with self._lock:
            present = self.get(row.job_id, row.number)
            if present.ended:
                return None
            new: Row = dataclasses.replace(present, **changes)
            values = (new.state, new.file, new.directory, new.size, new.packets, new.bytes, new.drops)
            key = (new.job_id, new.number)
            with plain_errors():
                self._connection.execute(_UPDATE, (*values, new.message, new.finished_ns, new.limited, *key))
            return new
