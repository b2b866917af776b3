import json
from typing import Any

import pytest

from allegro.storage.disks import Disk, objections, parse_lsblk, size_text

GB = 10**9


def device(name: str, kind: str = "disk", **values: Any) -> dict[str, Any]:
    """A device as lsblk(8) shows it."""
    return {
        "name": name,
        "path": f"/dev/{name}",
        "type": kind,
        "size": 32 * GB,
        "model": None,
        "serial": None,
        "tran": None,
        "rm": False,
        "hotplug": False,
        "ro": False,
        "log-sec": 512,
        "fstype": None,
        "label": None,
        "partlabel": None,
        "mountpoints": [None],
        **values,
    }


def parsed(*devices: dict[str, Any]) -> tuple[Disk, ...]:
    return parse_lsblk(json.dumps({"blockdevices": devices}))


def test_a_stick_is_shown_with_what_a_person_knows_it_by() -> None:
    stick = device("sdb", model="Ultra Fit  ", serial="4C53", tran="usb", rm=True)
    (disk,) = parsed(stick)
    assert disk.title == "/dev/sdb (Ultra Fit, 32.0 GB, serial 4C53, usb)"
    assert disk.removable
    assert disk.uses == ()
    assert objections(disk, GB, claimed=False) == []


def test_contents_are_told_in_words() -> None:
    parts = [
        device("sdb1", "part", fstype="vfat", partlabel="esp"),
        device("sdb2", "part", fstype="LVM2_member"),
        device("sdb3", "part"),
    ]
    (disk,) = parsed(device("sdb", children=parts))
    assert disk.holds == ("esp (vfat)", "LVM")
    assert disk.partitions == ("/dev/sdb1", "/dev/sdb2", "/dev/sdb3")


@pytest.mark.spec("I2")
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mountpoints": ["/mnt/disk"]}, "/dev/sdb is mounted at /mnt/disk"),
        (
            {"children": [device("sdb1", "part", mountpoints=[None, "/mnt"])]},
            "/dev/sdb1 is mounted at /mnt",
        ),
        ({"children": [device("sdb1", "part", mountpoints=["[SWAP]"])]}, "used as swap space"),
        (
            {"children": [device("sdb1", "part", children=[device("vg-root", "lvm")])]},
            "part of /dev/vg-root (LVM)",
        ),
        ({"children": [device("md0", "raid1")]}, "part of the RAID /dev/md0"),
        ({"children": [device("dm-3", "crypt")]}, "part of /dev/dm-3 (encryption)"),
        ({"children": [device("dm-3", "dm")]}, "part of /dev/dm-3 (the device mapper)"),
        ({"ro": True}, "it is write-protected"),
        ({"size": GB}, "it is too small: 4.0 GB are needed, it has 1.0 GB"),
    ],
)
def test_a_disk_that_must_not_be_overwritten_says_why(changes: dict[str, Any], why: str) -> None:
    (disk,) = parsed(device("sdb", **changes))
    assert objections(disk, 4 * GB, claimed=False) == [why]


@pytest.mark.spec("I2")
@pytest.mark.parametrize("mount", ["/", "/boot", "/boot/efi"])
def test_the_system_disk_is_called_so(mount: str) -> None:
    (disk,) = parsed(device("sda", children=[device("sda1", "part", mountpoints=[mount])]))
    assert objections(disk, 0, claimed=True)[0] == "this system runs from it"


@pytest.mark.spec("I2")
def test_what_only_the_kernel_knows_counts_as_well() -> None:
    (disk,) = parsed(device("sdb"))
    assert objections(disk, 0, claimed=True) == ["something uses it (the kernel does not give it away)"]


def test_what_is_no_disk_is_left_out() -> None:
    names = [disk.name for disk in parsed(device("zram0"), device("sr0", "rom"), device("nbd0", size=0))]
    assert names == []
    assert [disk.kind for disk in parsed(device("loop0", "loop"))] == ["loop"]


def test_sizes_read_as_they_are_printed_on_disks() -> None:
    assert [size_text(size) for size in (999, 4 * 10**6, 31_914_983_424, 2 * 10**12)] == [
        "999 bytes",
        "4.0 MB",
        "31.9 GB",
        "2.0 TB",
    ]
