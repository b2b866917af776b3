import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from allegro.errors import NotFound
from allegro.storage.answering import Answering, AnsweringStore
from allegro.storage.capture_files import FileStore
from tests.harness.waiting import wait_for

pytestmark = pytest.mark.spec("W5")


@pytest.fixture
def still() -> Iterator[threading.Event]:
    """A disk that stands still until this is set."""
    made = threading.Event()
    yield made
    made.set()


def times_out(question: Callable[[], object]) -> bool:
    with pytest.raises(OSError) as caught:
        question()
    return caught.value.errno == errno.ETIMEDOUT


def test_who_asks_gets_the_answer_or_the_error(tmp_path: Path) -> None:
    (tmp_path / "a.pcapng").write_bytes(b"x")
    store = AnsweringStore(tmp_path, Answering(30))
    assert [file.name for file in store.all()] == ["a.pcapng"]
    assert store.named(["a.pcapng", "b"]) == store.all()
    assert store.path("a.pcapng") == tmp_path / "a.pcapng"
    assert store.count() == 1
    assert 0 < store.free() <= store.total()
    store.delete("a.pcapng")
    with pytest.raises(NotFound):
        store.path("a.pcapng")


def test_a_disk_that_stands_still_keeps_nobody_waiting(still: threading.Event) -> None:
    disk = Answering(0.05)
    assert times_out(lambda: disk.ask(still.wait))
    wait_for(disk.is_silent, "that it is silent", 10)
    asked: list[int] = []
    assert times_out(lambda: disk.ask(lambda: asked.append(1)))
    assert asked == []
    still.set()
    wait_for(lambda: not disk.is_silent(), "its answer", 10)
    assert disk.ask(lambda: 7) == 7


def test_it_is_asked_one_question_at_a_time(still: threading.Event) -> None:
    disk = Answering(30)
    first = threading.Thread(target=disk.ask, args=(still.wait,))
    first.start()
    threading.Timer(0.05, still.set).start()
    assert disk.ask(lambda: 7) == 7
    assert still.is_set()
    first.join()


def test_every_question_to_a_store_goes_that_way(
    tmp_path: Path, still: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("all", "count", "named", "path", "delete", "free", "total"):
        monkeypatch.setattr(FileStore, name, lambda *_: still.wait())

    def store() -> AnsweringStore:
        return AnsweringStore(tmp_path, Answering(0.01))

    assert all(times_out(ask) for ask in (store().all, store().count, store().free, store().total))
    assert times_out(lambda: store().named(["a"]))
    assert times_out(lambda: store().path("a"))
    assert times_out(lambda: store().delete("a"))
