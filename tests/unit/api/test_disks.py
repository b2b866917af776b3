"""The disk for captures by the API."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.storage.disks import Disk
from tests.harness.waiting import wait_for
from tests.unit.api.bench import Bench, make_bench
from tests.unit.storage.playing_disks import FOR_THE_RING, VOLUMES

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


@pytest.mark.spec("W5")
def test_a_disk_is_formatted_only_when_it_is_confirmed_and_told_who_wanted_it(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "sdb"
    path.write_bytes(b"")  # no device: it gets as far as the partition table
    disk = Disk("sdb", str(path), 32 * 10**9, model="Ultra Fit", holds=("old (ntfs)",))
    bench.disks.append(disk)
    (shown,) = bench.get("/disks")["disks"]
    assert (shown["name"], shown["holds"], shown["objections"]) == ("sdb", ["old (ntfs)"], [])
    order = {"disk": "sdb", "confirm": "sdb", "kind": "exfat", "label": "STICK", "sequence": 0}
    assert bench.refused(422, "POST", "/disks/format", {**order, "confirm": "sda"})["place"] == "confirm"
    assert bench.refused(422, "POST", "/disks/format", {**order, "kind": "ntfs"})["place"] == "kind"
    assert "Another disk" in bench.refused(409, "POST", "/disks/format", {**order, "sequence": 5})["message"]
    assert "runs from" in bench.refused(409, "POST", "/disks/format", {**order, "disk": "sda"})["message"]
    path.unlink()
    assert "does not answer" in bench.refused(409, "POST", "/disks/format", order)["message"]
    assert bench.get("/events")["events"] == []
    path.write_bytes(b"")
    assert bench.call("POST", "/disks/format", order).json()["disk"]["name"] == "sdb"
    wait_for(lambda: bench.get("/status")["actions"][0]["state"] == "failed", "the end", 20)
    wait_for(lambda: len(bench.get("/events")["events"]) == 2, "both events", 20)
    texts = [event["text"] for event in reversed(bench.get("/events")["events"])]
    assert {event["who"] for event in bench.get("/events")["events"]} == {"root"}
    assert any("formatted with exFAT, named STICK, on which was old (ntfs)" in text for text in texts)
    assert any("could not be formatted" in text for text in texts)


@pytest.mark.spec("W5")
def test_a_file_system_that_is_not_there_gets_no_name(bench: Bench) -> None:
    assert bench.refused(404, "PUT", "/disks/label", {"uuid": "x", "label": "A"})["place"] == "uuid"
    assert (
        "11 letters"
        in bench.refused(422, "PUT", "/disks/label", {"uuid": STICK, "label": "x" * 12})["message"]
    )


@pytest.mark.spec("W5")
def test_each_disk_tells_how_it_is_also_the_one_that_the_device_runs_from(bench: Bench) -> None:
    bench.disks += [Disk("sda", "/dev/sda", 8 * 10**9), Disk("sdb", "/dev/sdb", 32 * 10**9)]
    answer = bench.get("/disks")
    assert answer["running_from"]["health"]["text"] == "It has not been asked for its health yet."
    assert [each["name"] for each in answer["disks"]] == ["sdb"]
    fails = {"state": "failing", "text": "It says that it fails: soon.", "model": "", "sequence": 0}
    bench.paths.disk_health.write_text(json.dumps({"sdb": fails}))
    (shown,) = bench.get("/disks")["disks"]
    assert shown["health"] == {"state": "failing", "text": "It says that it fails: soon."}


@pytest.mark.spec("W5")
def test_a_disk_with_a_task_is_remembered_while_it_is_not_plugged_in(bench: Bench) -> None:
    assert bench.get("/disks")["known"] == []
    (known,) = bench.call("PUT", "/disks/chosen", {"uuid": STICK}).json()["known"]
    assert (known["label"], known["tasks"], known["plugged_in"]) == ("ALLEGRO", ["captures"], True)
    assert "task" in bench.refused(409, "DELETE", f"/disks/known/{STICK}")["message"]
    bench.plugged_in.clear()
    (known,) = bench.get("/disks")["known"]
    assert (known["plugged_in"], known["gone_since"][:4]) == (False, "2026")
    bench.call("PUT", "/disks/chosen", {"uuid": ""})
    assert bench.call("DELETE", f"/disks/known/{STICK}").json()["known"] == []
    assert bench.refused(404, "DELETE", f"/disks/known/{STICK}")["place"] == "uuid"
    assert bench.get("/events")["events"][0]["text"] == "Forgot the disk ALLEGRO"


@pytest.mark.spec("W5", "R2")
def test_the_ring_goes_to_a_disk_and_comes_back(bench: Bench) -> None:
    bench.volumes = [*VOLUMES, FOR_THE_RING]
    bench.plugged_in.add(FOR_THE_RING.uuid)
    before = bench.get("/disks")
    assert before["ring"] == {"chosen": "", "used": False, "size_mib": 1024, "reason": ""}
    assert [(each["uuid"], bool(each["ring_objection"])) for each in before["volumes"]] == [
        ("0b1c-ssd", True),
        (STICK, True),
        (FOR_THE_RING.uuid, False),
    ]
    order = {"uuid": FOR_THE_RING.uuid, "size_mib": 512}
    chosen = bench.call("PUT", "/disks/ring", order).json()
    assert (chosen["ring"]["chosen"], chosen["ring"]["used"]) == (FOR_THE_RING.uuid, True)
    assert [(each["uuid"], each["tasks"]) for each in chosen["known"]] == [(FOR_THE_RING.uuid, ["ring"])]
    assert bench.get("/settings/recording")["ring_disk_mib"] == 512
    assert "ext4" in bench.refused(409, "PUT", "/disks/ring", {"uuid": STICK})["message"]
    assert bench.refused(422, "PUT", "/disks/ring", {**order, "size_mib": 5})["place"] == "size_mib"
    removed = bench.call("POST", "/disks/ring/remove").json()
    assert (removed["ring"]["used"], removed["ring"]["reason"]) == (False, "It can be pulled.")
    bench.refused(409, "POST", "/disks/ring/remove")
    assert bench.call("PUT", "/disks/ring", {"uuid": ""}).json()["ring"]["chosen"] == ""
    assert [event["text"] for event in bench.get("/events")["events"]] == [
        "Chose no disk for the packet ring buffer",
        "Let the disk for the packet ring buffer go",
        f"Chose the disk {FOR_THE_RING.uuid} for the packet ring buffer",
    ]
