"""The system of the development image: the Debian base without what the device does not need."""

from __future__ import annotations

import fnmatch
import lzma
import shutil
import subprocess
from pathlib import Path

from board.allegro.image.tree import compile_python, drop, kernel_version, module_closure, read_dependencies
from board.allegro.image.workshop import Workshop, words


def make_system(shop: Workshop, base: Path, lists: Path, target: Path) -> None:
    """Copy the system `base` to `target` without what the device does not need, as the folder `lists` tells.

    /var/lib/dpkg stays for the manifest; /var is not part of the image.
    """
    subprocess.run(["cp", "-a", "--reflink=auto", base, target], check=True)
    for name, work in (
        ("drop.txt", drop),
        ("kernel-modules.txt", keep_modules),
        ("firmware.txt", keep_firmware),
    ):
        if idle := work(target, words(lists / name)):
            shop.say(f"    note: {name} has lines that match nothing: {', '.join(idle)}")
    kernel = kernel_version(target)
    shop.run_inside(target, ["depmod", kernel], log="depmod")
    shop.run_inside(target, ["systemd-hwdb", "--usr", "--strict", "update"], log="hwdb")
    shutil.rmtree(target / "usr/lib/udev/hwdb.d")
    compile_python(shop, target, "/usr/lib")
    shop.run_inside(target, ["ldconfig", "-X"], log="ldconfig")


def select_modules(modules: list[str], patterns: list[str]) -> tuple[set[str], list[str]]:
    """Return the modules that the lines of kernel-modules.txt choose, and the lines that match none."""
    chosen: set[str] = set()
    idle = []
    for line in patterns:
        pattern = line.removeprefix("-").strip()
        found = {
            module
            for module in modules
            if fnmatch.fnmatch(module, f"kernel/{pattern}/*")
            or fnmatch.fnmatch(module, f"kernel/{pattern}.ko*")
        }
        if not found:
            idle.append(pattern)
        chosen = chosen - found if line.startswith("-") else chosen | found
    return chosen, idle


def keep_modules(root: Path, patterns: list[str]) -> list[str]:
    """Remove the kernel modules that are not chosen; returns the patterns that choose none.

    The others are unpacked: squashfs packs them better, and the kernel loads them faster.
    """
    folder = root / "usr/lib/modules" / kernel_version(root)
    depends = read_dependencies(folder)
    chosen, idle = select_modules(list(depends), patterns)
    keep = module_closure(chosen, depends)
    for module in depends:
        packed = folder / module
        if module in keep:
            packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
        packed.unlink()
    order = folder / "modules.order"
    kept = {module.removesuffix(".xz") for module in keep}
    lines = [line for line in order.read_text().splitlines() if line.removesuffix(".xz") in kept]
    order.write_text("\n".join(lines) + "\n")
    return idle


def keep_firmware(root: Path, patterns: list[str]) -> list[str]:
    """Remove the files below usr/lib/firmware that match no pattern; returns the patterns that match none."""
    folder = root / "usr/lib/firmware"
    found = {pattern: set(folder.glob(pattern)) for pattern in patterns}
    keep = set[Path]().union(*found.values())
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in keep:
            path.unlink()
    return [pattern for pattern, matches in found.items() if not matches]
