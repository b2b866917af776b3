"""The log is made by QEMU itself (qemu-io), so that its format is what QEMU writes."""

import itertools
import json
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness import write_log
from tests.harness.bench_errors import BenchError
from tests.harness.write_log import SECTOR, Entry, Replay, remains

KIB = 1024
COMMANDS = """\
write -P 1 0 4k
write -P 2 8k 64k
flush
write -P 3 0 4k
write -P 4 128k 4k
flush
write -P 5 0 4k
write -z 8k 4k
discard 128k 4k
"""
FLUSH = Entry(0, 0, write_log.FLUSH, 0)


def write(offset: int = 0) -> Entry:
    return Entry(offset, 4 * KIB, 0, 0)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `log`, what was written to a disk of 1 MiB."""
    folder = tmp_path_factory.mktemp("log")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", folder / "disk.qcow2", "1M"], check=True)
    node = write_log.blockdev(folder / "disk.qcow2", folder / "log")
    del node["node-name"]
    done = subprocess.run(
        ["qemu-io", f"json:{json.dumps(node)}"], input=COMMANDS, capture_output=True, text=True, check=True
    )
    assert "error" not in done.stdout + done.stderr
    return folder


def copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def test_reads_what_qemu_writes(logged: Path) -> None:
    entries = write_log.read(logged / "log")
    written = [(entry.offset, entry.length) for entry in entries if entry.writes]
    assert written == [
        *((0, 4 * KIB), (8 * KIB, 64 * KIB)),
        *((0, 4 * KIB), (128 * KIB, 4 * KIB)),
        *((0, 4 * KIB), (8 * KIB, 4 * KIB)),
    ]
    (discarded,) = [entry for entry in entries if entry.flags & write_log.DISCARD]
    assert (discarded.offset, discarded.length) == (128 * KIB, 4 * KIB)
    assert not discarded.writes
    assert sum(entry.flushes for entry in entries) >= 2


def test_an_empty_log_has_no_entries_and_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"")
    assert write_log.read(tmp_path / "log") == []
    (tmp_path / "log").write_bytes(b"something else " * 100)
    with pytest.raises(BenchError, match="no log"):
        write_log.read(tmp_path / "log")


def number_of_write(entries: Sequence[Entry], count: int) -> int:
    """How many entries there are up to and with the write `count` (from 1)."""
    seen = 0
    for number, entry in enumerate(entries, 1):
        seen += entry.writes
        if seen == count:
            return number
    raise AssertionError


@pytest.mark.parametrize(
    ("writes", "loss", "first", "second", "third"),
    [
        (1, "nothing", 1, 0, 0),
        (1, "all", 0, 0, 0),
        (2, "nothing", 1, 2, 0),
        (3, "all", 1, 2, 0),  # two writes were flushed
        (3, "nothing", 3, 2, 0),
        (5, "all", 3, 2, 4),
        (5, "nothing", 5, 2, 4),
        (6, "nothing", 5, 0, 4),  # zeros were written
    ],
)
def test_a_cut_leaves_what_was_flushed_and_of_the_rest_what_was_lucky(
    logged: Path, tmp_path: Path, writes: int, loss: write_log.Loss, first: int, second: int, third: int
) -> None:
    (tmp_path / "base").write_bytes(bytes(1 << 20))
    replay = Replay(tmp_path / "base", logged / "log", copy)
    cut = number_of_write(list(replay.entries), writes)
    replay.leave(remains(replay.entries, cut, loss, random.Random(1)), tmp_path / "cut")
    disk = (tmp_path / "cut").read_bytes()
    assert (disk[0], disk[8 * KIB], disk[128 * KIB]) == (first, second, third)
    assert len(disk) == 1 << 20


def test_disks_made_one_after_the_other_do_not_disturb_each_other(logged: Path, tmp_path: Path) -> None:
    (tmp_path / "base").write_bytes(bytes(1 << 20))
    replay = Replay(tmp_path / "base", logged / "log", copy)
    left: dict[tuple[int, write_log.Loss], write_log.Remains] = {
        (writes, loss): remains(
            replay.entries, number_of_write(replay.entries, writes), loss, random.Random(1)
        )
        for writes in (1, 3, 5)
        for loss in ("nothing", "all")
    }
    first = {}
    for (writes, loss), each in sorted(left.items(), key=lambda item: item[1].whole):
        replay.leave(each, tmp_path / "disk")
        first[writes, loss] = (tmp_path / "disk").read_bytes()[0]
    assert [first[writes, "nothing"] for writes in (1, 3, 5)] == [1, 3, 5]
    assert [first[writes, "all"] for writes in (1, 3, 5)] == [0, 1, 3]
    with pytest.raises(BenchError, match="in order"):
        replay.leave(left[1, "all"], tmp_path / "disk")


def test_cuts_that_leave_the_same_disk_are_told_from_those_that_do_not() -> None:
    entries = [write(), FLUSH, write(), write(), FLUSH, write()]
    dice = random.Random(1)
    at_flush = remains(entries, 2, "nothing", dice)
    assert at_flush == write_log.Remains(1, ())
    assert remains(entries, 4, "all", dice) == at_flush
    assert remains(entries, 4, "nothing", dice) == remains(entries, 5, "all", dice) != at_flush
    some = {remains(entries, 4, "some", dice) for _ in range(200)}
    assert at_flush in some
    assert write_log.Remains(4, ()) in some
    assert any(each.whole == 1 and [number for number, *_ in each.pieces] == [3] for each in some)
    assert len({remains(entries, 6, "some", dice) for _ in range(200)} & some) == 1


def test_lost_writes_are_kept_torn_or_gone_by_whole_sectors() -> None:
    dice = random.Random(7)
    seen = {tuple(write_log.pieces(8 * SECTOR, "some", dice)) for _ in range(500)}
    assert () in seen
    assert ((0, 8 * SECTOR),) in seen
    torn = {pieces[0] for pieces in seen if pieces and pieces[0][1] < 8 * SECTOR}
    assert torn
    assert all(offset == 0 and length % SECTOR == 0 and length > 0 for offset, length in torn)
    assert {tuple(write_log.pieces(SECTOR, "some", dice)) for _ in range(200)} == {(), ((0, SECTOR),)}


def test_safe_is_what_came_before_the_last_flush() -> None:
    entries = [write(), FLUSH, write(), write(), FLUSH, write()]
    assert [write_log.safe_until(entries, cut) for cut in range(7)] == [0, 0, 2, 2, 2, 5, 5]


def test_moments_are_in_order_within_the_action_and_find_short_stretches() -> None:
    entries = [write()] * 10 + [write(), FLUSH] + [write()] * 1000 + [FLUSH, write(), FLUSH]
    chosen = write_log.moments(entries, 10, 60, random.Random(1))
    assert len(chosen) == 60
    assert chosen == sorted(chosen)
    assert min(chosen) > 10
    assert max(chosen) <= len(entries)
    assert chosen == write_log.moments(entries, 10, 60, random.Random(1))
    assert sum(moment <= 12 for moment in chosen) >= 3
    assert sum(moment >= 1013 for moment in chosen) >= 3
    copying = [moment for moment in chosen if 12 < moment < 1013]
    assert max(b - a for a, b in itertools.pairwise(copying)) < 150
    with pytest.raises(BenchError, match="nothing was written"):
        write_log.moments(entries[:10], 10, 1, random.Random(1))
