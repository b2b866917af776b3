"""Durable jobs: every press is a row in SQLite before anybody is told that it was accepted.

States: accepted -> waiting (for the end of the window, or for the recorder to have it on disk) -> cutting ->
complete or failed or cancelled; refused at the press. The order of the ids is the order of the presses.

WAL with synchronous=FULL: a commit that returned survives a power cut
(https://sqlite.org/pragma.html#pragma_synchronous).
"""

import contextlib
import dataclasses
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from allegro.errors import NotFound, Unavailable
from allegro.trigger.press import Press
from allegro.trigger.windows import Span

State = Literal["accepted", "waiting", "cutting", "complete", "failed", "cancelled", "refused"]

END_STATES: Final[frozenset[State]] = frozenset({"complete", "failed", "cancelled", "refused"})

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    "accepted": frozenset({"waiting", "cutting", "failed", "cancelled"}),
    "waiting": frozenset({"cutting", "failed", "cancelled"}),
    "cutting": frozenset({"complete", "failed", "cancelled"}),
}

MAX_ID: Final = 2**63 - 1  # of SQLite


@dataclass(frozen=True)
class Job:
    """One press and what became of it. Times are UTC in nanoseconds since 1970, sizes bytes, progress 0..1.

    `directory` is storage or upload. `file` is set when the file is about to appear under this name, which is
    after it was written completely. `packets`, `bytes` (of packet data) and `drops` are None as long as they
    are not known.
    """

    id: int
    created_ns: int
    press_ns: int
    source: str
    key: str
    device: str
    before_ns: int
    after_ns: int
    state: State
    file: str = ""
    directory: str = ""
    size: int | None = None
    packets: int | None = None
    bytes: int | None = None
    drops: int | None = None
    progress: float = 0.0
    message: str = ""
    finished_ns: int | None = None

    @property
    def start_ns(self) -> int:
        """First moment of the window."""
        return self.press_ns - self.before_ns

    @property
    def end_ns(self) -> int:
        """Last moment of the window."""
        return self.press_ns + self.after_ns

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in END_STATES


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

_SELECT = (
    'SELECT id, created_ns, press_ns, source, "key", device, before_ns, after_ns, state, file, directory,'
    " size, packets, bytes, drops, progress, message, finished_ns FROM jobs"
)
_INSERT = (
    'INSERT INTO jobs (created_ns, press_ns, source, "key", device, before_ns, after_ns, state, message,'
    " finished_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = (
    "UPDATE jobs SET state = ?, file = ?, directory = ?, size = ?, packets = ?, bytes = ?, drops = ?,"
    " progress = ?, message = ?, finished_ns = ? WHERE id = ?"
)
_ENDED = "state IN ('" + "', '".join(sorted(END_STATES)) + "')"
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

    def accept(self, press: Press, span: Span, *, now_ns: int) -> Job:
        """A new job in state accepted."""
        return self._insert(press, span, now_ns, "accepted", "", None)

    def refuse(self, press: Press, span: Span, reason: str, *, now_ns: int) -> Job:
        """A new job that ended at once, with `reason` in plain words."""
        return self._insert(press, span, now_ns, "refused", reason, now_ns)

    def get(self, job_id: int) -> Job:
        """Raises NotFound."""
        rows = self._query(f"{_SELECT} WHERE id = ?", job_id) if 0 < job_id <= MAX_ID else []
        if not rows:
            raise NotFound(f"There is no capture number {job_id}.", place="id")
        return rows[0]

    def recent(self, limit: int = 100) -> list[Job]:
        """The newest `limit` jobs, newest first."""
        return self._query(f"{_SELECT} ORDER BY id DESC LIMIT ?", max(0, min(limit, MAX_ID)))

    def unfinished(self) -> list[Job]:
        """All jobs that are not in an end state, oldest first."""
        return self._query(f"{_SELECT} WHERE NOT ({_ENDED}) ORDER BY id")

    def uses_name(self, file: str) -> bool:
        """Whether a job has that file name. An uploaded file is gone, but its name is not free."""
        return bool(self._query(f"{_SELECT} WHERE file = ? LIMIT 1", file))

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
            with _plain_errors():
                self._connection.execute(_UPDATE, (*values, new.message, new.finished_ns, new.id))
            return new

    def prune(self, keep: int) -> int:
        """Forgets the oldest ended jobs beyond `keep`; returns how many. Their files stay."""
        with self._lock, _plain_errors():
            return self._connection.execute(_PRUNE, (keep,)).rowcount

    def close(self) -> None:
        """Closes the database; nothing is lost if this is never called."""
        with self._lock:
            self._connection.close()

    def _insert(
        self, press: Press, span: Span, now_ns: int, state: State, message: str, finished_ns: int | None
    ) -> Job:
        values = (now_ns, press.time_ns, press.source, press.key, press.device, span.before_ns, span.after_ns)
        with self._lock, _plain_errors():
            cursor = self._connection.execute(_INSERT, (*values, state, message, finished_ns))
        job_id = cursor.lastrowid
        assert job_id is not None  # noqa: S101 (always set after an INSERT)
        return Job(
            job_id,
            now_ns,
            press.time_ns,
            press.source,
            press.key,
            press.device,
            span.before_ns,
            span.after_ns,
            state,
            message=message,
            finished_ns=finished_ns,
        )

    def _query(self, sql: str, *parameters: object) -> list[Job]:
        with self._lock, _plain_errors():
            return [Job(*row) for row in self._connection.execute(sql, parameters)]


class RefusingJobStore(JobStore):
    """Takes the place of a database that cannot be opened, until the next start: a press is refused with the
    reason, and what was refused is remembered in memory only.
    """

    def __init__(self, reason: str) -> None:
        self._lock = threading.RLock()
        self._connection = _opened(":memory:")
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
        connection.execute(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(
            f"The list of captures cannot be read or written ({error}).",
            place="jobs",
            remedy="Free some space on the data partition; if that does not help, restart the device.",
        ) from error
