import json
from pathlib import Path
from typing import Any

import pytest

from allegro.errors import Unavailable
from allegro.firmware.disk_table import (
    ALIGNMENT,
    MIN_DATA,
    Partition,
    needed_size,
    parse_table,
    plan,
    system_size,
    table_script,
)

MIB = 1 << 20
NAMES = ("bios-boot", "esp", "boot-state", "factory", "slot-a", "slot-b", "data")


def answer(names: tuple[str, ...] = NAMES, **changes: Any) -> str:
    """What `sfdisk --json` says of a disk with these partitions of 64 MiB each."""
    entries = [
        {"node": f"/dev/sda{n}", "start": 2048 + n * 131072, "size": 131072, "type": "AA-BB", "name": name}
        for n, name in enumerate(names)
    ]
    table = {"label": "gpt", "device": "/dev/sda", "sectorsize": 512, "partitions": entries, **changes}
    return json.dumps({"partitiontable": table})


def test_partitions_are_bytes() -> None:
    partitions = parse_table(answer())
    assert [partition.name for partition in partitions] == list(NAMES)
    assert partitions[1] == Partition("esp", "AA-BB", 65 * MIB, 64 * MIB)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        answer(names=("esp", "data")),
        answer(names=(*NAMES, "data")),
        answer(names=("data", *NAMES[:-1])),
        answer(label="dos"),
    ],
)
def test_a_foreign_table_is_refused(text: str) -> None:
    with pytest.raises(Unavailable):
        parse_table(text)


@pytest.mark.spec("I2")
def test_everything_keeps_its_place_and_data_grows_to_the_end() -> None:
    partitions = parse_table(answer())
    grown = plan(partitions, 4_000_787_030_016)
    assert grown[:-1] == partitions[:-1]
    data = grown[-1]
    assert data.start == partitions[-1].start
    assert data.start + data.size <= 4_000_787_030_016 - 33 * 512
    assert 4_000_787_030_016 - (data.start + data.size) < 2 * ALIGNMENT
    assert data.size % ALIGNMENT == 0


def test_the_smallest_disk_has_room_for_a_useful_data_partition() -> None:
    partitions = parse_table(answer())
    assert plan(partitions, needed_size(partitions))[-1].size == MIN_DATA


def test_the_script_has_no_ids() -> None:
    script = table_script(parse_table(answer()))
    assert 'start=133120, size=131072, type=AA-BB, name="esp"' in script
    assert "uuid" not in script
    assert "label-id" not in script


def test_the_size_of_a_system_is_read_from_its_file_system(tmp_path: Path) -> None:
    assert system_size(b"hsqs" + bytes(36) + (1234567).to_bytes(8, "little") + bytes(100)) == 1234567
    assert system_size(bytes(512)) == 0
    assert system_size(b"\xff" * 512) == 0
