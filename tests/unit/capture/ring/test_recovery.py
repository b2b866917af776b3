from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from allegro.capture.ring import index, segments
from allegro.capture.ring.recovery import recover
from allegro.capture.ring.segments import MIB
from allegro.capture.ring.writer import RingWriter
from tests.harness.waiting import wait_for
from tests.unit.capture.ring.writing import SMALLEST, START, STEP, append, everything, numbers

Abandon = Callable[[RingWriter], None]
BIG = 60_000


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ring of 80 records in three segments whose writer ended cleanly."""
    directory = tmp_path_factory.mktemp("ring")
    writer = RingWriter(directory, SMALLEST, START)
    for number in range(80):
        append(writer, number, size=BIG)
    writer.close()
    return directory


@pytest.fixture
def ring(left_behind: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(left_behind, tmp_path / "ring"))


def cut(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def reopen(directory: Path) -> list[int]:
    """Starts a writer, lets it write one more record (number 1000), and returns what can be read then."""
    writer = RingWriter(directory, SMALLEST, START + 10**12)
    append(writer, 1000)
    writer.close()
    found = numbers(directory)
    assert found[-1] == 1000
    sequences = [ref.sequence for ref in everything(directory)]
    assert sequences == sorted(set(sequences))
    return found[:-1]


@pytest.mark.spec("R2")
def test_a_clean_ring_needs_no_repair(ring: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert reopen(ring) == list(range(80))
    assert not caplog.records


@pytest.mark.spec("R2")
def test_a_summary_makes_no_look_at_the_records_needed(ring: Path) -> None:
    before = everything(ring)
    found = recover(ring)
    assert [segment.summary.records for segment in found.segments] == [34, 34, 12]
    assert found.next_sequence > before[-1].sequence
    assert everything(ring) == before


@pytest.mark.spec("R2")
@pytest.mark.parametrize("length", [0, 1, 95, 96 * 3, 96 * 34, 96 * 34 + 50])
def test_a_short_index_is_completed(ring: Path, length: int) -> None:
    file = index.index_path(segments.list_segments(ring)[0])
    file.write_bytes(file.read_bytes()[:length])
    assert reopen(ring) == list(range(80))


@pytest.mark.spec("R2")
def test_a_damaged_record_costs_only_itself(ring: Path) -> None:
    refs = everything(ring)
    for file in ring.glob("*.index"):
        file.unlink()
    cut(refs[40].segment.path, refs[40].offset, bytes(4096))  # its beginning
    cut(refs[45].segment.path, refs[45].offset + refs[45].length - 4096, bytes(4096))  # its end
    cut(refs[0].segment.path, 0, b"\xff" * 4096)  # the first of all
    assert reopen(ring) == [number for number in range(80) if number not in (0, 40, 45)]


@pytest.mark.spec("R2")
def test_a_segment_with_a_wrong_name_is_named_by_its_content(ring: Path) -> None:
    for old, wrong in zip(
        segments.list_segments(ring), ("00000000000000ff", "ffffffffffffff00"), strict=False
    ):
        old.rename(old.with_name(f"{wrong}.blocks"))
    assert reopen(ring) == list(range(80))
    for path in segments.list_segments(ring):
        assert index.read(index.index_path(path))[0].sequence == segments.first_sequence(path)


@pytest.mark.spec("R2")
def test_an_undone_renaming_of_the_newest_segment_loses_nothing(ring: Path) -> None:
    newest = segments.list_segments(ring)[-1]
    index.index_path(newest).unlink()
    newest.rename(segments.free_path(ring, 99))
    assert reopen(ring) == list(range(80))


@pytest.mark.spec("R2")
def test_what_lies_in_a_recycled_segment_does_not_come_back(ring: Path) -> None:
    oldest = segments.list_segments(ring)[0]
    index.index_path(oldest).unlink()
    oldest.rename(segments.free_path(ring, 99))
    assert reopen(ring) == list(range(34, 80))


@pytest.mark.spec("R2")
def test_leftovers_behind_the_newest_record_are_not_taken(ring: Path, abandon: Abandon) -> None:
    # Fill up the segment in use and begin a recycled one: old records lie behind the few new ones.
    writer = RingWriter(ring, SMALLEST, 5)
    for number in range(500, 500 + 22 + 34 + 3):
        wait_for(
            lambda: writer.status().size - writer.status().used > 4 * MIB or writer._stock._free, "room", 10
        )
        append(writer, number, size=BIG)
    abandon(writer)
    before = everything(ring)
    for file in ring.glob("*.index"):
        file.unlink()
    recover(ring)
    assert everything(ring) == before


@pytest.mark.spec("R2")
def test_missing_ring_json_is_taken_from_the_records(ring: Path) -> None:
    before = segments.read_identity(ring)
    for content in (None, b"", b"[]", b'{"ring_id": "00"}', b'{"ring_id": 5, "created_ns": 1}'):
        path = ring / segments.RING_FILE
        path.unlink() if content is None else path.write_bytes(content)
        assert recover(ring).identity.ring_id == (before.ring_id if before else None)
    assert reopen(ring) == list(range(80))


@pytest.mark.spec("R2", "T6")
def test_runs_are_known_after_a_cut(ring: Path) -> None:
    (ring / segments.RUNS_FILE).write_bytes(b"\0" * 100)
    (run,) = recover(ring).runs
    assert (run.run, run.start_ns, run.ports) == (START, START, ("port1",))
    assert run.alive_ns == START + 79 * STEP + 1


@pytest.mark.spec("R2")
def test_infinite_numbers_do_no_harm(ring: Path) -> None:
    known = segments.read_runs(ring)
    runs = [*(run._asdict() for run in known), {"run": 1, "start_ns": float("inf"), "alive_ns": 2}]
    (ring / segments.RUNS_FILE).write_text(json.dumps(runs))
    assert segments.read_runs(ring) == known
    (ring / segments.RING_FILE).write_text(json.dumps({"ring_id": "00" * 16, "created_ns": float("inf")}))
    assert segments.read_identity(ring) is None


def test_truncated_files(ring: Path) -> None:
    refs = everything(ring)
    with refs[50].segment.path.open("r+b") as file:
        file.truncate(refs[50].offset + 5000)
    segments.list_segments(ring)[0].write_bytes(b"")
    assert reopen(ring) == [*range(34, 50), *range(68, 80)]


@pytest.mark.spec("R2")
def test_foreign_files_do_no_harm(ring: Path) -> None:
    (ring / "notes.txt").write_text("mine")
    (ring / "0000000000000bad.index").write_bytes(b"x" * 1000)
    (ring / "00000000000fffff.blocks").write_bytes(random.Random(1).randbytes(4 << 20))
    (ring / ".runs.json.partial").write_text("half")
    assert reopen(ring) == list(range(80))
    assert (ring / "notes.txt").exists()
    assert not (ring / ".runs.json.partial").exists()


@pytest.mark.spec("R2")
@pytest.mark.parametrize("seed", range(12))
def test_random_damage_never_stops_the_ring(ring: Path, seed: int) -> None:
    """Pages are zeroed or full of rubbish, files shortened, index bytes changed: as cuts and bad disks do."""
    rng = random.Random(seed)
    refs = everything(ring)
    hit = set()
    for _ in range(rng.randrange(1, 12)):
        number = rng.randrange(len(refs))
        page = rng.randrange(refs[number].length // 4096) * 4096
        cut(
            refs[number].segment.path,
            refs[number].offset + page,
            rng.choice([bytes(4096), rng.randbytes(4096)]),
        )
        hit.add(number)
    for file in ring.glob("*.index"):
        data = bytearray(file.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(data[: rng.randrange(len(data) + 1)])
    if rng.random() < 0.5:
        (ring / rng.choice([segments.RING_FILE, segments.RUNS_FILE])).write_text(json.dumps(rng.random()))
    found = set(reopen(ring))
    # Damage among a record's packets shows only when they are walked over; all others must be there.
    assert set(range(80)) - hit <= found <= set(range(80))
