import hashlib
import subprocess
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from board.allegro.release.ova import NETWORKS, OVF, RASD, Disk, description, write_ova

ORDER = [
    *("Address", "AddressOnParent", "AllocationUnits", "AutomaticAllocation", "Caption", "Connection"),
    *("ElementName", "HostResource", "InstanceID", "Parent", "ResourceSubType", "ResourceType"),
    "VirtualQuantity",
]
"""Of the elements of an item, as the schema wants it (CIM_ResourceAllocationSettingData.xsd)."""


def parsed() -> ElementTree.Element:
    """The description of a machine."""
    return ElementTree.fromstring(description("Allegro", "1.2.3", Disk("a-disk1.vmdk", 4711, 20 << 30)))


def items(envelope: ElementTree.Element) -> list[dict[str, str]]:
    """The parts of the machine."""
    found = envelope.findall(f".//{{{OVF}}}Item")
    return [{each.tag.rpartition("}")[2]: each.text or "" for each in item} for item in found]


@pytest.mark.spec("I1")
def test_the_sections_come_in_the_order_of_the_schema() -> None:
    envelope = parsed()
    assert envelope.tag == f"{{{OVF}}}Envelope"
    names = [each.tag.rpartition("}")[2] for each in envelope]
    assert names == ["References", "DiskSection", "NetworkSection", "VirtualSystem"]
    machine = envelope[-1]
    assert [each.tag.rpartition("}")[2] for each in machine] == [
        "Info",
        "Name",
        "OperatingSystemSection",
        "ProductSection",
        "VirtualHardwareSection",
    ]
    assert all(section.find(f"{{{OVF}}}Info") is not None for section in (*envelope[1:], *machine[2:]))


@pytest.mark.spec("I1")
def test_everything_that_is_named_is_there() -> None:
    envelope = parsed()
    file = envelope.find(f".//{{{OVF}}}File")
    disk = envelope.find(f".//{{{OVF}}}Disk")
    assert file is not None
    assert disk is not None
    assert file.attrib[f"{{{OVF}}}size"] == "4711"
    assert disk.attrib[f"{{{OVF}}}fileRef"] == file.attrib[f"{{{OVF}}}id"]
    assert disk.attrib[f"{{{OVF}}}capacity"] == str(20 << 30)
    parts = items(envelope)
    drive = next(part for part in parts if part["ResourceType"] == "17")
    assert drive["HostResource"] == f"ovf:/disk/{disk.attrib[f'{{{OVF}}}diskId']}"
    controller = next(part for part in parts if part["InstanceID"] == drive["Parent"])
    assert controller["ResourceType"] == "6"
    networks = [each.attrib[f"{{{OVF}}}name"] for each in envelope.iter(f"{{{OVF}}}Network")]
    assert [part["Connection"] for part in parts if part["ResourceType"] == "10"] == networks
    assert networks == [name for name, _ in NETWORKS]
    assert len({part["InstanceID"] for part in parts}) == len(parts)


@pytest.mark.spec("I1")
def test_items_are_in_the_order_of_the_schema() -> None:
    for part in items(parsed()):
        assert list(part) == [name for name in ORDER if name in part]


def test_names_of_ovf_have_no_prefix_and_attributes_have() -> None:
    text = description("Allegro", "1.2.3", Disk("a.vmdk", 1, 2))
    assert f'<Envelope xmlns="{OVF}" xmlns:ovf="{OVF}"' in text
    assert '<File ovf:href="a.vmdk"' in text
    assert f'xmlns:rasd="{RASD}"' in text


@pytest.mark.spec("I1")
def test_the_archive_is_in_order_with_the_right_checksums(tmp_path: Path) -> None:
    disk = tmp_path / "some.vmdk"
    disk.write_bytes(b"disk" * 1000)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_ova(tmp_path / name / "allegro-1.2.3.ova", "Allegro", "1.2.3", disk, 1 << 30, 1_750_000_000)
    archive = tmp_path / "one/allegro-1.2.3.ova"
    assert archive.read_bytes() == (tmp_path / "two/allegro-1.2.3.ova").read_bytes()
    listed = subprocess.run(["tar", "tf", archive], capture_output=True, text=True, check=True).stdout.split()
    assert listed == ["allegro-1.2.3.ovf", "allegro-1.2.3.mf", "allegro-1.2.3-disk1.vmdk"]
    with tarfile.open(archive) as content:
        files = {name: content.extractfile(name) for name in listed}
        data = {name: file.read() for name, file in files.items() if file is not None}
    for name in (listed[0], listed[2]):
        assert f"SHA256({name})= {hashlib.sha256(data[name]).hexdigest()}\n" in data[listed[1]].decode()
    assert data[listed[2]] == disk.read_bytes()
