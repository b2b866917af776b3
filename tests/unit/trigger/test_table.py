"""A press with the filter table: a file for each row, and each row stands for itself."""

import errno
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from allegro.atomic import rename_without_replacing
from allegro.capture.extraction.contract import Progress, Request, Result
from allegro.errors import Conflict, InvalidInput, NotFound
from allegro.settings.filter_table import FilterRow
from allegro.settings.settings_file import validated
from allegro.storage import capture_files
from allegro.trigger.beep import Signal
from allegro.trigger.extraction import STOPPING, ExtractionFailed, Extractions, ExtractionStopped
from allegro.trigger.job import Job
from allegro.trigger.press import Press
from allegro.trigger.publish import hidden_path
from allegro.trigger.rows import Row
from allegro.trigger.surroundings import Surroundings
from allegro.trigger.table_making import FULL
from tests.unit.trigger.test_cutter import PRESS_NS, Bench, Defaults, wait_for

pytestmark = pytest.mark.spec("T4")

FAKE = """
import json, os, pathlib, sys, time
requests = json.load(sys.stdin)
requests = requests if isinstance(requests, list) else [requests]
ring = pathlib.Path(requests[0]["ring_directory"])
with (ring / "calls").open("a") as calls:
    calls.write(json.dumps(requests) + "\\n")
several = len(requests) > 1
partials = []
for request in requests:
    output = pathlib.Path(request["output"])
    partial = output.with_name(f".{output.name}.partial")
    partial.write_bytes(request["filter"].encode())
    partials.append((partial, output))
def say(number, **message):
    print(json.dumps(message | ({"row": number} if several else {})), flush=True)
print(json.dumps({"progress": {"fraction": 0.5, "packets": 1, "bytes": 2}}), flush=True)
behaviour = (ring / "behaviour").read_text() if (ring / "behaviour").exists() else ""
gone = set()
def give_up(number):
    gone.add(number)
    say(number, error={"message": "There is no space left for the capture.", "remedy": ""})
while behaviour == "hang" and any(partial.exists() for partial, _ in partials):
    for number, (partial, _) in enumerate(partials):
        if number not in gone and not partial.exists():
            give_up(number)
    print(json.dumps({"progress": {"fraction": 0.5, "packets": 1, "bytes": 2}}), flush=True)
    time.sleep(0.05)
    behaviour = (ring / "behaviour").read_text()
for number, (partial, output) in enumerate(partials):
    if behaviour == f"wait {number}":
        time.sleep(60)
    if behaviour == f"full {number}" or not partial.exists():
        partial.unlink(missing_ok=True)
        if number not in gone:
            give_up(number)
        continue
    if behaviour == f"die {number}":
        os.kill(os.getpid(), 9)
    os.rename(partial, output)
    say(number, result={"packets": 10 + number, "bytes": 100, "file_size": 7, "first_ns": 1, "last_ns": 2,
                        "drops": 3, "notes": [f"Note {number}."], "ports": []})
"""


def row(name: str, condition: str = "", key: str = "any", enabled: bool = True) -> FilterRow:
    return FilterRow.model_validate({"name": name, "filter": condition, "key": key, "enabled": enabled})


FOUR = (
    row("before", "interface == port1"),
    row("behind", "interface == port2"),
    row("web", "port == 80"),
    row("all"),
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    monkeypatch.setattr("tests.unit.trigger.test_cutter.FAKE", (sys.executable, "-I", "-S", str(script)))
    made = tmp_path / "device"
    made.mkdir()
    bench = Bench(made)
    bench.defaults = Defaults(rows=FOUR)
    yield bench
    bench.stop()


def rows(bench: Bench, job: Job) -> list[Row]:
    return bench.store.rows.of(job.id)


Answered = Callable[[int, Result | ExtractionFailed], None]


def before_each_answer(monkeypatch: pytest.MonkeyPatch, happens: Callable[[int], None]) -> None:
    """`happens` with the number of an answer (from 0) when the extraction has given it, and nobody knows."""
    run_all = Extractions.run_all

    def run(
        extractions: Extractions,
        requests: Sequence[Request],
        on_progress: Callable[[Progress], None],
        on_answer: Answered,
        should_stop: Callable[[], str],
    ) -> None:
        def answered(number: int, answer: Result | ExtractionFailed) -> None:
            happens(number)
            on_answer(number, answer)

        run_all(extractions, requests, on_progress, answered, should_stop)

    monkeypatch.setattr(Extractions, "run_all", run)


def calls(bench: Bench) -> list[list[dict[str, object]]]:
    return [json.loads(line) for line in (bench.ring / "calls").read_text().splitlines()]


@pytest.mark.spec("W4")
def test_a_file_goes_where_it_is_wanted_with_a_note_in_it(bench: Bench) -> None:
    bench.start()
    press = Press(PRESS_NS, "page", "pump")
    wanted = bench.triggers.accept(press, filter_text="", target="upload", note=" of the\npump ")
    job = bench.ended(wanted)
    (asked,) = calls(bench)
    assert asked[0]["comment"]["note"] == "of the?pump"  # type: ignore[index]
    assert (job.state, job.directory, job.note) == ("complete", "upload", "of the?pump")
    assert bench.visible(bench.upload) == [job.file]


@pytest.mark.spec("T5", "T7")
def test_each_row_makes_a_file_in_one_pass(bench: Bench) -> None:
    bench.start()
    job = bench.ended(bench.press())
    (asked,) = calls(bench)
    assert [one["filter"] for one in asked] == ["interface == port1", "interface == port2", "port == 80", ""]
    assert [one["comment"]["row of the filter table"] for one in asked] == ["before", "behind", "web", "all"]  # type: ignore[index]
    assert (job.state, job.message, job.file, job.packets, job.drops) == ("complete", "", "", 46, 3)
    stem = rows(bench, job)[0].file.removesuffix("_before.pcapng")
    assert stem.endswith("_presenter_next")
    assert [one.file for one in rows(bench, job)] == [f"{stem}_{each.name}.pcapng" for each in FOUR]
    assert [(one.state, one.packets, one.message) for one in rows(bench, job)][:2] == [
        ("complete", 10, "Note 0."),
        ("complete", 11, "Note 1."),
    ]
    assert bench.visible() == sorted(one.file for one in rows(bench, job))
    assert (bench.hidden(), bench.signals) == ([], [Signal.ACCEPTED, Signal.COMPLETE])
    again = bench.ended(bench.press())
    assert [one.file for one in rows(bench, again)] == [f"{stem}_{each.name}_2.pcapng" for each in FOUR]


def test_only_rows_in_use_and_of_the_key_count(bench: Bench) -> None:
    bench.defaults = Defaults(rows=(row("a", key="next"), row("b", key="prev"), row("c", enabled=False)))
    bench.start()
    bench.triggers.on_keys([Press(PRESS_NS, "presenter", key, "R400") for key in ("next", "prev", "black")])
    wait_for(lambda: not bench.store.unfinished())
    black, prev, following = bench.store.recent()
    assert [one.name for one in rows(bench, following)] == ["a"]
    assert [one.name for one in rows(bench, prev)] == ["b"]
    assert (black.state, black.message) == (
        "refused",
        "No row of the filter table that is in use is for the key black.",
    )
    assert bench.signals.count(Signal.REFUSED) == 1
    bench.defaults = Defaults(rows=(row("c", enabled=False),), filter="vlan == 7")
    job = bench.ended(bench.press())
    assert (rows(bench, job), job.filter, bool(job.file)) == ([], "vlan == 7", True)


def test_a_filter_that_is_asked_for_makes_one_file(bench: Bench) -> None:
    bench.start()
    job = bench.ended(bench.press(filter_text="port == 443"))
    assert (rows(bench, job), job.filter, bool(job.file)) == ([], "port == 443", True)


def test_all_rows_are_cut_from_one_ring(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the recorder goes to another one meanwhile: only so the extraction takes them together."""
    rings = bench.ring, bench.root / "memory"
    rings[1].mkdir()
    now = itertools.cycle(rings)
    monkeypatch.setattr(Surroundings, "ring_now", lambda _: next(now))
    bench.start()
    bench.ended(bench.press())
    (calls,) = (ring / "calls" for ring in rings if (ring / "calls").exists())
    asked = json.loads(calls.read_text())
    assert [request["ring_directory"] for request in asked] == [str(calls.parent)] * len(FOUR)


def test_a_row_that_fails_leaves_the_others_alone(bench: Bench) -> None:
    (bench.ring / "behaviour").write_text("full 1")
    bench.start()
    job = bench.ended(bench.press())
    assert [one.state for one in rows(bench, job)] == ["complete", "failed", "complete", "complete"]
    assert rows(bench, job)[1].message == "There is no space left for the capture."
    assert (job.state, job.message) == ("complete", "3 of 4 rows of the filter table have a file.")
    assert len(bench.visible()) == 3


def test_what_was_made_before_the_extraction_dies_is_kept(bench: Bench) -> None:
    (bench.ring / "behaviour").write_text("die 2")
    bench.start()
    job = bench.ended(bench.press())
    assert [one.state for one in rows(bench, job)] == ["complete", "complete", "failed", "failed"]
    assert "unexpectedly by signal 9" in rows(bench, job)[3].message
    assert (job.state, len(bench.visible()), bench.hidden()) == ("complete", 2, [])


def test_on_a_full_disk_the_largest_file_makes_room_for_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is left on the disk goes into the file of the third row, until that is given up."""
    (bench.ring / "behaviour").write_text("hang")
    large = bench.storage / "..job-1-3.pcapng.partial"

    def free(store: capture_files.FileStore) -> int:
        if not (bench.ring / "calls").exists():
            return capture_files.RESERVE
        if not large.exists():
            (bench.ring / "behaviour").write_text("")
            return capture_files.RESERVE
        large.write_bytes(bytes(1 << 20))
        return 0

    monkeypatch.setattr(capture_files.FileStore, "free", free)
    bench.start()
    job = bench.ended(bench.press())
    assert [one.state for one in rows(bench, job)] == ["complete", "complete", "failed", "complete"]
    assert rows(bench, job)[2].message == FULL
    assert (job.state, job.message) == ("complete", "3 of 4 rows of the filter table have a file.")
    assert (len(bench.visible()), bench.hidden()) == (3, [])


def test_a_disk_that_others_fill_is_not_worked_on_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.ring / "behaviour").write_text("hang")
    monkeypatch.setattr(
        capture_files.FileStore,
        "free",
        lambda store: 0 if (bench.ring / "calls").exists() else capture_files.RESERVE,
    )
    bench.start()
    job = bench.ended(bench.press())
    assert {one.state for one in rows(bench, job)} == {"failed"}
    assert (job.state, bench.visible(), bench.hidden()) == ("failed", [], [])


def test_a_row_is_cancelled_and_the_others_go_on(bench: Bench) -> None:
    (bench.ring / "behaviour").write_text("hang")
    bench.start()
    job = bench.press()
    wait_for(lambda: (bench.ring / "calls").exists() and bench.store.get(job.id).progress > 0)
    bench.cutter.cancel_row(job.id, 2)
    with pytest.raises(Conflict):
        bench.cutter.cancel_row(job.id, 2)
    with pytest.raises(NotFound):
        bench.cutter.cancel_row(job.id, 5)
    (bench.ring / "behaviour").write_text("")
    job = bench.ended(job)
    assert [one.state for one in rows(bench, job)] == ["complete", "cancelled", "complete", "complete"]
    assert (job.state, len(bench.visible()), bench.hidden()) == ("complete", 3, [])


def test_a_row_is_cancelled_when_its_file_is_complete_but_has_no_name(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def happens(number: int) -> None:
        if number == 1:
            bench.cutter.cancel_row(job.id, 2)

    before_each_answer(monkeypatch, happens)
    job = bench.press()
    bench.start()
    job = bench.ended(job)
    assert [one.state for one in rows(bench, job)] == ["complete", "cancelled", "complete", "complete"]
    assert (job.state, len(bench.visible()), bench.hidden()) == ("complete", 3, [])


def test_a_file_that_cannot_get_its_name_ends_its_row_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(source: Path, target: Path) -> None:
        if source.name.endswith("-2.pcapng"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename_without_replacing(source, target)

    monkeypatch.setattr("allegro.trigger.publish.rename_without_replacing", rename)
    bench.start()
    job = bench.ended(bench.press())
    assert [one.state for one in rows(bench, job)] == ["complete", "failed", "complete", "complete"]
    assert rows(bench, job)[1].message == "The file cannot be stored (Input/output error)."
    assert (job.state, len(bench.visible()), bench.hidden()) == ("complete", 3, [])


def test_a_press_is_cancelled_with_all_its_rows(bench: Bench) -> None:
    (bench.ring / "behaviour").write_text("hang")
    waiting = bench.press()
    for number in (1, 2, 3):
        assert bench.cutter.cancel_row(waiting.id, number).state == "accepted"
    assert bench.cutter.cancel_row(waiting.id, 4).state == "cancelled"
    bench.start()
    job = bench.press()
    wait_for(lambda: bench.store.get(job.id).progress > 0)
    bench.cutter.cancel(job.id)
    assert bench.ended(job).state == "cancelled"
    assert {one.state for one in rows(bench, job)} == {"cancelled"}
    assert (bench.visible(), bench.hidden()) == ([], [])


def test_a_press_is_cancelled_and_the_files_that_are_there_count(bench: Bench) -> None:
    (bench.ring / "behaviour").write_text("wait 2")
    bench.start()
    job = bench.press()
    wait_for(lambda: [one.state for one in rows(bench, job)][:2] == ["complete"] * 2)
    bench.cutter.cancel(job.id)
    job = bench.ended(job)
    assert [one.state for one in rows(bench, job)] == ["complete", "complete", "cancelled", "cancelled"]
    assert (job.state, job.message) == ("complete", "2 of 4 rows of the filter table have a file.")
    assert (bench.completed, len(bench.visible()), bench.hidden()) == ([job], 2, [])


def test_after_a_restart_only_what_has_no_file_is_cut_again(bench: Bench) -> None:
    job = bench.press()
    bench.store.change(job.id, state="cutting", directory="storage", tries=1)
    first, second, *_ = rows(bench, job)
    bench.store.rows.change(first, state="complete", file="first.pcapng")
    hidden_path(bench.storage, job.id, 2).write_text("whole")
    bench.store.rows.change(second, file="second.pcapng")
    hidden_path(bench.storage, job.id, 3).write_text("whole")
    hidden_path(bench.storage, 99, 3).write_text("of a job that is forgotten")
    bench.restart()
    bench.start()
    job = bench.ended(job)
    (asked,) = calls(bench)
    assert [one["filter"] for one in (asked if isinstance(asked, list) else [asked])] == [""]
    assert [one.state for one in rows(bench, job)] == ["complete"] * 4
    assert "its packets were not counted" in rows(bench, job)[2].message
    assert (bench.storage / "second.pcapng").read_text() == "whole"
    assert (len(bench.visible()), bench.hidden(), job.packets) == (3, [], None)


class TestCompleteButNotNamed:
    """A row whose file the extraction has just made is not lost, whatever ends the work then."""

    def ends_with(self, monkeypatch: pytest.MonkeyPatch, bench: Bench, error: BaseException) -> None:
        """The work ends when the second row's file is complete, and the third one's begun."""
        (bench.ring / "behaviour").write_text("wait 2")

        def happens(number: int) -> None:
            if number == 1:
                bench.cutter._stopping = isinstance(error, ExtractionStopped) and error.reason == STOPPING
                raise error

        before_each_answer(monkeypatch, happens)

    def test_when_the_program_ends(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            self.ends_with(patch, bench, ExtractionStopped(STOPPING))
            job = bench.press()
            bench.start()
            wait_for(lambda: bench.cutter._stopping)
            bench.stop()
        assert [one.state for one in rows(bench, job)] == ["complete", "complete", "open", "open"]
        assert (bench.store.get(job.id).state, bench.tries(job), bench.hidden()) == ("cutting", 0, [])
        (bench.ring / "behaviour").write_text("")
        bench.restart()
        bench.start()
        job = bench.ended(job)
        assert [len(call) for call in calls(bench)] == [4, 2]
        assert [one.state for one in rows(bench, job)] == ["complete"] * 4
        assert (job.message, bench.completed, len(bench.visible())) == ("", [job], 4)

    def test_when_the_disk_is_full(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ends_with(monkeypatch, bench, ExtractionStopped(FULL))
        bench.start()
        job = bench.ended(bench.press())
        assert [one.state for one in rows(bench, job)] == ["complete", "complete", "failed", "failed"]
        assert rows(bench, job)[3].message == FULL
        assert (job.state, len(bench.visible()), bench.hidden()) == ("complete", 2, [])

    def test_when_the_third_try_fails(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ends_with(monkeypatch, bench, MemoryError())
        job = bench.press()
        bench.store.change(job.id, state="cutting", directory="storage", tries=2)
        bench.start()
        job = bench.ended(job)
        assert [one.state for one in rows(bench, job)] == ["complete", "complete", "failed", "failed"]
        assert "tried 3 times: something unforeseen happened (MemoryError)" in rows(bench, job)[3].message
        assert (job.state, len(bench.visible()), bench.hidden()) == ("complete", 2, [])
        assert (bench.completed, bench.signals) == ([job], [Signal.ACCEPTED, Signal.COMPLETE])

    def test_when_the_power_goes_in_the_third_try(self, bench: Bench) -> None:
        job = bench.press()
        bench.store.change(job.id, state="cutting", directory="storage", tries=3)
        hidden_path(bench.storage, job.id, 2).write_text("whole")
        bench.restart()
        bench.start()
        job = bench.ended(job)
        assert [one.state for one in rows(bench, job)] == ["failed", "complete", "failed", "failed"]
        assert (job.state, job.message) == ("complete", "1 of 4 rows of the filter table have a file.")
        assert (bench.completed, len(bench.visible()), bench.hidden()) == ([job], 1, [])


def test_a_table_that_cannot_be_is_refused_at_its_field() -> None:
    good = {"name": "a", "filter": "port == 80"}
    for wrong, place, words in (
        ([good | {"filter": "port = 80"}], "trigger.rows.0.filter", "Column 6"),
        ([good, {"name": "A"}], "trigger.rows.1.name", "a row A already"),
        ([{"name": ""}], "trigger.rows.0.name", ""),
        ([{"name": "…"}], "trigger.rows.0.name", "needs a letter"),
        ([good | {"key": "left"}], "trigger.rows.0.key", ""),
        ([good | {"filter": "group == x"}], "trigger.rows.0.filter", "the row a of the filter table"),
        ([{"name": str(number)} for number in range(201)], "trigger.rows", "200"),
    ):
        with pytest.raises(InvalidInput) as refused:
            validated({"trigger": {"rows": wrong}})
        assert refused.value.place == place
        assert words.lower() in refused.value.message.lower()
