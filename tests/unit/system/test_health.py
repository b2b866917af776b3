from dataclasses import replace
from typing import Any

import pytest

from allegro.system.health import MIB, Facts, KeptFileProblem, RecentIncrease, full_reach_s
from allegro.system.problems import problems

HEALTHY = Facts(
    recorder_age_s=0.2,
    recorder_state="recording",
    ports=(("port1", True), ("port2", False)),
    storage_size=8192 * MIB,
    storage_free=4096 * MIB,
)


def seen(facts: Facts) -> list[str]:
    return [problem.id for problem in problems(facts)]


def test_a_healthy_device_has_no_problems() -> None:
    assert seen(HEALTHY) == []


@pytest.mark.parametrize(
    "otherwise",
    [
        {"memory_reason": "The disk does not take packets."},
        {"recorder_state": "no-ring"},
        {"recorder_age_s": None},
    ],
)
def test_that_the_ring_is_on_the_own_disk_is_said_only_where_it_is(otherwise: dict[str, Any]) -> None:
    (told,) = (
        each
        for each in problems(replace(HEALTHY, ring_disk="It is not plugged in.", **otherwise))
        if each.id == "ring-disk"
    )
    assert told.text == (
        "The packet ring buffer is not on the disk that was chosen for it: It is not plugged in."
    )
    assert "recorded" not in told.remedy


@pytest.mark.parametrize(
    ("facts", "expected", "says"),
    [
        (replace(HEALTHY, recorder_age_s=None), "recorder-silent", "not been heard of. Whether"),
        (
            replace(HEALTHY, recorder_age_s=12.3),
            "recorder-silent",
            "for 12 s. Whether packets are being recorded is not known.",
        ),
        (
            replace(HEALTHY, recorder_state="no-ring", recorder_message="No space left."),
            "no-ring",
            "No packets are being recorded: No space left.",
        ),
        (
            replace(HEALTHY, memory_reason="The disk does not take packets.", reach_back_s=75.0),
            "ring-in-memory",
            "the last 1 min 15 s are kept in memory only. The disk does not take packets.",
        ),
        (
            replace(HEALTHY, memory_reason="There is no disk.", data_problem="it is missing."),
            "data-unusable",
            "it is missing.",
        ),
        (
            replace(HEALTHY, network_taken_back="because nobody confirmed them in time"),
            "network-taken-back",
            "taken back because nobody confirmed",
        ),
        (replace(HEALTHY, network_waits_s=80.4), "network-waits", "taken back in 80 s"),
        (replace(HEALTHY, write_errors=3), "ring-write-errors", "refused 3 writes"),
        (replace(HEALTHY, write_waits_s=75.0), "ring-disk-stands", "has not answered for 1 min 15 s"),
        (
            replace(HEALTHY, window_s=60, full_reach_s=8.2),
            "ring-too-short",
            "with the traffic so far the full packet ring buffer reaches back 8 s",
        ),
        (replace(HEALTHY, ring_waits_for=1), "ring-waits", "its disk, when a capture accepted before"),
        (replace(HEALTHY, ring_waits_for=2), "ring-waits", "when 2 captures"),
        (replace(HEALTHY, recent_drops=7), "packets-lost", "7 packets were lost in the last 5 minutes"),
        (replace(HEALTHY, ports=()), "no-ports", "no measuring port"),
        (replace(HEALTHY, ports=(("port1", False),)), "no-link", "None of the measuring ports"),
        (replace(HEALTHY, storage_free=100 * MIB), "storage-full", "105 MB are free"),
        (
            replace(HEALTHY, ring_disk="It is not plugged in."),
            "ring-disk",
            "not on the one that was chosen for it: It is not plugged in.",
        ),
        (
            replace(HEALTHY, failing_disks=("The disk /dev/sdb: It fails.",)),
            "disk-fails",
            "/dev/sdb: It fails.",
        ),
        (replace(HEALTHY, capture_limit="The limit is reached."), "capture-limit", "limit is reached"),
        (replace(HEALTHY, storage_refuses="It takes no further file."), "storage-full", "no further file"),
        (replace(HEALTHY, storage_error="Input/output error"), "no-storage", "Input/output error"),
        (
            replace(HEALTHY, upload_failures=(("a.pcapng", "connection refused"),)),
            "uploads-fail",
            "a.pcapng could not be uploaded to the server: connection refused",
        ),
        (
            replace(HEALTHY, upload_failures=(("a.pcapng", "x"), ("b.pcapng", "y"))),
            "uploads-fail",
            "2 files",
        ),
        (
            replace(HEALTHY, settings_problem="The file is damaged."),
            "settings-damaged",
            "The file is damaged.",
        ),
        (
            replace(HEALTHY, settings_refused=("time.zone: Is no zone", "b: no", "c: no", "d: no")),
            "settings-refused",
            "time.zone: Is no zone; b: no; c: no (and 1 more)",
        ),
        (
            replace(HEALTHY, kept_files=(KeptFileProblem("port-names", "The list is gone.", False),)),
            "kept-port-names",
            "The list is gone.",
        ),
        (replace(HEALTHY, jobs_problem="The list was damaged."), "jobs-damaged", "The list was damaged."),
        (
            replace(HEALTHY, presenter_problems=(("R400", "busy"),)),
            "presenter",
            "presenter R400 cannot be read: busy",
        ),
        (
            replace(HEALTHY, data_problem="it is missing.", jobs_refused="There is no data partition."),
            "data-unusable",
            "The data partition cannot be used: it is missing.",
        ),
        (
            replace(HEALTHY, data_problem="it is missing.", storage_error="No such file or directory."),
            "data-unusable",
            "it is missing.",
        ),
        (
            replace(HEALTHY, jobs_refused="Its list cannot be opened."),
            "jobs-refused",
            "No captures can be made",
        ),
        (
            replace(HEALTHY, first_passwords=("page", "WiFi")),
            "first-passwords",
            "The first password of page and WiFi is in force",
        ),
        (replace(HEALTHY, failed_parts=(("USB presenter", "no evdev"),)), "part-usb-presenter", "no evdev"),
    ],
)
def test_a_problem_is_seen_alone_and_says_what_to_do(facts: Facts, expected: str, says: str) -> None:
    assert seen(facts) == [expected]
    (problem,) = problems(facts)
    assert says in problem.text
    assert problem.remedy


@pytest.mark.spec("R8")
@pytest.mark.parametrize(
    ("kept", "remedy"),
    [
        ({}, "No packets are recorded"),
        ({"memory_reason": "There is no disk."}, "The last 8 s are kept in memory only"),
        ({"ring_on_chosen_disk": True}, "Packets are recorded on the disk that was chosen"),
    ],
)
def test_without_a_data_partition_it_is_told_if_packets_are_kept(kept: dict[str, Any], remedy: str) -> None:
    (problem,) = problems(replace(HEALTHY, data_problem="it is missing.", reach_back_s=8.0, **kept))
    assert problem.remedy.startswith(remedy)


def test_settings_are_not_to_be_saved_where_nothing_can_be_saved() -> None:
    facts = replace(HEALTHY, data_problem="it is missing.", settings_problem="There is no settings file.")
    remedies = {problem.id: problem.remedy for problem in problems(facts)}
    assert remedies["settings-damaged"] == "See to the data partition first."


@pytest.mark.spec("S6")
@pytest.mark.parametrize(
    ("left", "remedy"),
    [(("page",), "Log in to the page"), (("WiFi",), "choose WiFi password in the menu")],
)
def test_first_passwords_say_where_new_ones_are_set(left: tuple[str, ...], remedy: str) -> None:
    (problem,) = problems(replace(HEALTHY, first_passwords=left))
    assert remedy in problem.remedy


def test_a_silent_recorder_hides_what_it_said_last() -> None:
    facts = replace(HEALTHY, recorder_age_s=60.0, recorder_state="no-ring", ports=())
    assert seen(facts) == ["recorder-silent"]


def test_a_starting_recorder_is_no_problem() -> None:
    assert seen(replace(HEALTHY, recorder_state="starting", ports=())) == []


@pytest.mark.spec("R6")
def test_a_ring_that_reaches_far_enough_or_is_nearly_empty_is_no_problem() -> None:
    assert seen(replace(HEALTHY, window_s=60, full_reach_s=60)) == []
    assert seen(replace(HEALTHY, window_s=60, full_reach_s=None)) == []
    assert full_reach_s(30, 512, 1024) == 60
    assert full_reach_s(30, 1024, 1024) == 30
    assert full_reach_s(0.1, 10, 1024) is None
    assert full_reach_s(0, 0, 0) is None


def test_a_small_disk_is_not_always_full() -> None:
    assert seen(replace(HEALTHY, storage_size=256 * MIB, storage_free=128 * MIB)) == []


def test_errors_come_before_warnings() -> None:
    facts = replace(HEALTHY, recent_drops=1, settings_problem="Damaged.")
    assert seen(facts) == ["settings-damaged", "packets-lost"]


@pytest.mark.spec("R5")
def test_recent_increase_forgets_what_is_older_than_the_window() -> None:
    recent = RecentIncrease(10.0)
    assert recent.update(0.0, 1000) == 0  # lost before anybody looked
    assert recent.update(1.0, 1005) == 5
    assert recent.update(2.0, 1005) == 5
    assert recent.update(9.0, 1007) == 7
    assert recent.update(11.5, 1007) == 2
    assert recent.update(30.0, 1007) == 0


def test_recent_increase_survives_a_restart_of_the_counter() -> None:
    recent = RecentIncrease(10.0)
    recent.update(0.0, 1000)
    assert recent.update(0.5, None) == 0
    assert recent.update(1.0, 3) == 3
    assert recent.update(2.0, 4) == 4
