"""What a press costs, in counts: on a small processor with a slow disk each of them is a part of a second."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.trigger.making import Maker
from allegro.trigger.order import SHORT_BYTES, Running
from tests.unit.trigger.test_cutter import PRESS_NS, Bench, Recorder

pytestmark = pytest.mark.spec("T3", "T10")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.stop()


def commits(database: Path) -> int:
    """Commits in the write-ahead log, each of which was waited for (https://sqlite.org/fileformat.html#walformat):
    frames whose second word is not zero."""
    log = database.with_name(f"{database.name}-wal").read_bytes()
    frame = 24 + int.from_bytes(log[8:12])
    return sum(log[at + 4 : at + 8] != bytes(4) for at in range(32, len(log), frame))


def test_a_press_is_four_commits_and_safe_with_the_first(bench: Bench) -> None:
    """Accepted, being cut, named, complete; not that it waits a moment for the recorder, nor its progress."""
    database = bench.root / "allegro.sqlite"
    before = commits(database)
    bench.recorder = Recorder(complete_through_ns=PRESS_NS - 1)
    job = bench.press()
    assert commits(database) - before == 1
    assert bench.cutter._step() == pytest.approx(0.1)
    bench.recorder.complete_through_ns = PRESS_NS
    assert bench.cutter._step() == 0
    assert bench.store.get(job.id).state == "complete"
    assert commits(database) - before == 4


def test_what_is_started_for_the_next_press_does_not_slow_this_one_down(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To start it takes ten times what it takes to cut a minute of a quiet link."""
    prepared: list[bool] = []
    monkeypatch.setattr(Maker, "prepare", lambda _: prepared.append(True))
    for running, wanted in (
        ([], True),
        ([SHORT_BYTES], False),
        ([0, SHORT_BYTES + 1], True),  # for long: the next press does not wait for its end
        ([None], True),
    ):
        bench.cutter._running = {number: Running(size, 0.0) for number, size in enumerate(running)}
        prepared.clear()
        bench.cutter._prepare()
        assert bool(prepared) is wanted
    bench.cutter._running = {}
