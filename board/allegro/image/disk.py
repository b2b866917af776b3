"""The disk image: what genimage puts together, as board/allegro/layout.toml tells."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from allegro.firmware import boot_state
from board.allegro.image.boot import boot_sectors, environment_block
from board.allegro.image.layout import Layout, Partition, stable_id
from board.allegro.image.workshop import BuildError, Workshop, remove

DISK_ID = "disk"

GENIMAGE = """
image esp.img {{
	size = {esp.size}
	vfat {{
		label = "{esp.label}"
		extraargs = "--invariant -F 32 -i {esp_id}"
		file EFI/BOOT/BOOTX64.EFI {{ image = "BOOTX64.EFI" }}
		file grub/grub.cfg {{ image = "grub.cfg" }}
		file grub/grubenv {{ image = "grubenv" }}
	}}
}}
image data.img {{
	size = {data.size}
	empty = true
	ext4 {{
		use-mke2fs = true
		label = "{data.label}"
		fs-timestamp = "{time}"
		extraargs = "-U {data_id} -m 1 -i 65536 -E {ext4}"
	}}
}}
image disk.img {{
	size = {layout.size}
	hdimage {{
		partition-table-type = "gpt"
		disk-uuid = "{disk_id}"
	}}
	partition mbr {{
		in-partition-table = false
		offset = 0
		size = 440
		image = "mbr.img"
	}}
{partitions}}}
"""

GENIMAGE_PARTITION = """\
	partition {part.name} {{
		offset = {part.start}
		size = {part.size}
		partition-type-uuid = "{part.type}"
		partition-uuid = "{id}"{image}
	}}
"""


def grub_configuration(template: Path, kernel_options: str, layout: Layout) -> str:
    """Return grub.cfg for this layout; `kernel_options` are for slots that bring none (version 0.1.0)."""
    first, second = boot_state.COPY_NAMES
    text = template.read_text()
    for word, value in {
        "@BOOT_STATE_NUMBER@": layout["boot-state"].number,
        "@FIRST_COPY@": first,
        "@SECOND_COPY@": second,
        "@FACTORY_NUMBER@": layout["factory"].number,
        "@SLOT_A_NUMBER@": layout["slot-a"].number,
        "@SLOT_B_NUMBER@": layout["slot-b"].number,
        "@ESCAPE@": "\x1b",
        "@KERNEL_OPTIONS@": kernel_options,
    }.items():
        text = text.replace(word, str(value))
    return text


def boot_state_partition(size: int) -> bytes:
    """Return the boot-state partition of a new device."""
    image = bytearray(size)
    for at, part in boot_state.frames(boot_state.encode(boot_state.BootState(), 0)):
        image[at : at + len(part)] = part
    if len(image) != size:
        raise BuildError("The partition boot-state is too small.\nRemedy: 1M in board/allegro/layout.toml.")
    return bytes(image)


def genimage_configuration(layout: Layout, version: str, epoch: int, contents: dict[str, str]) -> str:
    """Return genimage's configuration; `contents` names the file for each partition that is not empty.

    `epoch` (seconds since 1970) is the time in file systems.
    """

    def partition(part: Partition) -> str:
        image = f'\n\t\timage = "{contents[part.name]}"' if part.name in contents else ""
        return GENIMAGE_PARTITION.format(part=part, id=stable_id(version, part.name), image=image)

    data_id = stable_id(version, "data-file-system")
    return GENIMAGE.format(
        layout=layout,
        esp=layout["esp"],
        data=layout["data"],
        disk_id=stable_id(version, DISK_ID),
        esp_id=f"{stable_id(version, 'esp').fields[0]:08x}",
        data_id=data_id,
        time=datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%d%H%M%S"),
        ext4=f"root_owner=0:0,hash_seed={data_id},lazy_itable_init=0,nodiscard",
        partitions="".join(partition(part) for part in layout.partitions),
    )


def make_disk(
    shop: Workshop,
    tools: Path,
    layout: Layout,
    version: str,
    grub: Path,
    configuration: str,
    slot: Path,
    target: Path,
) -> None:
    """Put the disk together: the same system in factory slot and slot A, slot B and data empty."""
    work = target.with_name("genimage")
    remove(work)
    for name in ("input", "output", "temporary", "root"):
        (work / name).mkdir(parents=True)
    files = work / "input"
    bios = layout["bios-boot"]
    mbr, core = boot_sectors((grub / "boot.img").read_bytes(), (grub / "core.img").read_bytes(), bios.start)
    (files / "mbr.img").write_bytes(mbr)
    (files / "core.img").write_bytes(core)
    (files / "boot-state.img").write_bytes(boot_state_partition(layout["boot-state"].size))
    shutil.copy(grub / "BOOTX64.EFI", files)
    (files / "grub.cfg").write_text(configuration)
    (files / "grubenv").write_bytes(environment_block(starts="0"))
    (files / "slot.img").hardlink_to(slot)
    contents = {
        "bios-boot": "core.img",
        "esp": "esp.img",
        "boot-state": "boot-state.img",
        "factory": "slot.img",
        "slot-a": "slot.img",
        "data": "data.img",
    }
    (work / "genimage.cfg").write_text(genimage_configuration(layout, version, shop.epoch, contents))
    options = {"config": "genimage.cfg", "inputpath": "input", "outputpath": "output"}
    options |= {"tmppath": "temporary", "rootpath": "root"}
    command = [word for name, goal in options.items() for word in (f"--{name}", shop.inside(work / goal))]
    shop.run_inside(tools, ["genimage", *command], log="genimage")
    (work / "output/disk.img").rename(target)
    remove(work)
