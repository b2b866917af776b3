"""Answers as smartctl(8) 7.4 gives them, cut to what is read."""

import json
from typing import Any

import pytest

from allegro.storage.smart import Health, command, heard, sleeps

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


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_what_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        heard(text)
