import contextlib
import sqlite3
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.export import queue as upload_queue
from allegro.export.queue import UploadQueue
from allegro.storage.capture_files import FileInfo

MINUTE = 60 * 10**9


@pytest.fixture
def queue(tmp_path: Path) -> UploadQueue:
    (tmp_path / "upload").mkdir()
    return UploadQueue(tmp_path / "upload", tmp_path / "allegro.sqlite")


def add(queue: UploadQueue, *names: str) -> None:
    for name in names:
        (queue.files.root / name).write_bytes(b"12345")


@pytest.mark.spec("X1")
def test_files_are_the_truth_and_hidden_names_do_not_exist(queue: UploadQueue) -> None:
    add(queue, "b.pcapng", "a.pcapng", ".c.pcapng.partial")
    (queue.files.root / "directory").mkdir()
    (queue.files.root / "link").symlink_to("a.pcapng")
    assert [(one.file.name, one.file.size) for one in queue.waiting()] == [("a.pcapng", 5), ("b.pcapng", 5)]


@pytest.mark.spec("X3")
def test_a_file_waits_until_it_is_released_and_pauses_after_a_failure(queue: UploadQueue) -> None:
    add(queue, "a")
    assert not queue.waiting()[0].is_due(10)
    queue.release(["a"], 10)
    assert queue.waiting()[0].is_due(10)
    queue.failed(["a"], 10, Unavailable("No answer.", remedy="Look."))
    queue.release(["a"], 11)
    (one,) = queue.waiting()
    assert (one.tries.error, one.tries.remedy, one.tries.attempts) == ("No answer.", "Look.", 1)
    assert not one.is_due(11)
    assert one.is_due(10 + MINUTE)
    queue.failed(["a"], 10, Unavailable("No answer."))
    assert not queue.waiting()[0].is_due(10 + MINUTE)
    queue.release(["a"], 12, at_once=True)
    assert queue.waiting()[0].is_due(12)


@pytest.mark.spec("X3")
def test_a_new_file_of_an_old_name_begins_anew(queue: UploadQueue) -> None:
    add(queue, "a")
    queue.release(["a"], 10)
    queue.failed(["a"], 10, Unavailable("x"))
    (queue.files.root / "a").unlink()
    assert queue.waiting() == []
    add(queue, "a")
    assert queue.waiting()[0].tries.attempts == 0
    assert not queue.waiting()[0].released


@pytest.mark.spec("X3")
def test_a_file_released_while_the_directory_is_looked_at_stays_released(
    queue: UploadQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(queue, "old")
    queue.release(["old"], 10)
    (queue.files.root / "old").unlink()
    look = queue.files.all

    def look_just_before() -> list[FileInfo]:
        found = look()
        add(queue, "new", "old")
        queue.release(["new"], 20)
        queue.forget("old")
        queue.release(["old"], 20)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(queue.files, "all", look_just_before)
        assert queue.waiting() == []
    assert [(one.file.name, one.tries.released_ns) for one in queue.waiting()] == [("new", 20), ("old", 20)]


@pytest.mark.spec("X3")
def test_what_is_withdrawn_waits_until_it_is_released_again(queue: UploadQueue) -> None:
    add(queue, "a")
    queue.release(["a"], 10)
    queue.failed(["a"], 10, Unavailable("No answer."))
    queue.withdraw()
    assert not queue.waiting()[0].released
    queue.release(["a"], 11)
    assert queue.waiting()[0].is_due(11)


@pytest.mark.spec("X3")
def test_everything_is_remembered_over_a_restart(queue: UploadQueue, tmp_path: Path) -> None:
    add(queue, "a")
    queue.release(["a"], 10)
    queue.failed(["a"], 10, Unavailable("x"))
    queue.set_last_run(77)
    again = UploadQueue(tmp_path / "upload", tmp_path / "allegro.sqlite")
    assert again.waiting() == queue.waiting()
    assert again.last_run_ns() == 77


@pytest.mark.spec("X3")
def test_a_name_on_the_server_is_remembered_only_for_its_file_and_destination(queue: UploadQueue) -> None:
    add(queue, "a", "withdrawn")
    queue.sending_to("u@server:22 in")
    queue.note_renamed("a", "a_2")
    queue.note_renamed("withdrawn", "withdrawn_2")
    (queue.files.root / "withdrawn").unlink()
    queue.waiting()
    assert queue.renamed("withdrawn") == "", "also without a record of tries"
    queue.sending_to("u@server:22 in")
    assert queue.renamed("a") == "a_2"
    queue.sending_to("u@server:22 elsewhere")
    assert queue.renamed("a") == ""


@pytest.mark.spec("X6")
def test_what_a_given_up_upload_has_left_is_remembered_for_its_destination(queue: UploadQueue) -> None:
    add(queue, "deleted", "gone", "sent", "elsewhere", "name")
    queue.sending_to("u@one in")
    for name in ("deleted", "gone", "sent", "elsewhere"):
        queue.note_renamed(name, f"{name}\nid\nin/{name}")
    queue.note_renamed("name", "a name alone leaves nothing")
    assert queue.given_up() == []
    queue.forget("deleted")
    (queue.files.root / "gone").unlink()
    queue.waiting()
    queue.sent("sent")
    queue.forget("name")
    left = ["deleted\nid\nin/deleted", "gone\nid\nin/gone"]
    assert set(queue.given_up()) == set(left)
    queue.sending_to("u@two in")
    assert queue.given_up() == []
    queue.sending_to("u@one in")
    assert set(queue.given_up()) == {*left, "elsewhere\nid\nin/elsewhere"}
    for note in queue.given_up():
        queue.thrown_away(note)
    assert queue.given_up() == []


def test_what_was_remembered_before_destinations_were_stays(queue: UploadQueue) -> None:
    add(queue, "a")
    queue.note_renamed("a", "a_2")
    queue.sending_to("u@server:22 in")
    assert queue.renamed("a") == "a_2"


def test_the_database_is_shared_and_safe_against_power_cuts(queue: UploadQueue, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "allegro.sqlite")) as other:
        other.execute("CREATE TABLE jobs (id INTEGER)")
    queue.set_last_run(5)
    with contextlib.closing(sqlite3.connect(tmp_path / "allegro.sqlite")) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert queue.last_run_ns() == 5


def test_a_failure_of_a_file_that_is_gone_is_ignored(queue: UploadQueue) -> None:
    queue.failed(["gone"], 10, Unavailable("x"))
    assert queue.waiting() == []


def test_a_damaged_database_is_told_in_plain_words(queue: UploadQueue, tmp_path: Path) -> None:
    (tmp_path / "allegro.sqlite").write_bytes(b"this is not a database, but long enough to see" * 100)
    with pytest.raises(Unavailable, match="record of the uploads cannot be used"):
        queue.waiting()


@pytest.mark.spec("X1")
def test_which_files_were_sent_is_remembered_and_bounded(
    queue: UploadQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert queue.were_sent(["a"]) == ([], None)
    queue.note_sent_since(7)
    queue.note_sent_since(9)
    monkeypatch.setattr(upload_queue, "MOST_SENT", 3)
    for name in ("a", "b", "c", "d"):
        queue.sent(name)
    assert queue.were_sent(["d", "x", "b", "a"]) == (["d", "b"], 7)
