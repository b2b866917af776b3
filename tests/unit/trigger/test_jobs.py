import contextlib
import dataclasses
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from allegro.capture.extraction.shape import Shape
from allegro.errors import NotFound, Unavailable
from allegro.trigger.content import Content, WantedRow
from allegro.trigger.job import END_STATES, TRANSITIONS, Job
from allegro.trigger.jobs import JobStore, RefusingJobStore
from allegro.trigger.press import Press
from allegro.trigger.windows import Span
from allegro.words import SECOND_NS

OF_A_GROUP = Content("group == a", '[["a", "vlan == 7"]]')
SPAN = Span(60 * SECOND_NS, 5 * SECOND_NS)


def press(number: int = 1) -> Press:
    return Press(number * SECOND_NS, "presenter", "next", "Logitech R400")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "allegro.sqlite"


@pytest.fixture
def store(path: Path) -> JobStore:
    return JobStore(path)


@pytest.mark.spec("T2", "T3")
class TestStore:
    def test_a_job_is_there_after_a_restart(self, store: JobStore, path: Path) -> None:
        job = store.accept([press(100)], SPAN, now_ns=7)[0]
        assert (job.state, job.start_ns, job.end_ns) == ("accepted", 40 * SECOND_NS, 105 * SECOND_NS)
        assert JobStore(path).get(job.id) == job
        assert JobStore(path).unfinished() == [job]

    def test_refused_has_ended_and_says_why(self, store: JobStore) -> None:
        job = store.refuse([press()], SPAN, "No ring.", now_ns=7)[0]
        assert (job.state, job.message, job.finished_ns, job.ended) == ("refused", "No ring.", 7, True)
        assert store.get(job.id) == job
        assert store.unfinished() == []

    def test_orders(self, store: JobStore) -> None:
        jobs = [store.accept([press(number)], SPAN, now_ns=0)[0] for number in (5, 3, 9)]
        assert store.unfinished() == jobs
        assert store.recent() == jobs[::-1]
        assert store.recent(limit=1) == [jobs[2]]
        assert store.recent(limit=0) == []

    @pytest.mark.parametrize("job_id", [0, -1, 99, 2**63, 10**30])
    def test_unknown(self, store: JobStore, job_id: int) -> None:
        with pytest.raises(NotFound, match="no capture number"):
            store.get(job_id)
        with pytest.raises(NotFound):
            store.change(job_id, state="waiting")

    def test_every_field_is_kept(self, store: JobStore, path: Path) -> None:
        job = store.accept([press()], SPAN, now_ns=1)[0]
        store.change(job.id, state="cutting", directory="upload", progress=0.25)
        changed = store.change(
            job.id,
            state="complete",
            file="a",
            size=1,
            packets=2,
            bytes=3,
            drops=4,
            message="m",
            finished_ns=9,
        )
        assert changed == JobStore(path).get(job.id)
        assert changed is not None
        assert (changed.file, changed.directory, changed.size, changed.drops) == ("a", "upload", 1, 4)

    def test_names_in_use(self, store: JobStore) -> None:
        job = store.accept([press()], SPAN, now_ns=1)[0]
        store.change(job.id, state="cutting", file="a.pcapng")
        assert store.uses_name("a.pcapng")
        assert not store.uses_name("b.pcapng")

    def test_prune_forgets_the_oldest_ended_only(self, store: JobStore) -> None:
        jobs = [store.accept([press(number)], SPAN, now_ns=0)[0] for number in range(6)]
        for job in jobs[1:5]:
            store.change(job.id, state="failed")
        assert store.prune(2) == 2
        assert [job.id for job in store.recent()] == [jobs[i].id for i in (5, 4, 3, 0)]
        store.prune(0)
        assert store.accept([press()], SPAN, now_ns=0)[0].id == jobs[5].id + 1

    def test_numbers_are_not_used_twice(self, store: JobStore, path: Path) -> None:
        first = store.refuse([press()], SPAN, "no", now_ns=0)[0]
        store.prune(0)
        store.close()
        assert JobStore(path).accept([press()], SPAN, now_ns=0)[0].id > first.id


class TestTransitions:
    def test_all_that_exist(self, store: JobStore) -> None:
        for state, targets in TRANSITIONS.items():
            for target in targets:
                job = store.accept([press()], SPAN, now_ns=0)[0]
                if state != "accepted":
                    store.change(job.id, state=state)
                changed = store.change(job.id, state=target)
                assert changed is not None
                assert changed.state == target

    def test_none_that_does_not(self, store: JobStore) -> None:
        job = store.accept([press()], SPAN, now_ns=0)[0]
        with pytest.raises(ValueError, match="accepted cannot become complete"):
            store.change(job.id, state="complete")
        assert store.get(job.id) == job

    @pytest.mark.parametrize("end", sorted(END_STATES - {"refused"}))
    def test_what_has_ended_stays(self, store: JobStore, end: str) -> None:
        job = store.accept([press()], SPAN, now_ns=0)[0]
        store.change(job.id, state="cutting")
        ended = store.change(job.id, state=end)
        assert store.change(job.id, state="cutting", message="again") is None
        assert store.get(job.id) == ended


def test_many_threads(store: JobStore) -> None:
    accepted: list[Job] = []

    def work(number: int) -> None:
        for index in range(25):
            job = store.accept([press(number * 100 + index)], SPAN, now_ns=0)[0]
            accepted.append(job)
            store.change(job.id, state="waiting")
            store.recent(5)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = {job.id: job for job in store.unfinished()}
    assert {job.id: job.press_ns for job in accepted} == {
        number: job.press_ns for number, job in rows.items()
    }
    assert {job.state for job in rows.values()} == {"waiting"}


@pytest.mark.spec("T2", "T3")
def test_presses_that_queued_up_are_one_commit_in_their_order(store: JobStore, path: Path) -> None:
    commits: list[str] = []
    store._connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    jobs = store.accept([press(number) for number in range(50, 0, -1)], SPAN, now_ns=7)
    assert commits == ["COMMIT"]
    assert [job.press_ns for job in JobStore(path).unfinished()] == [job.press_ns for job in jobs]
    assert [job.press_ns // SECOND_NS for job in jobs] == list(range(50, 0, -1))


@pytest.mark.spec("R9")
def test_a_press_is_kept_by_the_clock_that_nobody_sets_too(store: JobStore, path: Path) -> None:
    pressed = dataclasses.replace(press(), boot_ns=5)
    (job,) = store.accept([pressed], SPAN, now_ns=0, boot_id="ab" * 16)
    assert (job.press_boot_ns, job.boot_id) == (5, "ab" * 16)
    (by_date,) = store.accept([press()], SPAN, now_ns=0, boot_id="ab" * 16)
    assert (by_date.press_boot_ns, by_date.boot_id) == (None, "")
    assert JobStore(path).unfinished() == [job, by_date]


@pytest.mark.spec("T4")
def test_a_filter_is_kept_with_its_press(store: JobStore, path: Path) -> None:
    (job,) = store.accept([press()], SPAN, now_ns=0, content=lambda _: Content("ip == 10.0.0.1"))
    (refused,) = store.refuse([press()], SPAN, "No ring.", now_ns=0, content=lambda _: OF_A_GROUP)
    assert (job.filter, refused.filter) == ("ip == 10.0.0.1", "group == a")
    assert (job.groups, refused.groups) == ("", '[["a", "vlan == 7"]]')
    assert JobStore(path).recent() == [refused, job]


@pytest.mark.spec("U7")
class TestOtherReleases:
    """The statements are those of release 0.1.0."""

    SCHEMA = """
        CREATE TABLE IF NOT EXISTS jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT, created_ns INTEGER NOT NULL, press_ns INTEGER NOT NULL,
            source TEXT NOT NULL, "key" TEXT NOT NULL, device TEXT NOT NULL, before_ns INTEGER NOT NULL,
            after_ns INTEGER NOT NULL, state TEXT NOT NULL, file TEXT NOT NULL DEFAULT '',
            directory TEXT NOT NULL DEFAULT '', size INTEGER, packets INTEGER, bytes INTEGER, drops INTEGER,
            progress REAL NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '', finished_ns INTEGER
        )"""
    SELECT = (
        'SELECT id, created_ns, press_ns, source, "key", device, before_ns, after_ns, state, file, directory,'
        " size, packets, bytes, drops, progress, message, finished_ns FROM jobs"
    )
    INSERT = (
        'INSERT INTO jobs (created_ns, press_ns, source, "key", device, before_ns, after_ns, state, message,'
        " finished_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    UPDATE = (
        "UPDATE jobs SET state = ?, file = ?, directory = ?, size = ?, packets = ?, bytes = ?, drops = ?,"
        " progress = ?, message = ?, finished_ns = ? WHERE id = ?"
    )

    def accept_as_before(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
            old.execute("PRAGMA journal_mode=WAL")
            old.execute(self.SCHEMA)
            values = (7, 100, "presenter", "next", "Logitech R400", 60, 5, "accepted", "", None)
            old.execute(self.INSERT, values)

    def test_what_0_1_0_wrote_is_read(self, path: Path) -> None:
        self.accept_as_before(path)
        (job,) = JobStore(path).unfinished()
        assert job == Job(1, 7, 100, "presenter", "next", "Logitech R400", 60, 5, "accepted")

    def test_a_table_of_version_1_gets_what_it_lacks(self, path: Path) -> None:
        self.accept_as_before(path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
            for column in (
                "tries INTEGER NOT NULL DEFAULT 0",
                "press_boot_ns INTEGER",
                "boot_id TEXT NOT NULL DEFAULT ''",
            ):
                old.execute(f"ALTER TABLE jobs ADD COLUMN {column}")
            old.execute("UPDATE jobs SET tries = 2")
            old.execute("PRAGMA user_version = 1")
        (job,) = JobStore(path).unfinished()
        assert (job.tries, job.filter) == (2, "")

    def test_files_with_a_filter_of_versions_2_and_3_are_what_they_were(
        self, store: JobStore, path: Path
    ) -> None:
        (job,) = store.accept([press()], SPAN, now_ns=7, content=lambda _: OF_A_GROUP)
        store.change(job.id, state="cutting", tries=1)
        done = store.change(job.id, state="complete", file="a.pcapng", message="Note.", content_held=True)
        store.close()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
            old.execute("ALTER TABLE jobs DROP COLUMN content_held")
            for column in ("format", "packet_length", "size_limit_mib", "limited"):
                old.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
            old.execute("DROP TABLE rows")
            old.execute("PRAGMA user_version = 3")
        assert JobStore(path).get(job.id) == done

    def test_tables_of_version_4_get_what_they_lack(self, store: JobStore, path: Path) -> None:
        wanted = Content(rows=(WantedRow("a", ""),))
        (job,) = store.accept([press()], SPAN, now_ns=7, content=lambda _: wanted)
        rows = store.rows.of(job.id)
        store.close()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
            for table in ("jobs", "rows"):
                for column in ("format", "packet_length", "size_limit_mib", "limited"):
                    old.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
            old.execute("PRAGMA user_version = 4")
        again = JobStore(path)
        assert again.get(job.id) == job
        assert again.rows.of(job.id) == rows

    def test_a_table_of_version_5_knows_no_note(self, store: JobStore, path: Path) -> None:
        wanted = Content(target="upload", note="after the new valve")
        (job,) = store.accept([press()], SPAN, now_ns=7, content=lambda _: wanted)
        assert store.get(job.id) == job
        assert (job.directory, job.note) == ("upload", "after the new valve")
        store.close()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
            old.execute("ALTER TABLE jobs DROP COLUMN note")
            old.execute("PRAGMA user_version = 5")
        assert JobStore(path).get(job.id) == dataclasses.replace(job, note="")

    def test_a_file_of_0_1_0_has_none_of_the_limits_that_were_asked_for(
        self, store: JobStore, path: Path
    ) -> None:
        wanted = Content(shape=Shape("pcap", 96, 10))
        (job,) = store.accept([press()], SPAN, now_ns=7, content=lambda _: wanted)
        assert store.get(job.id).shape == wanted.shape
        store.change(job.id, state="cutting")
        store.close()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
            old.execute(self.UPDATE, ("complete", "a.pcapng", "storage", 1, 2, 3, 4, 1.0, "", 9, job.id))
        done = JobStore(path).get(job.id)
        assert done.shape == Shape()
        assert done.message == "Another release has made this file, with all packets of the window."

    def test_0_1_0_goes_on_with_what_is_written_now(self, store: JobStore, path: Path) -> None:
        pressed = dataclasses.replace(press(), boot_ns=5)
        (job,) = store.accept([pressed], SPAN, now_ns=7, boot_id="ab" * 16, content=lambda _: OF_A_GROUP)
        store.change(job.id, state="cutting", tries=2)
        store.close()
        self.accept_as_before(path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
            first, second = old.execute(f"{self.SELECT} ORDER BY id").fetchall()
            old.execute(self.UPDATE, ("complete", "a.pcapng", "storage", 1, 2, 3, 4, 1.0, "", 9, job.id))
        assert first[8] == "cutting"
        assert (second[0], second[8]) == (job.id + 1, "accepted")
        again = JobStore(path)
        assert (again.get(job.id).state, again.get(job.id).file) == ("complete", "a.pcapng")
        assert (again.get(job.id).filter, again.get(job.id).groups) == ("", "")
        told = "Another release has made this file, with all packets of the window."
        assert again.get(job.id).message == told
        assert JobStore(path).get(job.id).message == told
        assert (again.get(job.id + 1).tries, again.get(job.id + 1).boot_id) == (0, "")

    def test_0_1_0_makes_one_file_of_a_press_with_rows_and_is_told(self, store: JobStore, path: Path) -> None:
        wanted = Content(rows=(WantedRow("a", "vlan == 7"), WantedRow("b", "")))
        begun, whole, mine = store.accept(
            [press(), press(), press()], SPAN, now_ns=7, content=lambda _: wanted
        )
        store.change(begun.id, state="cutting", tries=1)
        store.rows.change(store.rows.get(begun.id, 1), state="complete", file="a.pcapng", packets=3)
        store.change(mine.id, state="cutting", tries=1)
        for row in store.rows.of(mine.id):
            store.rows.change(row, state="complete", file=f"{row.name}2.pcapng")
        store.change(mine.id, state="complete", content_held=True)
        store.close()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
            jobs = old.execute(
                f"{self.SELECT} WHERE state NOT IN ('complete', 'failed') ORDER BY id"
            ).fetchall()
            assert [job[0] for job in jobs] == [begun.id, whole.id]
            for job in jobs:
                old.execute(
                    self.UPDATE, ("complete", f"{job[0]}.pcapng", "storage", 1, 2, 3, 4, 1.0, "", 9, job[0])
                )
        again = JobStore(path)
        assert [row.state for row in again.rows.of(begun.id)] == ["complete", "failed"]
        assert [row.state for row in again.rows.of(whole.id)] == ["failed", "failed"]
        assert [row.state for row in again.rows.of(mine.id)] == ["complete", "complete"]
        assert "with all packets of the window" in again.get(begun.id).message
        assert again.get(mine.id).message == ""
        assert again.uses_name("a.pcapng")
        assert again.uses_name("a2.pcapng")
        again.prune(0)
        assert again.rows.of(mine.id) == []

    def test_rows_of_a_newer_release_are_left_alone(self, store: JobStore, path: Path) -> None:
        (job,) = store.accept([press()], SPAN, now_ns=7)
        store.close()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as newer:
            newer.execute("ALTER TABLE jobs ADD COLUMN more TEXT NOT NULL DEFAULT 'x'")
            newer.execute("PRAGMA user_version = 99")
            newer.execute(self.INSERT, (7, 100, "p", "k", "d", 60, 5, "a state to come", "", None))
            newer.execute("UPDATE jobs SET file = 'taken.pcapng' WHERE id = 2")
        again = JobStore(path)
        assert again.problem == ""
        assert again.unfinished() == again.recent() == [job]
        assert again.uses_name("taken.pcapng")
        with pytest.raises(NotFound):
            again.get(job.id + 1)
        again.prune(0)
        assert again.uses_name("taken.pcapng")
        assert again._connection.execute("PRAGMA user_version").fetchone() == (99,)


WRITER = """
import sys
from pathlib import Path
from allegro.trigger.jobs import JobStore
from allegro.trigger.press import Press
from allegro.trigger.windows import Span
store = JobStore(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    (job,) = store.accept([Press(number, "presenter", "next", "")], Span(0, 0), now_ns=0)
    print(job.id, number, flush=True)
    number += 1
    if number % 3 == 0:
        store.change(job.id, state="waiting")
"""


@pytest.mark.spec("T2", "T3")
def test_killed_at_any_moment_loses_nothing_that_was_accepted(path: Path) -> None:
    source = random.Random(400)
    promised: list[tuple[int, int]] = []
    for attempt in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(attempt * 1_000_000)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(source.randrange(1, 60)):
            job_id, number = process.stdout.readline().split()
            promised.append((int(job_id), int(number)))
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines(keepends=True)
        promised += [(int(line.split()[0]), int(line.split()[1])) for line in rest if line.endswith("\n")]
        process.stdout.close()
        process.wait()
        stored = [(job.id, job.press_ns) for job in JobStore(path).unfinished()]
        assert [pair for pair in stored if pair in set(promised)] == promised
        assert stored == sorted(stored)
        # at most the one that was being told of
        assert len(stored) - len(promised) <= attempt + 1


class TestDamage:
    @pytest.mark.parametrize("damage", ["text", "page"])
    def test_damaged_database_is_put_aside(self, path: Path, damage: str) -> None:
        store = JobStore(path)
        for number in range(200):
            store.accept([press(number)], SPAN, now_ns=0)
        store.close()
        content = path.read_bytes()
        path.write_bytes(
            b"not a database" * 100 if damage == "text" else content[:4096] + os.urandom(len(content) - 4096)
        )
        fresh = JobStore(path)
        assert "damaged" in fresh.problem
        assert fresh.recent() == []
        assert fresh.accept([press()], SPAN, now_ns=0)[0].state == "accepted"
        assert len(list(path.parent.glob("allegro.sqlite.damaged-*"))) == 1

    def test_healthy_database_is_no_problem(self, store: JobStore) -> None:
        assert store.problem == ""

    def test_missing_directory_is_told_plainly(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="cannot be opened"):
            JobStore(tmp_path / "missing" / "allegro.sqlite")

    def test_a_store_that_refuses_remembers_what_it_refused(self) -> None:
        store = RefusingJobStore("There is no data partition.")
        assert store.refuses == "There is no data partition."
        assert store.unfinished() == []
        job = store.refuse([press()], SPAN, store.refuses, now_ns=5)[0]
        assert store.recent() == [job]
        assert job.state == "refused"
        store.close()

    def test_no_space_is_told_plainly(self, store: JobStore, path: Path) -> None:
        store.accept([press()], SPAN, now_ns=0)
        # SQLite then answers as on a full disk
        store._connection.execute("PRAGMA max_page_count=1")

        def fill() -> None:
            for number in range(1000):
                store.accept([press(number)], SPAN, now_ns=0)

        with pytest.raises(Unavailable) as caught:
            fill()
        assert "full" in caught.value.message
        assert "space" in caught.value.remedy
        assert JobStore(path).recent(10**6) == store.recent(10**6)
