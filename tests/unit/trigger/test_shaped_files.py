"""Files with limits, and of the classic format: how they are named, kept, told."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.capture.extraction.shape import Shape, ShapeWishes
from allegro.settings.filter_table import FilterRow
from allegro.trigger.publish import hidden_path, write_beside
from tests.unit.trigger.test_cutter import STEM, Bench, Defaults, wait_for

pytestmark = pytest.mark.spec("T5")

FAKE = """
import json, os, pathlib, sys
asked = json.load(sys.stdin)
asked = asked if isinstance(asked, list) else [asked]
calls = pathlib.Path(asked[0]["ring_directory"]) / "calls"
calls.write_text(json.dumps([one["shape"] for one in asked]))
for number, one in enumerate(asked):
    pathlib.Path(one["output"]).write_bytes(b"file")
    limited = one["shape"]["size_limit_mib"] == 7
    text = "device: x" if one["shape"]["format"] == "pcap" else ""
    result = {"packets": 1, "bytes": 2, "file_size": 4, "first_ns": 1, "last_ns": 2, "drops": 0, "ports": [],
              "notes": ["It ends at its size limit."] if limited else [], "limited": limited, "text": text}
    print(json.dumps({"result": result} | ({"row": number} if len(asked) > 1 else {})), flush=True)
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    monkeypatch.setattr("tests.unit.trigger.test_cutter.FAKE", (sys.executable, "-I", "-S", str(script)))
    made = tmp_path / "device"
    made.mkdir()
    bench = Bench(made)
    yield bench
    bench.stop()


def asked(bench: Bench) -> list[Shape]:
    return [Shape(**one) for one in json.loads((bench.ring / "calls").read_text())]


def test_the_settings_shape_the_file_of_a_press(bench: Bench) -> None:
    bench.defaults = Defaults(format="pcap", packet_length=96, size_limit_mib=7)
    bench.start()
    job = bench.ended(bench.press())
    assert asked(bench) == [job.shape] == [Shape("pcap", 96, 7)]
    assert (job.state, job.file, job.limited) == ("complete", f"{STEM}.pcap", True)
    assert job.message == "It ends at its size limit."
    assert bench.visible() == [f"{STEM}.pcap", f"{STEM}.pcap.txt"]
    assert (bench.storage / f"{STEM}.pcap.txt").read_text() == "device: x\n"
    again = bench.ended(bench.press(filter_text="port == 80"))
    assert (again.file, again.filter) == (f"{STEM}_2.pcap", "port == 80")
    assert again.shape == job.shape


def test_a_text_that_a_renamed_capture_has_left_is_not_that_of_another_one(bench: Bench) -> None:
    bench.defaults = Defaults(format="pcap")
    bench.start()
    first = bench.ended(bench.press())
    (bench.storage / first.file).rename(bench.storage / "mine.pcap")
    bench.store.file_moved(first.file, "mine.pcap", "storage")
    second = bench.ended(bench.press())
    assert second.file == f"{STEM}_2.pcap"
    assert bench.visible() == [f"{STEM}.pcap.txt", f"{STEM}_2.pcap", f"{STEM}_2.pcap.txt", "mine.pcap"]


def test_what_is_asked_for_goes_before_the_settings(bench: Bench) -> None:
    bench.defaults = Defaults(format="pcap", packet_length=96, size_limit_mib=7)
    bench.start()
    job = bench.ended(bench.press(wishes=ShapeWishes("pcapng", 0)))
    assert asked(bench) == [Shape("pcapng", 0, 7)]
    assert bench.visible() == [job.file] == [f"{STEM}.pcapng"]


def row(name: str, **shape: object) -> FilterRow:
    return FilterRow.model_validate({"name": name} | shape)


@pytest.mark.spec("T4")
def test_each_row_has_a_shape_of_its_own_and_wishes_hold_for_all(bench: Bench) -> None:
    bench.defaults = Defaults(
        packet_length=1,
        rows=(row("a", format="pcap", size_limit_mib=7), row("b", packet_length=64), row("c")),
    )
    bench.start()
    job = bench.ended(bench.press())
    assert asked(bench) == [Shape("pcap", 0, 7), Shape("pcapng", 64, 0), Shape()]
    rows = bench.store.rows.of(job.id)
    assert [one.shape for one in rows] == asked(bench)
    assert [one.file for one in rows] == [f"{STEM}_a.pcap", f"{STEM}_b.pcapng", f"{STEM}_c.pcapng"]
    assert [bool(one.limited) for one in rows] == [True, False, False]
    assert (job.limited, job.message) == (True, "1 file ends at its size limit.")
    assert f"{STEM}_a.pcap.txt" in bench.visible()
    bench.ended(bench.press(wishes=ShapeWishes(packet_length=60)))
    assert asked(bench) == [Shape("pcap", 60, 7), Shape("pcapng", 60, 0), Shape("pcapng", 60, 0)]


def test_a_small_limit_needs_little_room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[int] = []
    bench.size = 1 << 40

    def problem(_: object, needed: int = 0) -> str:
        wanted.append(needed)
        return ""

    monkeypatch.setattr(type(bench.around), "space_problem", problem)
    bench.start()
    bench.ended(bench.press(wishes=ShapeWishes(size_limit_mib=7)))
    assert max(wanted) == 7 << 20


def test_whether_a_file_ends_at_its_limit_may_not_be_known_after_a_restart(bench: Bench) -> None:
    job = bench.press(wishes=ShapeWishes("pcap", size_limit_mib=7))
    bench.store.change(job.id, state="cutting", directory="storage", tries=1)
    hidden_path(bench.storage, job.id).write_text("whole")
    bench.restart()
    bench.start()
    wait_for(lambda: bench.store.get(job.id).ended)
    done = bench.store.get(job.id)
    assert done.file == f"{STEM}.pcap"
    assert "Whether it ends at its size limit is not known." in done.message
    assert (bench.storage / f"{STEM}.pcap.txt").read_text() == f"note: {done.message}\n"


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_had_its_name_before_a_restart_has_its_notes_beside_it(bench: Bench, there: bool) -> None:
    """Unless it is gone by then."""
    job = bench.press(wishes=ShapeWishes("pcap"))
    told = "7 packets were lost on port1."
    bench.store.change(job.id, state="cutting", directory="storage", file=f"{STEM}.pcap", message=told)
    if there:
        (bench.storage / f"{STEM}.pcap").write_text("whole")
    bench.restart()
    bench.start()
    wait_for(lambda: bench.store.get(job.id).ended)
    assert bench.store.get(job.id).state == "complete"
    beside = bench.storage / f"{STEM}.pcap.txt"
    assert (beside.read_text() if beside.exists() else "") == (f"note: {told}\n" if there else "")


@pytest.mark.spec("T4")
def test_so_have_the_files_of_rows(bench: Bench) -> None:
    bench.defaults = Defaults(rows=(row("a", format="pcap"), row("b", format="pcap")))
    job = bench.press()
    bench.store.change(job.id, state="cutting", directory="storage", tries=1)
    first, second = bench.store.rows.of(job.id)
    bench.store.rows.change(first, file=f"{STEM}_a.pcap", directory="storage", message="Some is missing.")
    (bench.storage / f"{STEM}_a.pcap").write_text("whole")
    hidden_path(bench.storage, job.id, second.number).write_text("whole")
    bench.restart()
    bench.start()
    wait_for(lambda: bench.store.get(job.id).ended)
    assert (bench.storage / f"{STEM}_a.pcap.txt").read_text() == "note: Some is missing.\n"
    assert "were not counted" in (bench.storage / f"{STEM}_b.pcap.txt").read_text()


def test_words_beside_a_file_replace_nothing_and_fail_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.pcap.txt").write_text("mine")
    write_beside(tmp_path / "a.pcap", "words")
    assert (tmp_path / "a.pcap.txt").read_text() == "mine"
    write_beside(tmp_path / "missing" / "a.pcap", "words")
    write_beside(tmp_path / "b.pcap", "")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pcap.txt"]
