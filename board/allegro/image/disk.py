"""The disk image: file systems, partition table, boot code."""

from __future__ import annotations

from pathlib import Path

from board.allegro.image.boot import boot_sectors
from board.allegro.image.layout import SECTOR, Layout, Partition, stable_id
from board.allegro.image.workshop import BuildError, Workshop, remove, words

DISK_ID = "disk"
COPY_UNIT = 1 << 20


def grub_configuration(template: Path, command_line: Path, layout: Layout, version: str) -> str:
    """Return grub.cfg for this layout."""
    slot = layout["slot-a"]
    text = template.read_text()
    for word, value in {
        "@VERSION@": version,
        "@SLOT_A_NUMBER@": str(slot.number),
        "@SLOT_A_NAME@": slot.name,
        "@KERNEL_COMMAND_LINE@": " ".join(words(command_line)),
    }.items():
        text = text.replace(word, value)
    return text


def make_esp(
    shop: Workshop,
    tools: Path,
    grub: Path,
    configuration: str,
    partition: Partition,
    version: str,
    target: Path,
) -> None:
    """Make the FAT file system that holds GRUB for UEFI and the configuration for both."""
    config = target.with_name("grub.cfg")
    config.write_text(configuration)
    volume_id = f"{stable_id(version, partition.name).fields[0]:08x}"
    script = (
        'touch -d "@$SOURCE_DATE_EPOCH" "$3" "$4"; truncate -s "$2" "$1"; '
        f'mkfs.fat --invariant -F 32 -i {volume_id} -n {partition.label} "$1"; '
        'mmd -i "$1" ::/EFI ::/EFI/BOOT ::/grub; '
        'mcopy -m -i "$1" "$3" ::/EFI/BOOT/BOOTX64.EFI; mcopy -m -i "$1" "$4" ::/grub/grub.cfg'
    )
    arguments = [
        shop.inside(target),
        str(partition.size),
        shop.inside(grub / "BOOTX64.EFI"),
        shop.inside(config),
    ]
    shop.run_inside(tools, ["sh", "-euc", script, "sh", *arguments], log="esp")
    config.unlink()


def partition_table(layout: Layout, version: str) -> str:
    """Return the partition table as a script for sfdisk(8)."""
    lines = [
        "label: gpt",
        f"label-id: {stable_id(version, DISK_ID)}",
        "unit: sectors",
        "first-lba: 34",
    ]
    lines += [
        f"start={part.start // SECTOR}, size={part.size // SECTOR}, type={part.type}, "
        f'uuid={stable_id(version, part.name)}, name="{part.name}"'
        for part in layout.partitions
    ]
    return "\n".join(lines) + "\n"


def write_sparse(source: Path, disk: Path, partition: Partition) -> None:
    """Write a file to a partition, leaving out units of zeros (the disk image is new and reads as zeros)."""
    if source.stat().st_size > partition.size:
        raise BuildError(
            f"{source.stat().st_size >> 20} MiB do not fit into the partition {partition.name} "
            f"of {partition.size >> 20} MiB.\nRemedy: make it larger in board/allegro/layout.toml."
        )
    zeros = bytes(COPY_UNIT)
    with source.open("rb") as data, disk.open("r+b") as out:
        at = partition.start
        while block := data.read(COPY_UNIT):
            if block != zeros[: len(block)]:
                out.seek(at)
                out.write(block)
            at += len(block)


def make_disk(
    shop: Workshop, tools: Path, layout: Layout, version: str, grub: Path, esp: Path, slot: Path, target: Path
) -> None:
    """Put the disk together: partition table, boot code, ESP, one system slot, empty data file system."""
    with target.open("wb") as out:
        out.truncate(layout.size)
    table = target.with_name("partitions.sfdisk")
    table.write_text(partition_table(layout, version))
    data = layout["data"]
    data_id = stable_id(version, "data-file-system")
    # The file system lies at its place in the disk image right away, so that the image stays sparse.
    script = (
        'sfdisk --quiet "$1" <"$2"; '
        f"mke2fs -q -F -t ext4 -L {data.label} -m 1 -i 65536 -U {data_id} "
        f"-E offset={data.start},hash_seed={data_id},root_owner=0:0,lazy_itable_init=0,nodiscard "
        f'"$1" {data.size >> 10}k'
    )
    shop.run_inside(tools, ["sh", "-euc", script, "sh", shop.inside(target), shop.inside(table)], log="disk")
    remove(table)
    write_sparse(esp, target, layout["esp"])
    write_sparse(slot, target, layout["slot-a"])
    bios = layout["bios-boot"]
    mbr, core = boot_sectors((grub / "boot.img").read_bytes(), (grub / "core.img").read_bytes(), bios.start)
    with target.open("r+b") as out:
        out.write(mbr)
        out.seek(bios.start)
        out.write(core)
