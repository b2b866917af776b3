"""The system that goes into images: the Debian base without what the device does not need."""

from __future__ import annotations

import fnmatch
import lzma
import shutil
import subprocess
from pathlib import Path

from board.allegro.image.workshop import BuildError, Workshop, remove, words


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


def drop(root: Path, patterns: list[str]) -> list[str]:
    """Remove what matches the patterns; returns those that match nothing (any more)."""
    idle = []
    for pattern in patterns:
        found = sorted(root.glob(pattern))
        if not found:
            idle.append(pattern)
        for path in found:
            remove(path)
    return idle


def kernel_version(root: Path) -> str:
    """Return the version of the only kernel in `root`."""
    versions = [path.name for path in (root / "usr/lib/modules").iterdir()]
    if len(versions) != 1:
        raise BuildError(
            f"One kernel was expected in the image, but there are: {', '.join(versions) or 'none'}."
        )
    return versions[0]


def module_closure(wanted: set[str], depends: dict[str, list[str]]) -> set[str]:
    """Return the wanted modules and all that they depend on."""
    return wanted.union(*(depends[module] for module in wanted))


def read_dependencies(folder: Path) -> dict[str, list[str]]:
    """Read modules.dep (depmod(8)): a module's path, and those of all modules it needs."""
    depends = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        module, _, rest = line.partition(":")
        depends[module] = rest.split()
    return depends


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


def compile_python(shop: Workshop, root: Path, folder: str) -> None:
    """Compile the Python files below `folder` in `root`.

    The compiled files are never compared with their sources' times ("unchecked-hash", PEP 552): times in an
    image say nothing, and nothing can change there.
    """
    for old in (root / folder.lstrip("/")).rglob("__pycache__"):
        shutil.rmtree(old)
    command = ["python3", "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", folder]
    shop.run_inside(root, command, log="compileall")
