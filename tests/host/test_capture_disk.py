"""The disk for captures with a real file system, on a loop device in a mount namespace of its own."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.harness.qemu import REPOSITORY


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    inside = [sys.executable, "-m", "tests.host.disks_inside", str(tmp_path_factory.mktemp("disk"))]
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
