"""The virtual appliance: an OVA is a tar archive with a description (OVF), a manifest, and the disk.

Sources: DMTF DSP0243 1.1.0 (Open Virtualization Format); DSP8023 and the CIM schemas it imports for the order
of the elements. Importers are stricter than the standard in places, see the comments.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

OVF = "http://schemas.dmtf.org/ovf/envelope/1"
CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2"
RASD = f"{CIM}/CIM_ResourceAllocationSettingData"
VSSD = f"{CIM}/CIM_VirtualSystemSettingData"
STREAM_OPTIMIZED = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"

DEBIAN_64 = "96"
"""CIM_OperatingSystem.OsType."""

HARDWARE = "vmx-13"
"""VMware's name of its virtual hardware since ESXi 6.5 and Workstation 14; VirtualBox takes any."""

PROCESSORS = 2
MEMORY_MIB = 2048
NETWORKS = (
    ("Management", "Page and API of the device"),
    ("Link 1 A", "Measuring port 1; forms a bridge with port 2"),
    ("Link 1 B", "Measuring port 2"),
)
_DISK_ID = "vmdisk1"
_FILE_ID = "file1"


@dataclass(frozen=True)
class Disk:
    """A disk of `capacity` bytes as the guest sees it, in the file `name` of `size` bytes."""

    name: str
    size: int
    capacity: int


def description(product: str, version: str, disk: Disk) -> str:
    """Return the OVF description of a machine with this disk."""
    for prefix, uri in (("", OVF), ("ovf", OVF), ("rasd", RASD), ("vssd", VSSD)):
        ElementTree.register_namespace(prefix, uri)
    envelope = ElementTree.Element(f"{{{OVF}}}Envelope")
    references = _add(envelope, "References")
    _add(references, "File", href=disk.name, id=_FILE_ID, size=str(disk.size))
    disks = _add(envelope, "DiskSection")
    _add(disks, "Info", "The disk")
    _add(
        disks,
        "Disk",
        capacity=str(disk.capacity),
        capacityAllocationUnits="byte",
        diskId=_DISK_ID,
        fileRef=_FILE_ID,
        format=STREAM_OPTIMIZED,
    )
    networks = _add(envelope, "NetworkSection")
    _add(networks, "Info", "Management comes first, then the measuring ports, which need promiscuous mode")
    for name, text in NETWORKS:
        _add(_add(networks, "Network", name=name), "Description", text)
    machine = _add(envelope, "VirtualSystem", id=product.lower())
    _add(machine, "Info", "A virtual machine")
    _add(machine, "Name", product)
    system = _add(machine, "OperatingSystemSection", id=DEBIAN_64)
    _add(system, "Info", "The operating system")
    _add(system, "Description", "Debian 64-bit")
    about = _add(machine, "ProductSection")
    _add(about, "Info", "The product")
    _add(about, "Product", product)
    _add(about, "Version", version)
    hardware = _add(machine, "VirtualHardwareSection")
    _add(hardware, "Info", "What the machine is made of")
    kind = _add(hardware, "System")
    for name, value in (
        ("ElementName", "Virtual Hardware Family"),
        ("InstanceID", "0"),
        ("VirtualSystemIdentifier", product.lower()),
        ("VirtualSystemType", HARDWARE),
    ):
        ElementTree.SubElement(kind, f"{{{VSSD}}}{name}").text = value
    for number, item in enumerate(_items(), start=1):
        _add_item(hardware, number, item)
    ElementTree.indent(envelope)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _default_namespace(envelope) + "\n"


def _items() -> list[dict[str, str]]:
    """Return the parts; CIM_ResourceAllocationSettingData.ResourceType says what each is."""
    controller = "3"  # the instance that the disk names as its parent: the third of this list
    return [
        {
            "ElementName": f"{PROCESSORS} virtual processors",
            "AllocationUnits": "hertz * 10^6",
            "ResourceType": "3",
            "VirtualQuantity": str(PROCESSORS),
        },
        {
            "ElementName": f"{MEMORY_MIB} MiB of memory",
            "AllocationUnits": "byte * 2^20",
            "ResourceType": "4",
            "VirtualQuantity": str(MEMORY_MIB),
        },
        {
            # Of those that both VMware and VirtualBox know under one name, and the initramfs as well.
            "ElementName": "SCSI controller",
            "Address": "0",
            "ResourceSubType": "lsilogic",
            "ResourceType": "6",
        },
        {
            "ElementName": "Disk",
            "AddressOnParent": "0",
            "HostResource": f"ovf:/disk/{_DISK_ID}",
            "Parent": controller,
            "ResourceType": "17",
        },
        *(
            {
                "ElementName": f"Network adapter {number}",
                "AddressOnParent": str(6 + number),
                "AutomaticAllocation": "true",
                "Connection": name,
                "ResourceSubType": "E1000",
                "ResourceType": "10",
            }
            for number, (name, _) in enumerate(NETWORKS, start=1)
        ),
        # For the presenter. Importers that do not know this kind may leave it out.
        {
            "ElementName": "USB controller",
            "Address": "0",
            "ResourceSubType": "vmware.usb.xhci",
            "ResourceType": "23",
            "required": "false",
        },
    ]


def _add_item(hardware: ElementTree.Element, number: int, values: dict[str, str]) -> None:
    required = values.pop("required", None)
    item = _add(hardware, "Item", **({"required": required} if required else {}))
    # Old versions of VirtualBox want the caption. The schema has the elements in alphabetical order.
    everything = {**values, "Caption": values["ElementName"], "InstanceID": str(number)}
    for name in sorted(everything):
        ElementTree.SubElement(item, f"{{{RASD}}}{name}").text = everything[name]


def _add(parent: ElementTree.Element, tag: str, text: str = "", **attributes: str) -> ElementTree.Element:
    made = ElementTree.SubElement(
        parent, f"{{{OVF}}}{tag}", {f"{{{OVF}}}{key}": value for key, value in attributes.items()}
    )
    made.text = text or None
    return made


def _default_namespace(envelope: ElementTree.Element) -> str:
    """Return the text with OVF's elements without a prefix: some importers look for the bare names."""
    text = ElementTree.tostring(envelope, encoding="unicode")
    text = text.replace("<ovf:", "<").replace("</ovf:", "</")
    return text.replace(f'xmlns:ovf="{OVF}"', f'xmlns="{OVF}" xmlns:ovf="{OVF}"', 1)


def manifest(files: dict[str, str]) -> str:
    """Return the manifest (DSP0243, 5.1): the SHA-256 of each file, by name."""
    return "".join(f"SHA256({name})= {digest}\n" for name, digest in files.items())


def write_ova(target: Path, product: str, version: str, disk: Path, capacity: int, time: int) -> None:
    """Write the archive: description first, then manifest, then disk, as the standard wants it (5.3).

    `time` (seconds since 1970) is that of all files in it.
    """
    base = target.stem
    inside = Disk(f"{base}-disk1.vmdk", disk.stat().st_size, capacity)
    ovf = description(product, version, inside).encode()
    with disk.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    sums = manifest({f"{base}.ovf": hashlib.sha256(ovf).hexdigest(), inside.name: digest}).encode()
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in ((f"{base}.ovf", ovf), (f"{base}.mf", sums)):
            archive.addfile(_entry(name, len(content), time), io.BytesIO(content))
        with disk.open("rb") as data:
            archive.addfile(_entry(inside.name, inside.size, time), data)


def _entry(name: str, size: int, time: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mtime = time
    entry.mode = 0o644
    return entry
