from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.firmware import disk_install
from allegro.firmware.disk_table import parse_table
from tests.unit.api.bench import Bench, make_bench
from tests.unit.firmware.test_disk_table import answer


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(disk_install, "read_table", lambda _disk: parse_table(answer()))
    monkeypatch.setattr(disk_install, "is_claimed", lambda _paths: False)
    made = make_bench(tmp_path)
    yield made
    made.jobs.close()


@pytest.mark.spec("I2")
def test_the_disks_are_shown(bench: Bench) -> None:
    shown = bench.get("/install")
    assert shown["offered"]
    assert shown["running_from"]["name"] == "sda"
    (disk,) = shown["disks"]
    assert (disk["name"], disk["holds"], disk["objections"]) == ("nvme0n1", ["old (ntfs)"], [])


@pytest.mark.spec("I2")
def test_without_confirmation_nothing_is_done(bench: Bench) -> None:
    error = bench.refused(422, "POST", "/install", {"disk": "nvme0n1", "confirm": "yes"})
    assert error["place"] == "confirm"
    assert bench.refused(422, "POST", "/install", {"disk": "nvme0n1"})["place"] == "confirm"
    assert bench.refused(404, "POST", "/install", {"disk": "sdz", "confirm": "sdz"})["place"] == "disk"
    assert bench.refused(409, "POST", "/install", {"disk": "sda", "confirm": "sda"})["place"] == "disk"
    exchanged = {"disk": "nvme0n1", "confirm": "nvme0n1", "sequence": 9}
    assert "Another disk" in bench.refused(409, "POST", "/install", exchanged)["message"]
    assert bench.get("/status")["actions"] == []


@pytest.mark.spec("I2")
def test_an_installation_is_an_action(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        disk_install, "install", lambda _source, _target, tell, _seen: tell("Copying slot-a.", 0.5)
    )
    answered = bench.call("POST", "/install", {"disk": "nvme0n1", "confirm": "nvme0n1"})
    assert answered.status_code == 202
    assert answered.json()["disk"]["path"] == "/dev/nvme0n1"
    assert bench.get("/status")["actions"][0]["name"] == "install"
