import json
from dataclasses import asdict
from pathlib import Path

import pytest

from allegro.storage.disk_health import DiskHealth, present_disks, read
from allegro.storage.health_look import look
from allegro.storage.smart import Health

pytestmark = pytest.mark.spec("W5")

WELL = Health("good", "It says that it is well.", "SSD", 4)
FAILS = Health("failing", "It says that it fails: soon.", "Ultra Fit", 9)


def answer(**values: object) -> str:
    return json.dumps({"smartctl": {"exit_status": 0}, **values})


def test_all_are_asked_and_one_that_makes_no_sense_spoils_no_other() -> None:
    said = {
        "/dev/sda": answer(smart_status={"passed": True}, model_name="SSD"),
        "/dev/sdb": "no JSON",
        "/dev/sdc": "[]",
        "/dev/sdd": answer(smart_status=3),
        "/dev/sde": "",
    }
    present = {path.removeprefix("/dev/"): 4 for path in said}
    found = look(present, {}, said.__getitem__)
    assert found["sda"] == WELL
    others = {each.text for name, each in found.items() if name != "sda"}
    assert others == {"It could not be asked for its health."}


def test_of_one_that_sleeps_holds_what_it_said_before_but_not_what_another_one_did() -> None:
    standby = {"exit_status": 2, "messages": [{"string": "Device is in STANDBY mode, exit(2)"}]}
    asleep = json.dumps({"smartctl": standby})
    assert look({"sda": 4}, {"sda": WELL}, lambda _path: asleep) == {"sda": WELL}
    assert look({"sda": 5}, {"sda": WELL}, lambda _path: asleep)["sda"].state == "unknown"


def test_of_one_that_sleeps_and_has_not_said_anything_yet_that_is_told() -> None:
    standby = {"exit_status": 2, "messages": [{"string": "Device is in STANDBY mode, exit(2)"}]}
    (found,) = look({"sda": 4}, {}, lambda _path: json.dumps({"smartctl": standby})).values()
    assert (found.state, found.text, found.sequence) == ("unknown", "It sleeps, and was not asked.", 4)


@pytest.mark.parametrize("said", ["", "no JSON", '{"smartctl": {"exit_status": 2}}'])
def test_one_that_has_said_that_it_fails_is_not_well_because_it_falls_silent(said: str) -> None:
    assert look({"sdb": 9}, {"sdb": FAILS}, lambda _path: said) == {"sdb": FAILS}
    assert look({"sdb": 10}, {"sdb": FAILS}, lambda _path: said)["sdb"].state == "unknown"
    assert look({"sda": 4}, {"sda": WELL}, lambda _path: said)["sda"].state == "unknown"
    assert look({"sdb": 9}, {"sdb": FAILS}, lambda _path: answer(smart_status={"passed": True}))[
        "sdb"
    ] == Health("good", "It says that it is well.", sequence=9)


def test_disks_are_asked_when_one_comes_or_goes_and_each_hour(tmp_path: Path) -> None:
    asked: list[float] = []
    plugged_in = {"sda": 1}
    now = 1000.0
    health = DiskHealth(tmp_path / "health.json", lambda: dict(plugged_in), lambda: asked.append(now))
    for now in (1000.0, 1010.0, 4590.0, 4600.0, 4610.0):
        health.step(now)
    assert asked == [1000.0, 4600.0]
    plugged_in["sdb"] = 2
    for now in (4620.0, 4630.0):
        health.step(now)
    assert asked == [1000.0, 4600.0, 4620.0]


def test_what_was_written_down_is_told_of_the_same_disk_only(tmp_path: Path) -> None:
    file = tmp_path / "health.json"
    health = DiskHealth(file, dict, lambda: None)
    assert health.of("sda", 4).text == "It has not been asked for its health yet."
    file.write_text(json.dumps({"sda": asdict(WELL), "sdb": asdict(FAILS)}))
    assert health.of("sda", 4) == WELL
    assert health.of("sda", 5).state == "unknown"
    assert health.failing() == ["The disk /dev/sdb (Ultra Fit): It says that it fails: soon."]


@pytest.mark.parametrize("text", ["", "[]", '{"sda": 3}', '{"sda": {"colour": "red"}}'])
def test_what_cannot_be_read_is_as_if_nobody_had_asked(tmp_path: Path, text: str) -> None:
    file = tmp_path / "health.json"
    file.write_text(text)
    assert read(file) == {}
    assert DiskHealth(file, dict, lambda: None).failing() == []


def test_only_disks_are_asked(tmp_path: Path) -> None:
    for name in ("sda", "nvme0n1", "loop0", "zram0", "sr0", "dm-0", "md0"):
        (tmp_path / name).mkdir()
    (tmp_path / "sda/diskseq").write_text("7\n")
    assert present_disks(tmp_path) == {"nvme0n1": 0, "sda": 7}
