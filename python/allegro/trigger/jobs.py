"""Durable jobs: every press is a row in SQLite before anybody is told that it was accepted.

The order of the ids is the order of the presses.

WAL with synchronous=FULL: a commit that returned survives a power cut
(https://sqlite.org/pragma.html#pragma_synchronous).

The table outlives the firmware in both directions. `PRAGMA user_version` says which version of it is there: 0
is that of release 0.1.0, VERSION what this module makes of it. Rules, so that an older release goes on
working on a newer table: columns are only ever added, each with a default that means what the older release
does; no column changes its meaning; what an older release writes is read as such. A row in a state that this
release does not know is of a newer one: it is neither shown, nor worked on, nor forgotten, and its file name
stays taken.
"""

import dataclasses
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any, Final

from allegro.errors import NotFound, Unavailable
from allegro.trigger import rows
from allegro.trigger.content import EVERYTHING, Content
from allegro.trigger.database import plain_errors, transaction
from allegro.trigger.job import END_STATES, TRANSITIONS, Job, State
from allegro.trigger.press import SOURCE_PRESENTER, Press
from allegro.trigger.rows import Rows
from allegro.trigger.windows import Span

MAX_ID: Final = 2**63 - 1  # of SQLite

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_ns INTEGER NOT NULL,
    press_ns INTEGER NOT NULL,
    source TEXT NOT NULL,
    "key" TEXT NOT NULL,
    device TEXT NOT NULL,
    before_ns INTEGER NOT NULL,
    after_ns INTEGER NOT NULL,
    state TEXT NOT NULL,
    file TEXT NOT NULL DEFAULT '',
    directory TEXT NOT NULL DEFAULT '',
    size INTEGER,
    packets INTEGER,
    bytes INTEGER,
    drops INTEGER,
    progress REAL NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '',
    finished_ns INTEGER
)
"""

VERSION: Final = 7

_ADDED: Final = (
    # by version 1
    ("tries", "INTEGER NOT NULL DEFAULT 0"),
    ("press_boot_ns", "INTEGER"),
    ("boot_id", "TEXT NOT NULL DEFAULT ''"),
    # by version 2
    ("filter", "TEXT NOT NULL DEFAULT ''"),
    # by version 3
    ("groups", "TEXT NOT NULL DEFAULT ''"),
    # by version 4
    ("content_held", "INTEGER NOT NULL DEFAULT 0"),
    *rows.ADDED,
    # by version 6
    ("note", "TEXT NOT NULL DEFAULT ''"),
    # by version 7
    ("read", "INTEGER"),
    ("reached", "INTEGER"),
)

_ENDED = "state IN ('" + "', '".join(sorted(END_STATES)) + "')"
_KNOWN = "state IN ('" + "', '".join(sorted(END_STATES | TRANSITIONS.keys())) + "')"
_SELECT = (
    'SELECT id, created_ns, press_ns, source, "key", device, before_ns, after_ns, state, file, directory,'  # noqa: S608 (constants only)
    " size, packets, bytes, drops, progress, message, finished_ns, tries, press_boot_ns, boot_id, filter,"
    " groups, content_held, format, packet_length, size_limit_mib, limited, note, read,"
    " reached"
    f" FROM jobs WHERE {_KNOWN}"
)
_INSERT = (
    'INSERT INTO jobs (created_ns, press_ns, source, "key", device, before_ns, after_ns, state, message,'
    " finished_ns, press_boot_ns, boot_id, filter, groups, format, packet_length, size_limit_mib,"
    " directory, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = (
    "UPDATE jobs SET state = ?, file = ?, directory = ?, size = ?, packets = ?, bytes = ?, drops = ?,"
    " progress = ?, message = ?, finished_ns = ?, tries = ?, content_held = ?, limited = ?, read = ?,"
    " reached = ? WHERE id = ?"
)
_OTHERS = (
    "UPDATE jobs SET filter = '', groups = '', format = 'pcapng', packet_length = 0, size_limit_mib = 0,"  # noqa: S608 (constants only)
    " content_held = 1, message = trim(message ||"
    " ' Another release has made this file, with all packets of the window.') WHERE state = 'complete'"
    " AND content_held = 0 AND file != '' AND (filter != '' OR format != 'pcapng' OR packet_length != 0"
    f" OR size_limit_mib != 0 OR id IN ({rows.PARENTS}))"
)
# What versions 2 and 3 have made of a filter held to it, and did not say so.
_HELD_BEFORE = "UPDATE jobs SET content_held = 1 WHERE state = 'complete' AND filter != ''"
_USES_NAME = "SELECT 1 FROM jobs WHERE file = ?1 UNION SELECT 1 FROM rows WHERE file = ?1 LIMIT 1"
_FILE_MOVED = "UPDATE jobs SET file = ?, directory = ? WHERE file = ? AND state = 'complete'"
_PRUNE = (
    f"DELETE FROM jobs WHERE {_ENDED} AND id NOT IN"  # noqa: S608 (constants only)
    f" (SELECT id FROM jobs WHERE {_ENDED} ORDER BY id DESC LIMIT ?)"
)


class JobStore:
    """The table `jobs`. Every method may be called from any thread; what it changed is on disk when it
    returns.

    One store at a time writes the jobs (the supervisor's). A database that is damaged is put aside as
    `<name>.damaged-<seconds since 1970>` and a new one begun; `problem` then says so in plain words.
    Methods raise Unavailable when the database cannot be read or written (disk full, for example).
    """

    refuses = ""  # why no press can be accepted, in plain words

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self.problem = ""
        try:
            self._connection = _opened(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise Unavailable(
                    f"The list of captures cannot be opened ({error}).", place=str(path)
                ) from error
            aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
            path.rename(aside)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self.problem = (
                f"The list of captures was damaged ({error}) and begun anew;"
                f" the old one is kept as {aside.name}."
            )
            self._connection = _opened(path)
        self.rows = Rows(self._connection, self._lock)

    def accept(
        self,
        presses: Sequence[Press],
        span: Span,
        *,
        now_ns: int,
        boot_id: str = "",
        content: Callable[[Press], Content] = lambda _press: EVERYTHING,
    ) -> list[Job]:
        """New jobs in state accepted, all of them or none: one commit, however many were pressed.

        `boot_id` is the start of the kernel that the presses' `boot_ns` are of, `content` what each wants.
        """
        return self._insert(presses, span, now_ns, boot_id, content, "accepted", "", None)

    def refuse(
        self,
        presses: Sequence[Press],
        span: Span,
        reason: str,
        *,
        now_ns: int,
        content: Callable[[Press], Content] = lambda _press: EVERYTHING,
    ) -> list[Job]:
        """New jobs that ended at once, with `reason` in plain words."""
        return self._insert(presses, span, now_ns, "", content, "refused", reason, now_ns)

    def get(self, job_id: int) -> Job:
        """Raises NotFound."""
        rows = self._query(f"{_SELECT} AND id = ?", job_id) if 0 < job_id <= MAX_ID else []
        if not rows:
            raise NotFound(f"There is no capture number {job_id}.", place="id")
        return rows[0]

    def recent(self, limit: int = 100, offset: int = 0) -> list[Job]:
        """The newest `limit` jobs after the newest `offset` ones, newest first."""
        part = (max(0, min(each, MAX_ID)) for each in (limit, offset))
        return self._query(f"{_SELECT} ORDER BY id DESC LIMIT ? OFFSET ?", *part)

    def last_press(self) -> Job | None:
        """The newest job that a presenter has asked for."""
        found = self._query(f"{_SELECT} AND source = ? ORDER BY id DESC LIMIT 1", SOURCE_PRESENTER)
        return found[0] if found else None

    def unfinished(self) -> list[Job]:
        """All jobs that are not in an end state, oldest first."""
        return self._query(f"{_SELECT} AND NOT {_ENDED} ORDER BY id")

    def uses_name(self, file: str) -> bool:
        """Whether a job has that file name. An uploaded file is gone, but its name is not free."""
        with self._lock, plain_errors():
            return bool(self._connection.execute(_USES_NAME, (file,)).fetchall())

    def file_moved(self, old: str, new: str, directory: str) -> None:
        """The file of a complete capture has got another name or directory."""
        with self._lock, plain_errors():
            for moved in (_FILE_MOVED, rows.FILE_MOVED):
                self._connection.execute(moved, (new, directory, old))

    def change(self, job_id: int, **changes: Any) -> Job | None:
        """The job with `changes` of its fields; None (and no change) if it has ended already.

        Raises NotFound, and ValueError for a transition that does not exist.
        """
        with self._lock:
            job = self.get(job_id)
            if job.ended:
                return None
            new: Job = dataclasses.replace(job, **changes)
            if new.state not in TRANSITIONS[job.state] | {job.state}:
                raise ValueError(f"a job in state {job.state} cannot become {new.state}")
            values = (
                new.state,
                new.file,
                new.directory,
                new.size,
                new.packets,
                new.bytes,
                new.drops,
                new.progress,
            )
            with plain_errors():
                self._connection.execute(
                    _UPDATE,
                    (
                        *values,
                        new.message,
                        new.finished_ns,
                        new.tries,
                        new.content_held,
                        new.limited,
                        new.read,
                        new.reached,
                        new.id,
                    ),
                )
            return new

    def prune(self, keep: int) -> int:
        """Forgets the oldest ended jobs beyond `keep`; returns how many. Their files stay."""
        with self._lock, plain_errors():
            with transaction(self._connection):
                forgotten = self._connection.execute(_PRUNE, (keep,)).rowcount
                self._connection.execute(rows.PRUNE)
            return forgotten

    def close(self) -> None:
        """Closes the database; nothing is lost if this is never called."""
        with self._lock:
            self._connection.close()

    def _insert(
        self,
        presses: Sequence[Press],
        span: Span,
        now_ns: int,
        boot_id: str,
        content: Callable[[Press], Content],
        state: State,
        message: str,
        finished_ns: int | None,
    ) -> list[Job]:
        jobs = []
        with self._lock, plain_errors(), transaction(self._connection):
            for press in presses:
                wanted = content(press)
                boot = (press.boot_ns, boot_id) if press.boot_ns is not None and boot_id else (None, "")
                pressed = (press.time_ns, press.source, press.key, press.device)
                values = (now_ns, *pressed, span.before_ns, span.after_ns, state, message, finished_ns, *boot)
                cursor = self._connection.execute(
                    _INSERT,
                    (
                        *values,
                        wanted.filter,
                        wanted.groups,
                        *astuple(wanted.shape),
                        wanted.target,
                        wanted.note,
                    ),
                )
                job_id = cursor.lastrowid
                assert job_id is not None  # noqa: S101 (always set after an INSERT)
                if state == "accepted":
                    rows.insert(self._connection, job_id, wanted.rows)
                jobs.append(
                    Job(
                        job_id,
                        now_ns,
                        *pressed,
                        span.before_ns,
                        span.after_ns,
                        state,
                        message=message,
                        finished_ns=finished_ns,
                        press_boot_ns=boot[0],
                        boot_id=boot[1],
                        filter=wanted.filter,
                        groups=wanted.groups,
                        directory=wanted.target,
                        note=wanted.note,
                        **asdict(wanted.shape),
                    )
                )
        return jobs

    def _query(self, sql: str, *parameters: object) -> list[Job]:
        with self._lock, plain_errors():
            return [Job(*row) for row in self._connection.execute(sql, parameters)]


class RefusingJobStore(JobStore):
    """Takes the place of a database that cannot be opened, until the next start: a press is refused with the
    reason, and what was refused is remembered in memory only.
    """

    def __init__(self, reason: str) -> None:
        self._lock = threading.RLock()
        self._connection = _opened(":memory:")
        self.rows = Rows(self._connection, self._lock)
        self.problem = ""
        self.refuses = reason


def _opened(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        _make_table(connection)
        _tell_what_others_made(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_table(connection: sqlite3.Connection) -> None:
    """Brings the table to VERSION, at once or not at all. That of a newer release stays as it is."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version >= VERSION:
        return
    with transaction(connection):
        connection.execute(_SCHEMA)
        connection.execute(rows.SCHEMA)
        for table, added in (("jobs", _ADDED), ("rows", rows.ADDED)):
            present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            for name, kind in added:
                if name not in present:
                    connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
        if version in (2, 3):
            connection.execute(_HELD_BEFORE)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _tell_what_others_made(connection: sqlite3.Connection) -> None:
    """Release 0.1.0 knows neither filters nor rows: what it has cut of such a press is the whole window."""
    with transaction(connection):
        connection.execute(rows.END_OF_OTHERS)
        connection.execute(_OTHERS)
