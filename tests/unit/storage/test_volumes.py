import json
from typing import Any

import pytest

from allegro.storage.volumes import Volume, objection, parse_volumes, ring_objection
from tests.unit.storage.test_disks import device

PLACE = "/run/allegro/disk"


def part(name: str, **values: Any) -> dict[str, Any]:
    return device(name, "part", **{"uuid": f"id-{name}", **values})


def parsed(*devices: dict[str, Any], running: str = "sda") -> list[Volume]:
    made = [{"uuid": None, **each} for each in devices]
    return parse_volumes(json.dumps({"blockdevices": made}), running)


@pytest.mark.spec("W5")
class TestVolumes:
    def test_each_partition_is_one_and_a_disk_without_partitions_too(self) -> None:
        found = parsed(
            device("sdc", fstype="exfat", uuid="1234-ABCD", label="STICK", model="Ultra Fit", tran="usb"),
            device("sdb", children=[part("sdb1", fstype="ext4"), part("sdb2")]),
        )
        assert [(each.path, each.kind, each.uuid) for each in found] == [
            ("/dev/sdb1", "ext4", "id-sdb1"),
            ("/dev/sdb2", "", "id-sdb2"),
            ("/dev/sdc", "exfat", "1234-ABCD"),
        ]
        assert (found[2].label, found[2].disk.model, found[2].disk.removable) == ("STICK", "Ultra Fit", True)
        assert [objection(each, found, PLACE) == "" for each in found] == [True, False, True]

    def test_the_disk_that_the_system_runs_from_is_never_among_them(self) -> None:
        own = device("sda", children=[part("sda7", fstype="ext4", partlabel="data", mountpoints=["/data"])])
        root = device("sdd", children=[part("sdd1", fstype="ext4", mountpoints=["/"])])
        assert parsed(own, root, device("zram0")) == []

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"fstype": "vfat"}, "4 GiB"),
            ({"fstype": "ntfs"}, "left alone"),
            ({"fstype": "crypto_LUKS"}, "left alone"),
            ({"fstype": None}, "no file system"),
            ({"fstype": "ext4", "uuid": None}, "no id"),
            ({"fstype": "ext4", "mountpoints": [None, "/mnt"]}, "used by the system (/mnt)"),
            ({"fstype": "ext4", "mountpoints": [PLACE]}, ""),
            (
                {"fstype": "ext4", "children": [device("md0", "raid1", mountpoints=["/srv"], uuid=None)]},
                "used by the system (/srv)",
            ),
        ],
    )
    def test_what_speaks_against_one(self, values: dict[str, Any], words: str) -> None:
        found = parsed(device("sdb", children=[part("sdb1", **values)]))
        against = objection(found[0], found, PLACE)
        assert words in against
        assert bool(words) == bool(against)

    def test_what_is_write_protected_or_another_system_or_there_twice(self) -> None:
        found = parsed(
            device("sdb", ro=True, children=[part("sdb1", fstype="ext4")]),
            device(
                "sdc",
                children=[
                    part("sdc5", fstype="squashfs", partlabel="slot-a"),
                    part("sdc7", fstype="ext4", partlabel="data"),
                ],
            ),
            device("sde", children=[part("sde1", fstype="ext4", uuid="same")]),
            device("sdf", children=[part("sdf1", fstype="ext4", uuid="same")]),
        )
        told = {each.path: objection(each, found, PLACE) for each in found}
        assert told["/dev/sdb1"] == "It is write-protected."
        assert told["/dev/sdc7"] == "It holds an Allegro system."
        assert "same id (same)" in told["/dev/sde1"]
        assert told["/dev/sde1"] == told["/dev/sdf1"]


@pytest.mark.spec("W5")
def test_the_ring_needs_ext4_and_a_disk_of_its_own() -> None:
    found = parsed(
        device("sdb", fstype="exfat", uuid="1234-ABCD"),
        device("sdc", fstype="ext4", uuid="c"),
        device("sdd", fstype="ext4", uuid="d", mountpoints=[PLACE]),
        device("sde", fstype="ntfs", uuid="e"),
    )
    uses = {PLACE: "Captures go to it."}
    said = [ring_objection(each, found, "/run/allegro/ring-disk", uses) for each in found]
    assert said[1:3] == ["", "Captures go to it."]
    assert "format it with ext4" in said[0]
    assert "the packet ring buffer goes to ext4" in said[3]
    assert objection(found[2], found, "/run/allegro/ring-disk", uses) == "Captures go to it."
