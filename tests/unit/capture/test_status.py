from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.capture import status
from allegro.capture.status import PortStatus, RecorderStatus, RingStatus

FULL = RecorderStatus(
    time_ns=5,
    pid=6,
    run_id=7,
    state=status.RECORDING,
    message="all is well",
    complete_through_ns=8,
    ring=RingStatus(directory="/data/ring", size=9, oldest_ns=10, newest_ns=None, records=11),
    ports=(PortStatus("port1", 1, True, 2, 3, 4, 5, 6, 7.5, 8.5), PortStatus("port2", 2)),
    reach_back_s=12.5,
)


@pytest.mark.spec("R6")
def test_what_is_written_is_read(tmp_path: Path) -> None:
    status.write(FULL, tmp_path / "status.json")
    assert status.from_json((tmp_path / "status.json").read_bytes()) == FULL


def test_other_versions_are_understood() -> None:
    value = json.loads(status.to_json(FULL))
    value["new"] = 1
    value["ports"][0]["new"] = 1
    value["ring"]["size"] = "large"
    value["reach_back_s"] = 3
    value["pid"] = True
    del value["message"]
    read = status.from_json(json.dumps(value).encode())
    assert read.ports == FULL.ports
    assert read.ring is not None
    assert (read.ring.size, read.ring.records, read.reach_back_s, read.pid, read.message) == (
        0,
        11,
        3.0,
        0,
        "",
    )


def test_reading_it_takes_few_calls_as_a_press_waits_for_that() -> None:
    """Counts, not seconds: to work out what kinds of values there are takes some thousand."""
    said = status.to_json(replace(FULL, ports=tuple(PortStatus(f"port{number}") for number in range(4))))
    status.from_json(said)
    calls: Counter[str] = Counter()
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, _: calls.update([event]))
    try:
        status.from_json(said)
    finally:
        sys.setprofile(before)
    assert calls["call"] < 300


def test_no_ring_is_none() -> None:
    assert status.from_json(status.to_json(RecorderStatus(state=status.NO_RING))).ring is None


@pytest.mark.spec("R8")
def test_the_ring_is_where_the_recorder_says(tmp_path: Path) -> None:
    said, usual = tmp_path / "status.json", Path("/data/ring")
    assert status.ring_in_force(said, usual) == usual
    status.write(replace(FULL, ring_directory="/run/ring"), said)
    assert status.ring_in_force(said, usual) == Path("/run/ring")
    status.write(FULL, said)
    assert status.ring_in_force(said, usual) == usual


@pytest.mark.parametrize("data", [b"", b"[]", b"{"])
def test_what_is_no_status(data: bytes) -> None:
    with pytest.raises(ValueError):
        status.from_json(data)
