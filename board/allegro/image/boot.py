"""What starts the system: initramfs, and GRUB for BIOS and UEFI."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

from board.allegro.image.layout import SECTOR
from board.allegro.image.tree import kernel_version, module_closure, read_dependencies
from board.allegro.image.workshop import BuildError, Workshop, words

GRUB_MODULES = (
    *("part_gpt", "fat", "squash4"),  # where grub.cfg and the kernel lie
    *("normal", "configfile", "regexp", "test", "true"),
    *("serial", "terminal", "echo", "sleep", "linux", "reboot"),
    *("loadenv", "tar", "hashsum", "gcry_sha256"),  # boot state, versions, damage
    "probe",  # id of the slot's partition
)

ENVIRONMENT_SIZE = 1024
"""Bytes of a file for GRUB's load_env (DEFAULT_ENVBLK_SIZE in include/grub/lib/envblk.h)."""

EARLY = "set superusers=\n"
"""Built into GRUB: nobody gets its command line, not even when grub.cfg is missing (no user can log in)."""


def make_initramfs(
    shop: Workshop, tools: Path, busybox: Path, system: Path, sources: Path, target: Path
) -> None:
    """Make the initramfs of the files in `sources`, the system's modules and a static busybox."""
    tree = target.with_name(f"{target.name}-tree")
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("bin", "dev", "proc", "root", "run", "sys"):
        (tree / name).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin/busybox")
    shutil.copy(sources / "init", tree / "init")

    version = kernel_version(system)
    folder = system / "usr/lib/modules" / version
    (tree / "lib/modules" / version).mkdir(parents=True)
    depends = read_dependencies(folder)
    by_name = {Path(module).stem.replace("-", "_"): module for module in depends}
    builtin = {
        Path(line).stem.replace("-", "_") for line in (folder / "modules.builtin").read_text().splitlines()
    }
    names = [name.replace("-", "_") for name in words(sources / "modules.txt")]
    missing = [name for name in names if name not in by_name and name not in builtin]
    if missing:
        raise BuildError(f"initramfs/modules.txt: the image has no module {', '.join(missing)}.")
    wanted = {by_name[name] for name in names if name in by_name}
    for module in module_closure(wanted, depends):
        copy = tree / "lib/modules" / version / module
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / module, copy)
    script = (
        'cd "$1"; '
        'for name in $(bin/busybox --list); do [ -e "bin/$name" ] || ln -s busybox "bin/$name"; done; '
        'depmod -b "$1" "$3"; rm -f "lib/modules/$3"/*.bin; '
        'find . -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; '
        "find . -print0 | LC_ALL=C sort -z"
        " | cpio --null --create --format=newc --reproducible --owner=0:0 --quiet"
        ' | zstd -q -10 >"$2"'
    )
    arguments = [shop.inside(tree), shop.inside(target), version]
    shop.run_inside(tools, ["sh", "-euc", script, "sh", *arguments], log="initramfs")
    shutil.rmtree(tree)


def make_grub(shop: Workshop, tools: Path, parts: str, target: Path) -> None:
    """Make the folder `target` with core.img and boot.img (BIOS) and BOOTX64.EFI (UEFI).

    `parts` is where GRUB's folders i386-pc and x86_64-efi lie, as a program in run_inside() calls it.

    Both read /grub/grub.cfg of the ESP: the UEFI one on the disk it was loaded from, the BIOS one on the disk
    that the BIOS started.
    """
    target.mkdir()
    modules = " ".join(GRUB_MODULES)
    script = (
        'cd "$1"; parts="$2"; '
        f"printf '{EARLY}' > early.cfg; "
        'make() { grub-mkimage -d "$parts/$1" -O "$1" -c early.cfg -o "$2" -p "$3" $4; }; '
        f"make i386-pc core.img '(,gpt2)/grub' 'biosdisk {modules}'; "
        f"make x86_64-efi BOOTX64.EFI /grub '{modules}'; "
        'rm early.cfg; cp "$parts/i386-pc/boot.img" .'
    )
    shop.run_inside(tools, ["sh", "-euc", script, "sh", shop.inside(target), parts], log="grub")


def environment_block(**values: str) -> bytes:
    """Return a file for GRUB's load_env and save_env (GRUB 2.12, grub-core/lib/envblk.c).

    Raises BuildError if the values are too long for one.
    """
    text = "# GRUB Environment Block\n" + "".join(f"{name}={value}\n" for name, value in values.items())
    if len(text) > ENVIRONMENT_SIZE:
        raise BuildError(f"{', '.join(values)}: more than {ENVIRONMENT_SIZE} bytes for GRUB's environment.")
    return text.encode().ljust(ENVIRONMENT_SIZE, b"#")


def boot_sectors(boot: bytes, core: bytes, start: int) -> tuple[bytes, bytes]:
    """Return the 440 bytes of code for the MBR, and the core image for the partition at byte `start`.

    This is what grub-bios-setup does on a running machine (GRUB 2.12: util/setup.c, include/grub/offsets.h,
    include/grub/i386/pc/boot.h): the MBR learns where the core image begins, that one where its rest is.
    """
    lba = start // SECTOR
    mbr = bytearray(boot[:440])
    mbr[0x5C:0x64] = struct.pack("<Q", lba)  # GRUB_BOOT_MACHINE_KERNEL_SECTOR
    mbr[0x66:0x68] = b"\x90\x90"  # GRUB_BOOT_MACHINE_DRIVE_CHECK: trust the BIOS's drive number
    image = bytearray(core) + bytes(-len(core) % SECTOR)
    image[0x1F4:0x1FC] = struct.pack(
        "<Q", lba + 1
    )  # first block list of diskboot.img, at the end of its sector: start
    image[0x1FC:0x1FE] = struct.pack("<H", len(image) // SECTOR - 1)  # and number of sectors
    return bytes(mbr), bytes(image)
