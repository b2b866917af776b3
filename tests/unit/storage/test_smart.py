"""Answers as smartctl(8) 7.4 gives them, cut to what is read."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from allegro.storage.disk_health import DiskHealth
from allegro.storage.health_look import look
from allegro.storage.smart import Health, command, heard, sleeps
from allegro.system.health import Facts
from allegro.system.storage_problems import disks_fail

pytestmark = pytest.mark.spec("W5")


def said(exit_status: int = 0, messages: tuple[str, ...] = (), **values: Any) -> str:
    told = [{"string": each, "severity": "information"} for each in messages]
    return json.dumps({"smartctl": {"exit_status": exit_status, "messages": told}, **values})


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ({"smart_status": {"passed": True}, "model_name": "SSD 1"}, "good", "It says that it is well."),
        ({"smart_status": {"passed": False}}, "failing", "It says that it fails: soon"),
        (
            {
                "smart_status": {"passed": True, "nvme": {"value": 0}},
                "nvme_smart_health_information_log": {"percentage_used": 7},
            },
            "good",
            "well; 7 % of its life is used",
        ),
        (
            {"smart_status": {"passed": True}, "endurance_used": {"current_percent": 120}},
            "good",
            "120 % of its life",
        ),
        (
            {"smart_status": {"passed": False, "nvme": {"value": 0b1001}}},
            "failing",
            "fails: its spare blocks are used up, it takes no more data.",
        ),
        ({"smart_status": {"passed": False, "nvme": {"value": 0b0010}}}, "good", "well"),
        (
            {
                "smart_status": {
                    "passed": False,
                    "scsi": {"ie_string": "HARDWARE IMPENDING FAILURE"},
                }
            },
            "failing",
            "fails: hardware impending failure.",
        ),
        ({}, "unknown", "It tells nothing about its health."),
        ({"smart_status": {}}, "unknown", "It tells nothing about its health."),
    ],
)
def test_what_a_disk_says_is_told_in_plain_words(answer: dict[str, Any], state: str, words: str) -> None:
    health = heard(said(**answer), 5)
    assert health.state == state
    assert words in health.text
    assert (health.model, health.sequence) == (answer.get("model_name", ""), 5)


def test_one_without_smart_says_nothing_and_not_that_it_is_well() -> None:
    answer = said(1, ("/dev/sdb: Unknown USB bridge [0x46f4:0x0001]",))
    assert heard(answer) == Health("unknown", "It tells nothing about its health.")
    assert not sleeps(answer)


def test_one_that_sleeps_is_known_and_was_not_woken() -> None:
    assert sleeps(said(2, ("Device is in STANDBY mode, exit(2)",)))
    assert not sleeps(said(2, ("Smartctl open device: /dev/sdb failed: No such device",)))
    assert "--nocheck=standby" in command("/dev/sdb")


def attribute(number: int, name: str, value: int, limit: int, *, prefailure: bool) -> dict[str, Any]:
    """As in `ata_smart_attributes.table` of smartctl(8) 7.4."""
    return {
        "id": number,
        "name": name,
        "value": value,
        "worst": value,
        "thresh": limit,
        "when_failed": "now" if value <= limit else "",
        "flags": {"value": 51 if prefailure else 50, "string": "PO--CK ", "prefailure": prefailure},
        "raw": {"value": 3816, "string": "3816"},
    }


ATA: dict[str, Any] = {
    "device": {"name": "/dev/sda", "info_name": "/dev/sda [SAT]", "type": "sat", "protocol": "ATA"},
    "model_name": "Disk of the workshop",
    "smart_support": {"available": True, "enabled": True},
}
WORN = [
    attribute(1, "Raw_Read_Error_Rate", 114, 6, prefailure=True),
    attribute(5, "Reallocated_Sector_Ct", 1, 36, prefailure=True),
    attribute(190, "Airflow_Temperature_Cel", 40, 45, prefailure=False),
]


@pytest.mark.parametrize(
    ("exit_status", "answer", "words"),
    [
        (
            24,  # bits 3 and 4 of smartctl(8), "EXIT STATUS"
            {**ATA, "smart_status": {"passed": False}, "ata_smart_attributes": {"table": WORN}},
            "It says that it fails: its counts have come to their limits (SMART: Reallocated Sector Ct).",
        ),
        (
            16,
            {**ATA, "smart_status": {"passed": True}, "ata_smart_attributes": {"table": WORN}},
            "does not say so: its counts have come to their limits (SMART: Reallocated Sector Ct).",
        ),
        (
            8,
            {
                "device": {"name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe"},
                "model_name": "Module of the workshop",
                "smart_status": {"passed": False, "nvme": {"value": 4}},
                "nvme_smart_health_information_log": {
                    "critical_warning": 4,
                    "available_spare": 100,
                    "available_spare_threshold": 10,
                    "percentage_used": 103,
                    "media_errors": 417,
                },
            },
            "It says that it fails: it has become unreliable.",
        ),
        (
            8,
            {
                "device": {"name": "/dev/sdb", "type": "scsi", "protocol": "SCSI"},
                "scsi_model_name": "MAKER DISK",
                "smart_status": {
                    "passed": False,
                    "scsi": {
                        "asc": 0x5D,
                        "ascq": 0x10,
                        "ie_string": "HARDWARE IMPENDING FAILURE GENERAL HARD DRIVE FAILURE",
                    },
                },
            },
            "It says that it fails: hardware impending failure general hard drive failure.",
        ),
    ],
)
def test_a_failing_disk_becomes_a_problem_with_a_remedy(
    tmp_path: Path, exit_status: int, answer: dict[str, Any], words: str
) -> None:
    """From what smartctl says in full to what stands on the dashboard."""
    found = look({"sda": 3}, {}, lambda _path: said(exit_status, **answer))
    file = tmp_path / "health"
    file.write_text(json.dumps({name: asdict(each) for name, each in found.items()}))
    (sentence,) = DiskHealth(file, dict).failing()
    assert sentence.endswith(words)
    (problem,) = disks_fail(Facts(failing_disks=(sentence,)))
    assert (problem.id, problem.severity, problem.text) == ("disk-fails", "error", sentence)
    assert "replace it" in problem.remedy


def test_an_attribute_that_tells_of_age_or_of_the_past_is_no_failure() -> None:
    past = {**attribute(5, "Reallocated_Sector_Ct", 40, 36, prefailure=True), "when_failed": "past"}
    answer = {**ATA, "smart_status": {"passed": True}, "ata_smart_attributes": {"table": [past, WORN[2]]}}
    assert heard(said(**answer)).state == "good"


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_what_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        heard(text)
