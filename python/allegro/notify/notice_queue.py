"""What waits to be told, on disk: a message leaves it only when its server has it."""

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from allegro.errors import Unavailable
from allegro.notify.notice import Notice, WayName
from allegro.retrying import next_try

KEPT = 500
"""Messages that wait for one way at most; then the oldest go of the kind of which most wait, and are counted:
so no kind pushes out the others."""

TOGETHER = 50
"""Messages that are handed over by one connection."""

_TABLES = """
CREATE TABLE IF NOT EXISTS waiting (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    way TEXT NOT NULL,
    id TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    device TEXT NOT NULL,
    zone TEXT NOT NULL,
    text TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_try_ns INTEGER NOT NULL DEFAULT 0,
    next_try_ns INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS ways (
    way TEXT PRIMARY KEY,
    dropped INTEGER NOT NULL DEFAULT 0,
    sent_ns INTEGER NOT NULL DEFAULT 0,
    trouble TEXT NOT NULL DEFAULT '',
    remedy TEXT NOT NULL DEFAULT ''
) STRICT;
"""
_DROP = """
DELETE FROM waiting WHERE number = (
    SELECT MIN(number) FROM waiting WHERE way = ? AND kind = (
        SELECT kind FROM waiting WHERE way = ? GROUP BY kind ORDER BY COUNT(*) DESC, MIN(number) LIMIT 1))
"""
_COLUMNS = "id, time_ns, kind, severity, device, zone, text, number"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """How it is with one way: messages waiting, messages dropped, when the last was sent (ns, 0: never)."""

    waiting: int = 0
    dropped: int = 0
    sent_ns: int = 0


@dataclass(frozen=True)
class Trouble:
    """Why the last try failed, and what to do about it, in plain words."""

    message: str
    remedy: str


class NoticeQueue:
    """May be used from several threads. All methods raise Unavailable if the disk does not do it.

    A file that is damaged is put aside, and the queue begins anew (`was_damaged`).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beginnings = 0
        self._lock = threading.Lock()

    @property
    def was_damaged(self) -> bool:
        """Since this start."""
        return self._beginnings > 0

    def add(self, ways: Sequence[WayName], notice: Notice) -> None:
        """Safe from a power cut when this returns."""
        with self._connection() as database:
            for way in ways:
                database.execute(
                    "INSERT INTO waiting (way, id, time_ns, kind, severity, device, zone, text)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        way,
                        notice.id,
                        notice.time_ns,
                        notice.kind,
                        notice.severity,
                        notice.device,
                        notice.zone,
                        notice.text,
                    ),
                )
                gone = 0
                while _waiting(database, way) > KEPT:
                    database.execute(_DROP, (way, way))
                    gone += 1
                database.execute(
                    "INSERT INTO ways (way, dropped) VALUES (?, ?)"
                    " ON CONFLICT (way) DO UPDATE SET dropped = dropped + excluded.dropped",
                    (way, gone),
                )

    def due(self, way: WayName, now_ns: int) -> list[Notice]:
        """What may be tried now, the oldest first, so many as go together."""
        with self._connection() as database:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM waiting WHERE way = ? AND (next_try_ns <= ? OR last_try_ns > ?)"  # noqa: S608 (ours)
                " ORDER BY number LIMIT ?",
                (way, now_ns, now_ns, TOGETHER),
            ).fetchall()
        return [Notice(*row) for row in rows]

    def sent(self, way: WayName, number: int, now_ns: int) -> None:
        """The server has it."""
        with self._connection() as database:
            database.execute("DELETE FROM waiting WHERE number = ?", (number,))
            database.execute("UPDATE ways SET sent_ns = ? WHERE way = ?", (now_ns, way))

    def refused(self, number: int, now_ns: int) -> None:
        """The server does not want this one: it pauses, longer each time, and lets the others pass."""
        with self._connection() as database:
            row = database.execute("SELECT attempts FROM waiting WHERE number = ?", (number,)).fetchone()
            if row is not None:
                attempts = row[0] + 1
                database.execute(
                    "UPDATE waiting SET attempts = ?, last_try_ns = ?, next_try_ns = ? WHERE number = ?",
                    (attempts, now_ns, next_try(now_ns, attempts), number),
                )

    def release(self, way: WayName) -> None:
        """All of them may be tried at once."""
        with self._connection() as database:
            database.execute("UPDATE waiting SET next_try_ns = 0 WHERE way = ?", (way,))

    def withdraw(self, way: WayName) -> None:
        """This way is switched off: nothing waits for it any more."""
        if not self._path.exists():
            return
        with self._connection() as database:
            database.execute("DELETE FROM waiting WHERE way = ?", (way,))
            database.execute("DELETE FROM ways WHERE way = ?", (way,))

    def note_trouble(self, way: WayName, trouble: Trouble | None) -> None:
        """What a way's last try met; None: it went well."""
        found = trouble or Trouble("", "")
        with self._connection() as database:
            database.execute(
                "INSERT INTO ways (way, trouble, remedy) VALUES (?, ?, ?)"
                " ON CONFLICT (way) DO UPDATE SET trouble = excluded.trouble, remedy = excluded.remedy",
                (way, found.message, found.remedy),
            )

    def trouble(self, way: WayName) -> Trouble | None:
        """What was noted last. Makes no file."""
        if not self._path.exists():
            return None
        with self._connection() as database:
            row = database.execute("SELECT trouble, remedy FROM ways WHERE way = ?", (way,)).fetchone()
        return Trouble(*row) if row and row[0] else None

    def standing(self, way: WayName) -> Standing:
        """How many wait, and so on. Makes no file."""
        if not self._path.exists():
            return Standing()
        with self._connection() as database:
            count = _waiting(database, way)
            row = database.execute("SELECT dropped, sent_ns FROM ways WHERE way = ?", (way,)).fetchone()
        found = Standing(waiting=count)
        return replace(found, dropped=row[0], sent_ns=row[1]) if row else found

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on disk when the block is left."""
        beginnings = self._beginnings
        try:
            with contextlib.closing(self._opened()) as database, database:
                yield database
        except sqlite3.Error as error:
            if _is_damage(error):  # deeper in it than what opening looks at
                self._begin_anew(error, beginnings)
            raise Unavailable(
                f"The queue of the notifications cannot be used ({error}).",
                place=self._path.name,
                remedy="Check the data partition.",
            ) from error

    def _opened(self) -> sqlite3.Connection:
        beginnings = self._beginnings
        try:
            return _open(self._path)
        except sqlite3.Error as error:
            if not _is_damage(error):  # the disk, or its rights
                raise
            self._begin_anew(error, beginnings)
            return _open(self._path)

    def _begin_anew(self, error: sqlite3.Error, beginnings: int) -> None:
        """Puts the file aside, unless another thread has done so since there were so many `beginnings`."""
        with self._lock:
            if self._beginnings != beginnings:
                return
            log.error("The queue of the notifications is damaged (%s), and begins anew", error)
            with contextlib.suppress(OSError):
                self._path.replace(self._path.with_name(f"{self._path.name}.damaged"))
            for suffix in ("-wal", "-shm"):
                with contextlib.suppress(OSError):
                    self._path.with_name(f"{self._path.name}{suffix}").unlink(missing_ok=True)
            self._beginnings += 1


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether it is in the content of the file (sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", 0)  # errors of the module itself have none
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _waiting(database: sqlite3.Connection, way: WayName) -> int:
    row: tuple[int] = database.execute("SELECT COUNT(*) FROM waiting WHERE way = ?", (way,)).fetchone()
    return row[0]


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=10)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_TABLES)
    except sqlite3.Error:
        database.close()
        raise
    return database
