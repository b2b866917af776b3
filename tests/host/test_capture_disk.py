"""The disk for captures with a real file system, on a loop device in a mount namespace of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.qemu import REPOSITORY


def found_by(module: str, folder: Path) -> dict[str, Any]:
    inside = [sys.executable, "-m", f"tests.host.{module}", str(folder)]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", *inside],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return found_by("disks_inside", tmp_path_factory.mktemp("disk"))


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return found_by("sick_disk_inside", tmp_path_factory.mktemp("sick"))


pytestmark = [pytest.mark.spec("W5"), pytest.mark.timeout(120)]


def test_nothing_on_it_is_a_program_a_device_or_a_way_out(found: dict[str, Any]) -> None:
    assert {"nosuid", "nodev", "noexec", "nosymfollow", "noatime"} <= set(found["options"])
    assert found["link"] == "Too many levels of symbolic links"


def test_captures_move_there_and_it_is_removed_safely(found: dict[str, Any]) -> None:
    assert found["usable"]
    assert found["moved"]
    assert found["in use"] == "The disk is in use."
    assert (found["let go"], found["mounted"], found["clean"]) == ("", False, True)


def test_what_cannot_be_used_is_told_and_not_mounted(found: dict[str, Any]) -> None:
    assert found["write-protected"] == "It is write-protected."
    assert "damaged" in found["damaged"]
    assert not found["left mounted"]


@pytest.mark.parametrize("kind", ["exfat", "ext4"])
def test_a_disk_is_formatted_and_named(found: dict[str, Any], kind: str) -> None:
    made = found["formatted"][kind]
    title = {"exfat": "exFAT", "ext4": "ext4"}[kind]
    assert (made["state"], made["text"]) == ("done", f" is formatted with {title}, named Hall 3.")
    assert (made["made"], made["renamed"]) == (["Hall 3", kind], "Hall 4")
    assert not made["starts"]


def test_what_is_mounted_is_not_formatted_but_can_be_named(found: dict[str, Any]) -> None:
    made = found["formatted"]["ext4"]
    assert made["in use"]
    assert "something uses it" in made["refused"]
    assert made["used again"]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("full", "full cannot be moved to the disk that was chosen for captures: it is full."),
        (
            "without inodes",
            "inodes cannot be moved to the disk that was chosen for captures: it takes no further file,"
            " although it has space.",
        ),
        (
            "write-protected",
            "protected cannot be moved to the disk that was chosen for captures: it takes no writes, as it is"
            " write-protected or its file system has an error.",
        ),
        ("pulled", "Captures do not get to the disk that was chosen for them: It is not plugged in."),
    ],
)
def test_a_disk_that_takes_nothing_loses_nothing_and_gets_it_when_it_is_well(
    sick: dict[str, Any], how: str, told: str
) -> None:
    assert sick[how] == [told, True, True]


def test_what_was_pulled_in_the_middle_of_a_move_has_each_capture_once(sick: dict[str, Any]) -> None:
    assert sick["there"] == ["full", "inodes", "protected", "pulled"]
    assert sick["clean"]


def test_what_another_machine_has_changed_on_it_stands(sick: dict[str, Any]) -> None:
    """What was deleted there stays so, and what has the name of a capture is not overwritten."""
    assert sick["changed elsewhere"] == [True, True, ["inodes", "protected", "pulled"]]
