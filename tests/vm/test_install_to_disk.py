"""A device started from a USB stick by UEFI installs itself on the empty internal disk, and starts there."""

import json
import subprocess
from pathlib import Path

import pytest

from board.allegro.image.layout import read_layout
from tests.conftest import REPORT, StartLab
from tests.harness.device import ApiRefusedError, Device
from tests.harness.qemu import REPOSITORY, Configuration, VirtualMachine, keep_diagnosis

INTERNAL_MIB = 6144
STORAGE = "storage"
MARK = "/data/storage/on-the-stick"


def disk_of(machine: VirtualMachine, path: str) -> str:
    """Name of the disk under the file system that is mounted at `path`, or under a block device."""
    device = path if path.startswith("/dev/") else machine.run(f"findmnt -no SOURCE {path}").stdout.strip()
    return machine.run(f"lsblk -ndo PKNAME $(readlink -f {device})").stdout.strip()


def by_serial(device: Device) -> dict[str, str]:
    """Names of the disks by their serial numbers."""
    answer = device.get("/install")
    return {each["serial"]: each["name"] for each in (*answer["disks"], answer["running_from"])}


@pytest.mark.spec("I1", "I2", "T3")
@pytest.mark.timeout(1800)
def test_stick_installs_on_the_internal_disk_which_then_starts(start_lab: StartLab, tmp_path: Path) -> None:
    disks = (("internal", INTERNAL_MIB), (STORAGE, 128))
    lab = start_lab(
        boot=True, configuration=Configuration(firmware="uefi", stick=True, ports=2, extra_disks=disks)
    )
    device, machine = lab.device, lab.machine
    names = by_serial(device)

    # the stick is a device like any other
    machine.run("test -d /sys/firmware/efi")
    assert device.wait_job(device.trigger()["id"])["state"] == "complete"

    # what is offered, and what is refused with the reason
    storage = f"/dev/{names[STORAGE]}"
    machine.run(f"mkfs.ext4 -q {storage} && mkdir -p /run/storage && mount {storage} /run/storage")
    answer = device.get("/install")
    assert answer["offered"]
    assert (answer["running_from"]["serial"], answer["running_from"]["transport"]) == ("stick", "usb")
    objections = {each["serial"]: each["objections"] for each in answer["disks"]}
    assert objections["internal"] == []
    assert f"{storage} is mounted at /run/storage" in objections[STORAGE]
    for serial, confirm, words in (
        (STORAGE, names[STORAGE], "is mounted at"),
        ("stick", names["stick"], "runs from"),
        ("internal", "", "not confirmed"),
    ):
        with pytest.raises(ApiRefusedError) as refused:
            device.post("/install", {"disk": names[serial], "confirm": confirm})
        assert words in refused.value.message
    unconfirmed = machine.run(["allegro", "install", names["internal"]], check=False, stdin=b"no\n")
    assert unconfirmed.returncode == 1
    assert "Nothing was written" in unconfirmed.stderr
    assert (
        machine.run(f"head -c 1048576 /dev/{names['internal']} | tr -d '\\0' | wc -c").stdout.strip() == "0"
    )

    # the installation, by the command line
    machine.run(f"echo stick > {MARK}")
    done = machine.run(["allegro", "install", names["internal"], "--yes", "--json"], timeout=900)
    assert json.loads(done.stdout)["state"] == "done"
    (action,) = device.status()["actions"]
    assert (action["name"], action["progress"]) == ("install", 1.0)
    assert "take the stick out" in action["text"]
    machine.run("sync && udevadm settle")
    # the new disk has partitions of the same names now; the device still works with its own
    for name in ("data", "boot-state", "slot-b"):
        assert disk_of(machine, f"/dev/disk/by-partlabel/{name}") == names["stick"]
    machine.power_off()

    # the internal disk starts, with the stick still plugged in
    internal = tmp_path / "internal.raw"
    source = machine.directory / "internal.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "raw", source, internal], check=True)
    stick = f"if=none,id=stick,format=qcow2,file={machine.overlay}"
    plugged = ("-drive", stick, "-device", "usb-storage,drive=stick,serial=stick,bus=usb.0,port=3")
    installed = VirtualMachine(
        tmp_path / "installed", Configuration(image=internal, ports=2, extra_arguments=plugged)
    )
    with keep_diagnosis(installed, REPORT / "installed"), installed:
        device = Device(installed)
        device.wait_ready()
        names = by_serial(device)
        assert set(names) == {"system", "stick"}
        for path in ("/", "/data", "/dev/disk/by-partlabel/slot-b", "/dev/disk/by-partlabel/boot-state"):
            assert disk_of(installed, path) == names["system"], path
        assert installed.run(f"test -e {MARK}", check=False).returncode != 0, "settings and captures are new"
        assert not device.get("/install")["offered"]
        layout = read_layout(REPOSITORY / "board/allegro/layout.toml")
        size = int(installed.run("df --block-size=1 --output=size /data | tail -1").stdout)
        room = (INTERNAL_MIB << 20) - layout["data"].start
        assert 0.9 * room < size <= room, "data takes the rest of the disk"
        job = device.wait_job(device.trigger()["id"])
        assert job["state"] == "complete"
        assert installed.run("systemctl list-units --failed --plain --no-legend").stdout == ""
