"""The disk for captures by the API."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.api.bench import Bench, make_bench

STICK = "5f3a-stick"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    yield made
    made.jobs.close()


@pytest.mark.spec("W5")
def test_a_disk_is_chosen_removed_and_given_up(bench: Bench) -> None:
    before = bench.get("/disks")
    assert (before["chosen"], before["used"], before["reason"]) == ("", False, "")
    assert [(each["uuid"], bool(each["objection"])) for each in before["volumes"]] == [
        ("0b1c-ssd", True),
        (STICK, False),
    ]
    chosen = bench.call("PUT", "/disks/chosen", {"uuid": STICK}).json()
    assert (chosen["chosen"], chosen["used"]) == (STICK, True)
    assert chosen["free"] > 0
    assert bench.get("/settings/storage")["device"] == STICK
    (bench.paths.disk / "allegro/a.pcapng").write_bytes(b"packets")
    assert [(file["name"], file["directory"]) for file in bench.get("/files")] == [("a.pcapng", "disk")]
    assert bench.call("GET", "/files/a.pcapng").content == b"packets"
    assert bench.call("PATCH", "/files/a.pcapng", {"name": "b.pcapng"}).json()["directory"] == "disk"
    assert (
        "another disk" in bench.refused(409, "PATCH", "/files/b.pcapng", {"directory": "upload"})["message"]
    )
    removed = bench.call("POST", "/disks/remove").json()
    assert (removed["chosen"], removed["used"], removed["free"]) == (STICK, False, None)
    assert "pulled" in removed["reason"]
    bench.refused(409, "POST", "/disks/remove")
    assert bench.call("PUT", "/disks/chosen", {"uuid": ""}).json()["chosen"] == ""
    assert [event["text"] for event in bench.get("/events")["events"]] == [
        "Chose no disk for captures",
        "Let the disk for captures go",
        "Renamed a.pcapng to b.pcapng",
        "Downloaded a.pcapng",
        f"Chose the disk {STICK} for captures",
    ]


@pytest.mark.spec("W5")
def test_a_disk_that_cannot_be_used_is_refused_with_the_reason(bench: Bench) -> None:
    assert "ntfs" in bench.refused(409, "PUT", "/disks/chosen", {"uuid": "0b1c-ssd"})["message"]
    assert "no disk" in bench.refused(404, "PUT", "/disks/chosen", {"uuid": "x"})["message"]
    assert bench.refused(422, "PUT", "/disks/chosen", {"uuid": "../x"})["place"] == "uuid"
    assert bench.get("/settings/storage")["device"] == ""
