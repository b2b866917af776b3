"""A stick for captures: plugged in, chosen, pulled, plugged in again, removed safely, formatted."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Lab
from tests.harness.waiting import wait_for

ID = "0d15c0de-0000-4000-8000-00000000a11e"
SIZE = 256 << 20


def plug(lab: Lab, image: Path, number: int) -> None:
    node = f"stick{number}"
    file = {"driver": "file", "filename": str(image)}
    lab.machine.qmp("blockdev-add", **{"driver": "raw", "node-name": node, "file": file})
    lab.machine.add_device("usb-storage", "stick", drive=node, removable=True, bus="usb.0", port="4")


def where(lab: Lab, name: str) -> list[str]:
    """For a moment, until the disk says that it is safe there, it is at both places."""
    return [file["directory"] for file in lab.device.get("/files") if file["name"] == name]


def problems(lab: Lab) -> list[str]:
    return [problem["id"] for problem in lab.device.status()["problems"]]


def captured(lab: Lab) -> str:
    job = lab.device.wait_job(lab.device.trigger(before_s=1)["id"])
    assert job["state"] == "complete"
    name: str = job["file"]
    return name


def format_as_exfat(lab: Lab) -> None:
    """Has the stick formatted by the device, and chosen for captures."""
    device = lab.device

    def offered() -> dict[str, Any]:
        disks = device.get("/disks")["disks"]
        return next((disk for disk in disks if disk["holds"] and not disk["objections"]), {})

    def ended() -> str:
        actions = device.status()["actions"]
        state = next(each["state"] for each in actions if each["name"] == "format")
        return "" if state == "running" else state

    def made() -> str:
        volumes = [each for each in device.get("/disks")["volumes"] if not each["objection"]]
        return next((each["uuid"] for each in volumes if each["label"] == "TRAVEL"), "")

    disk = wait_for(offered, "the stick among those that can be formatted", 30)
    order = {"disk": disk["name"], "confirm": disk["name"], "sequence": disk["sequence"], "label": "TRAVEL"}
    device.api("POST", "/disks/format", order)
    assert wait_for(ended, "the end of formatting", 60) == "done", device.status()["actions"]
    uuid = wait_for(made, "the new file system", 30)
    assert device.api("PUT", "/disks/chosen", {"uuid": uuid})["used"]


@pytest.mark.spec("W5", "R2")
def test_captures_go_to_a_stick_until_it_is_pulled(lab: Lab, tmp_path: Path) -> None:
    image, partition = tmp_path / "stick.img", tmp_path / "partition.img"
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-U", ID, str(image)], check=True)
    plug(lab, image, 1)
    device = lab.device

    def offered() -> bool:
        return [each["uuid"] for each in device.get("/disks")["volumes"] if not each["objection"]] == [ID]

    wait_for(offered, "the stick in the list", 30)
    assert device.api("PUT", "/disks/chosen", {"uuid": ID})["used"]
    mounts = lab.machine.run(
        "cat /proc/$(systemctl show --value -P MainPID allegro-supervisor)/mounts"
    ).stdout
    (options,) = [line.split()[3] for line in mounts.splitlines() if line.split()[1] == "/run/allegro/disk"]
    assert {"nosuid", "nodev", "noexec", "nosymfollow"} <= set(options.split(","))
    first = captured(lab)
    wait_for(lambda: where(lab, first) == ["disk"], "the capture on the stick", 30)

    lab.machine.remove_device("stick")
    wait_for(lambda: "capture-disk" in problems(lab), "the pulled stick in the problems", 30)
    assert not device.get("/disks")["used"]
    second = captured(lab)
    assert (where(lab, first), where(lab, second)) == ([], ["storage"])

    plug(lab, image, 2)
    both = [["disk"], ["disk"]]
    wait_for(lambda: [where(lab, first), where(lab, second)] == both, "both captures on the stick", 30)
    assert "capture-disk" not in problems(lab)
    device.api("POST", "/disks/remove")
    lab.machine.remove_device("stick")
    checked = subprocess.run(["e2fsck", "-fn", str(image)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout

    device.api("PUT", "/disks/chosen", {"uuid": ""})  # else it is used again
    plug(lab, image, 3)
    format_as_exfat(lab)
    third = captured(lab)
    wait_for(lambda: where(lab, third) == ["disk"], "the capture on the formatted stick", 30)
    device.api("POST", "/disks/remove")
    lab.machine.remove_device("stick")
    partition.write_bytes(image.read_bytes()[1 << 20 :])
    checked = subprocess.run(
        ["fsck.exfat", "-n", str(partition)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    assert "Traceback" not in lab.machine.run("journalctl -b -u allegro-supervisor --no-pager").stdout
