"""The upload queue. The files in it are the truth; the database only remembers their tries."""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from allegro.errors import AllegroError, Unavailable
from allegro.retrying import is_due, next_try
from allegro.storage.capture_files import FileInfo, FileStore

_TABLES = """
CREATE TABLE IF NOT EXISTS uploads (
    name TEXT PRIMARY KEY,
    released_ns INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_try_ns INTEGER NOT NULL DEFAULT 0,
    next_try_ns INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    remedy TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE IF NOT EXISTS renamed (
    name TEXT PRIMARY KEY,
    final TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS given_up (
    destination INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (destination, note)
) STRICT;
CREATE TABLE IF NOT EXISTS sent (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE IF NOT EXISTS export_state (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
"""

_GIVE_UP = (
    "INSERT OR IGNORE INTO given_up (destination, note) SELECT value, final FROM renamed, export_state"
    " WHERE export_state.name = 'destination' AND instr(final, char(10))"
)
"""A note of more than a name is of something that stays on the server unless it is thrown away there."""

MOST_SENT = 2000
"""So many names of sent files are remembered: more than captures are listed."""


@dataclass(frozen=True)
class Tries:
    """What is remembered of a file: times in ns since 1970; `released_ns` 0 = waits for the daily run."""

    released_ns: int = 0
    attempts: int = 0
    last_try_ns: int = 0
    next_try_ns: int = 0
    error: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Waiting:
    """A file of the queue with its tries."""

    file: FileInfo
    tries: Tries

    @property
    def released(self) -> bool:
        """Whether it is to be sent now, or as soon as its pause is over."""
        return self.tries.released_ns > 0

    def is_due(self, now_ns: int) -> bool:
        """Whether it is to be sent at this moment."""
        return self.released and is_due(now_ns, self.tries.last_try_ns, self.tries.next_try_ns)


class UploadQueue:
    """The queue of one upload directory. Safe to use from several threads: every call has its own connection.

    All methods raise Unavailable if the database cannot be used.
    """

    def __init__(self, directory: Path, database: Path) -> None:
        self.files = FileStore(directory)
        self._database = database

    def waiting(self) -> list[Waiting]:
        """All files that are to be sent, oldest name first; what is remembered of others is forgotten."""
        with self._connection() as database:
            known = {
                row[0]: Tries(*row[1:])
                for row in database.execute(
                    "SELECT name, released_ns, attempts, last_try_ns, next_try_ns, error, remedy FROM uploads"
                )
            }
            renamed = database.execute("SELECT name, final FROM renamed").fetchall()
            # After the record, never before: a file that comes and is released in between would be forgotten.
            files = self.files.all()
            there = {file.name for file in files}
            gone = known.keys() - there
            # Only the row that was read: a new file of the same name may have been released by now.
            database.executemany(
                "DELETE FROM uploads WHERE name = ? AND released_ns = ?",
                [(name, known[name].released_ns) for name in gone],
            )
            for row in renamed:
                if row[0] not in there:
                    database.execute(f"{_GIVE_UP} AND renamed.name = ? AND final = ?", row)
                    database.execute("DELETE FROM renamed WHERE name = ? AND final = ?", row)
        return [Waiting(file, known.get(file.name, Tries())) for file in files]

    def release(self, names: Sequence[str], now_ns: int, *, at_once: bool = False) -> None:
        """These files are to be sent from now on; `at_once` also ends the pause after a failure."""
        with self._connection() as database:
            database.executemany(
                "INSERT INTO uploads (name, released_ns) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                [(name, now_ns) for name in names],
            )
            if at_once:
                database.executemany(
                    "UPDATE uploads SET next_try_ns = 0 WHERE name = ?", [(name,) for name in names]
                )

    def withdraw(self) -> None:
        """No file is to be sent any more until it is released again; each then begins anew."""
        with self._connection() as database:
            database.execute("DELETE FROM uploads")

    def failed(self, names: Sequence[str], now_ns: int, error: AllegroError) -> None:
        """A try of these (released) files failed: remembers why, and pauses them."""
        with self._connection() as database:
            for name in names:
                row = database.execute("SELECT attempts FROM uploads WHERE name = ?", (name,)).fetchone()
                if row is None:
                    continue
                attempts = row[0] + 1
                database.execute(
                    "UPDATE uploads SET attempts = ?, last_try_ns = ?, next_try_ns = ?, error = ?, remedy = ?"
                    " WHERE name = ?",
                    (
                        attempts,
                        now_ns,
                        next_try(now_ns, attempts),
                        error.message,
                        error.remedy,
                        name,
                    ),
                )

    def forget(self, name: str) -> None:
        """The file is deleted: a later one of the same name begins anew."""
        with self._connection() as database:
            database.execute(f"{_GIVE_UP} AND renamed.name = ?", (name,))
            database.execute("DELETE FROM uploads WHERE name = ?", (name,))
            database.execute("DELETE FROM renamed WHERE name = ?", (name,))

    def sent(self, name: str) -> None:
        """The file is on the server: it is forgotten here, but for its name."""
        with self._connection() as database:
            database.execute("DELETE FROM uploads WHERE name = ?", (name,))
            database.execute("DELETE FROM renamed WHERE name = ?", (name,))
            database.execute("INSERT OR REPLACE INTO sent (name) VALUES (?)", (name,))
            database.execute(
                "DELETE FROM sent WHERE number <= (SELECT max(number) FROM sent) - ?", (MOST_SENT,)
            )

    def note_sent_since(self, now_ns: int) -> None:
        """From the first call on it is known of each file whether it was sent: 0.1.0 did not note that."""
        with self._connection() as database:
            database.execute(
                "INSERT INTO export_state (name, value) VALUES ('sent_since_ns', ?)"
                " ON CONFLICT (name) DO NOTHING",
                (now_ns,),
            )

    def were_sent(self, names: Sequence[str]) -> tuple[list[str], int | None]:
        """Which of these files were sent, and since when that is noted (ns since 1970; None: not yet)."""
        look = "SELECT 1 FROM sent WHERE name = ?"
        with self._connection() as database:
            since = database.execute("SELECT value FROM export_state WHERE name = 'sent_since_ns'").fetchone()
            found = [name for name in names if database.execute(look, (name,)).fetchone()]
        return found, since[0] if since else None

    def renamed(self, name: str) -> str:
        """The name that this file was about to get on the server when it was last tried; empty if none."""
        with self._connection() as database:
            row = database.execute("SELECT final FROM renamed WHERE name = ?", (name,)).fetchone()
            return str(row[0]) if row else ""

    def note_renamed(self, name: str, final: str) -> None:
        """This file is about to get that name on the server."""
        with self._connection() as database:
            database.execute(
                "INSERT INTO renamed (name, final) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET final = excluded.final",
                (name, final),
            )

    def sending_to(self, destination: str) -> None:
        """What is remembered of names on a server holds only there; `destination` tells it from any other."""
        number = int.from_bytes(hashlib.sha256(destination.encode()).digest()[:7], "big")
        with self._connection() as database:
            row = database.execute("SELECT value FROM export_state WHERE name = 'destination'").fetchone()
            if row is not None and row[0] == number:
                return
            if row is not None:  # else it is the one of before, when none was noted
                database.execute(_GIVE_UP)
                database.execute("DELETE FROM renamed")
            database.execute(
                "INSERT INTO export_state (name, value) VALUES ('destination', ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (number,),
            )

    def given_up(self) -> list[str]:
        """What was noted of uploads to the present destination that nobody goes on with."""
        with self._connection() as database:
            rows = database.execute(
                "SELECT note FROM given_up, export_state WHERE name = 'destination' AND destination = value"
            ).fetchall()
        return [row[0] for row in rows]

    def thrown_away(self, note: str) -> None:
        """Nothing is left of this one."""
        with self._connection() as database:
            database.execute("DELETE FROM given_up WHERE note = ?", (note,))

    def last_run_ns(self) -> int:
        """When the last daily run began, or the export was switched on; 0 = never."""
        with self._connection() as database:
            row = database.execute("SELECT value FROM export_state WHERE name = 'last_run_ns'").fetchone()
            return int(row[0]) if row else 0

    def set_last_run(self, now_ns: int) -> None:
        """Remembers the start of the daily run; 0 when the export is switched off."""
        with self._connection() as database:
            database.execute(
                "INSERT INTO export_state (name, value) VALUES ('last_run_ns', ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (now_ns,),
            )

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on disk when the block is left."""
        try:
            with contextlib.closing(sqlite3.connect(self._database, timeout=10)) as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                database.executescript(_TABLES)
                with database:
                    yield database
        except sqlite3.Error as error:
            raise Unavailable(
                f"The record of the uploads cannot be used ({error}).",
                place=self._database.name,
                remedy="Check the free space of the storage device.",
            ) from error
