import json
import subprocess
from pathlib import Path

import pytest

from tests.harness import powercut
from tests.harness.bench_errors import BenchError
from tests.harness.powercut import Cut, Result, Start

START = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk with a partition that holds a file system."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    table = f"label: gpt\nfirst-lba: 34\nstart={START // 512}, size=80000, name=data\n"
    subprocess.run(["sfdisk", "--quiet", path], input=table, text=True, check=True)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={START}", path, "40000k"], check=True)
    return path


def test_a_sound_file_system_is_sound(disk: Path) -> None:
    powercut.check_file_system(disk)


def test_a_damaged_file_system_is_found(disk: Path) -> None:
    content = bytearray(disk.read_bytes())
    content[START + 8192 : START + 262144] = bytes(253952)  # group descriptors, bitmaps, inodes
    disk.write_bytes(content)
    with pytest.raises(BenchError, match="e2fsck"):
        powercut.check_file_system(disk)


def test_a_partition_that_is_missing_is_told() -> None:
    table = json.dumps({"partitiontable": {"partitions": [{"name": "esp", "start": 34}, {"start": 99}]}})
    assert powercut.partition_start(table, "esp") == 34 * 512
    with pytest.raises(BenchError, match="no partition data"):
        powercut.partition_start(table, "data")


def test_the_summary_counts_outcomes_and_failures() -> None:
    cut = Cut(1, 2, 0, "all")
    result = Result("settings write", 1, disks=4)
    result.starts = [
        Start(cuts, outcome, 60.0 + len(cuts))
        for cuts, outcome in (((cut,), "old"), ((cut, cut), "new"), ((cut,), "new"))
    ]
    result.failures = [f"{cut}: the settings are of no write"]
    assert powercut.summary([result]).splitlines()[2:] == [
        "| settings write | 5 | 4 | 3 new, 1 old | 1 | 62 s |"
    ]
