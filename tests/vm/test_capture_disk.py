"""A stick for captures: plugged in, chosen, pulled, plugged in again, removed safely, formatted.

And a disk for the packet ring beside it.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Lab
from tests.harness.captures import check
from tests.harness.frames import udp_frame
from tests.harness.waiting import wait_for

ID = "0d15c0de-0000-4000-8000-00000000a11e"
SIZE = 256 << 20


def plug(lab: Lab, image: Path, number: int, name: str = "stick", port: str = "4") -> None:
    node = f"{name}{number}"
    file = {"driver": "file", "filename": str(image)}
    lab.machine.qmp("blockdev-add", **{"driver": "raw", "node-name": node, "file": file})
    lab.machine.add_device("usb-storage", name, drive=node, removable=True, bus="usb.0", port=port)


def where(lab: Lab, name: str) -> list[str]:
    """For a moment, until the disk says that it is safe there, it is at both places."""
    return [file["directory"] for file in lab.device.get("/files") if file["name"] == name]


def problems(lab: Lab) -> list[str]:
    return [problem["id"] for problem in lab.device.status()["problems"]]


def captured(lab: Lab, before_s: int = 1) -> str:
    job = lab.device.wait_job(lab.device.trigger(before_s=before_s)["id"])
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


RING_ID = "0d15c0de-0000-4000-8000-0000000021d9"
ON_DISK, ON_DEVICE = "/run/allegro/ring-disk/allegro-ring", "/data/ring"


def has_ring_at(lab: Lab, place: str) -> bool:
    said = json.loads(lab.machine.run("cat /run/allegro/recorder/status.json").stdout)
    return (said["state"], said["ring_directory"]) == ("recording", place)


def pid_of(lab: Lab, unit: str) -> str:
    return lab.machine.run(f"systemctl show --value -P MainPID allegro-{unit}").stdout.strip()


def frames_of_capture(lab: Lab, folder: Path) -> list[bytes]:
    """Of a capture of the last five minutes, when it has come to the stick."""
    name = captured(lab, before_s=300)
    wait_for(lambda: where(lab, name) == ["disk"], "the capture on the stick", 30)
    path = folder / name
    path.write_bytes(
        lab.machine.pull(f"/proc/{pid_of(lab, 'supervisor')}/root/run/allegro/disk/allegro/{name}")
    )
    return [packet.data for packet in check(path).packets]


@pytest.mark.spec("W5", "R2", "R5")
def test_the_ring_is_on_a_disk_until_that_is_pulled_and_captures_go_to_a_stick(
    lab: Lab, tmp_path: Path
) -> None:
    device, images = lab.device, {"stick": (ID, "4"), "ringdisk": (RING_ID, "5")}
    for name, (uuid, port) in images.items():
        image = tmp_path / f"{name}.img"
        with image.open("wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-E", "root_owner=0:0", "-U", uuid, str(image)], check=True)
        plug(lab, image, 1, name, port)

    def offered() -> bool:
        volumes = device.get("/disks")["volumes"]
        return {each["uuid"] for each in volumes if not each["ring_objection"]} == {ID, RING_ID}

    wait_for(offered, "both disks in the list", 30)
    assert device.api("PUT", "/disks/chosen", {"uuid": ID})["used"]
    device.api("PUT", "/disks/ring", {"uuid": RING_ID, "size_mib": 64})
    wait_for(lambda: has_ring_at(lab, ON_DISK), "the ring on the disk", 30)
    assert device.get("/disks")["ring"]["used"]
    recorder = pid_of(lab, "recorder")
    mounts = lab.machine.run(f"cat /proc/{recorder}/mounts").stdout
    options = [line.split()[3] for line in mounts.splitlines() if line.split()[1] == "/run/allegro/ring-disk"]
    assert {"rw", "nosuid", "nodev", "noexec", "nosymfollow"} <= set(options[-1].split(","))
    on_disk, on_device, again = (udp_frame(number, series=7) for number in range(3))
    lab.ports[0].send(on_disk)
    lab.ports[1].wait_frames([on_disk])
    assert frames_of_capture(lab, tmp_path) == [on_disk]

    lab.machine.remove_device("ringdisk")
    wait_for(lambda: has_ring_at(lab, ON_DEVICE), "the ring on the device", 60)
    wait_for(lambda: "ring-disk" in problems(lab), "the pulled disk in the problems", 30)
    lab.ports[0].send(on_device)
    lab.ports[1].wait_frames([on_device])
    assert frames_of_capture(lab, tmp_path) == [on_device]

    plug(lab, tmp_path / "ringdisk.img", 2, "ringdisk", "5")
    wait_for(lambda: has_ring_at(lab, ON_DISK), "the ring on the disk again", 60)
    wait_for(lambda: "ring-disk" not in problems(lab), "no word of the disk in the problems", 30)
    lab.ports[0].send(again)
    lab.ports[1].wait_frames([again])
    assert frames_of_capture(lab, tmp_path) == [on_disk, again]

    device.api("POST", "/disks/ring/remove")
    assert has_ring_at(lab, ON_DEVICE)
    lab.machine.remove_device("ringdisk")
    checked = subprocess.run(
        ["e2fsck", "-fn", str(tmp_path / "ringdisk.img")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    assert pid_of(lab, "recorder") == recorder
    assert "Traceback" not in lab.machine.run("journalctl -b -u 'allegro-*' --no-pager").stdout
