"""The queue on disk: over restarts, bounded, on a disk that fails."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.notify import notice_queue
from allegro.notify.notice import Notice
from allegro.notify.notice_queue import NoticeQueue, Standing

pytestmark = pytest.mark.spec("X7")

PAGE = 4096
"""Of SQLite: the first one says which tables there are."""

MINUTE = 60 * 10**9
NOTICE = Notice("a" * 32, 5, "problem", "warning", "meter-7", "Europe/Berlin", "It is dark.")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notifications.sqlite"


def numbered(number: int) -> Notice:
    return replace(NOTICE, id=f"{number:032x}", text=f"{number}.")


def texts(queue: NoticeQueue, now_ns: int = 10) -> list[str]:
    return [each.text for each in queue.due("mail", now_ns)]


def test_what_waits_survives_a_restart_as_it_was(path: Path) -> None:
    NoticeQueue(path).add(("mail", "syslog"), NOTICE)
    again = NoticeQueue(path)
    assert again.due("mail", 10) == [NOTICE]
    assert again.due("syslog", 10) == [replace(NOTICE, number=2)]
    assert again.due("webhook", 10) == []


def test_what_was_sent_is_gone_for_that_way_alone(path: Path) -> None:
    queue = NoticeQueue(path)
    queue.add(("mail", "syslog"), NOTICE)
    queue.sent("mail", 1, 77)
    assert queue.due("mail", 10) == []
    assert queue.standing("mail") == Standing(0, 0, 77)
    assert queue.standing("syslog") == Standing(1, 0, 0)
    queue.add(("mail",), NOTICE)
    assert [each.number for each in queue.due("mail", 10)] == [3], "no number comes twice"


def test_a_refused_message_pauses_longer_each_time_and_lets_the_others_pass(path: Path) -> None:
    queue = NoticeQueue(path)
    for number in (1, 2):
        queue.add(("mail",), numbered(number))
    queue.refused(1, 100)
    assert texts(queue, 100) == ["2."]
    assert texts(queue, 100 + MINUTE) == ["1.", "2."]
    queue.refused(1, 100 + MINUTE)
    assert texts(queue, 100 + 2 * MINUTE) == ["2."]
    assert texts(queue, 100 + 3 * MINUTE) == ["1.", "2."]
    assert texts(queue, 50) == ["1.", "2."], "the clock was set back"
    queue.refused(1, 100 + 3 * MINUTE)
    queue.release("mail")
    assert texts(queue, 100 + 3 * MINUTE) == ["1.", "2."]


def test_the_queue_is_bounded_and_says_what_it_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice_queue, "KEPT", 3)
    queue = NoticeQueue(path)
    queue.add(("syslog",), NOTICE)
    for number in range(5):
        queue.add(("mail",), numbered(number))
    assert texts(queue) == ["2.", "3.", "4."]
    assert queue.standing("mail") == Standing(3, 2, 0)
    assert queue.standing("syslog") == Standing(1, 0, 0)


def test_many_of_one_kind_push_out_none_of_another(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice_queue, "KEPT", 3)
    queue = NoticeQueue(path)
    queue.add(("mail",), NOTICE)
    for number in range(5):
        queue.add(("mail",), replace(numbered(number), kind="login-failed"))
    assert texts(queue) == ["It is dark.", "3.", "4."]
    assert queue.standing("mail") == Standing(3, 3, 0)


def test_a_way_that_is_switched_off_forgets(path: Path) -> None:
    queue = NoticeQueue(path)
    queue.withdraw("mail")
    assert queue.standing("mail") == Standing()
    assert not path.exists(), "who is told nothing needs no file"
    queue.add(("mail", "syslog"), NOTICE)
    queue.withdraw("mail")
    assert queue.standing("mail") == Standing()
    assert queue.standing("syslog").waiting == 1


def test_a_damaged_queue_begins_anew_and_says_so(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    queue = NoticeQueue(path)
    queue.add(("mail",), NOTICE)
    assert queue.due("mail", 10) == [NOTICE]
    assert queue.was_damaged
    assert not NoticeQueue(path).was_damaged
    assert path.with_name("notifications.sqlite.damaged").read_bytes().startswith(b"no database")


def test_damage_deep_in_the_queue_costs_what_waited_and_no_more(path: Path) -> None:
    queue = NoticeQueue(path)
    for number in range(60):
        queue.add(("mail",), replace(numbered(number), text="long " * 40))
    content = path.read_bytes()
    path.write_bytes(content[:PAGE] + b"\xff" * (len(content) - PAGE))
    with pytest.raises(Unavailable):
        queue.due("mail", 10)
    queue.add(("mail",), NOTICE)
    assert queue.due("mail", 10) == [NOTICE]
    assert queue.was_damaged


def test_a_disk_that_does_not_take_it_is_told(tmp_path: Path) -> None:
    queue = NoticeQueue(tmp_path / "nowhere" / "notifications.sqlite")
    with pytest.raises(Unavailable, match="The queue of the notifications cannot be used"):
        queue.add(("mail",), NOTICE)


def test_another_version_may_know_more_columns(path: Path) -> None:
    queue = NoticeQueue(path)
    queue.add(("mail",), NOTICE)
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE waiting ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'")
    queue.add(("mail",), NOTICE)
    assert len(queue.due("mail", 10)) == 2
