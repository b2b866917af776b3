"""What Buildroot calls: the payload into its target folder, then the steps before and after it packs that.

`python3 -m board.allegro.image.buildroot payload|post-build|post-image FOLDER`, with Buildroot's environment;
the programs are those of its host folder. The steps are the development image's own (scripts/build_vm.py).
"""

from __future__ import annotations

import compileall
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode

from board.allegro.image import boot, disk, edition, manifest, payload, root, tree
from board.allegro.image.edition import Edition
from board.allegro.image.host_tools import HostTools
from board.allegro.image.layout import read_layout
from board.allegro.image.made import made_files
from board.allegro.image.notes import release_notes
from board.allegro.image.workshop import BuildError, remove, words

REPOSITORY = Path(__file__).resolve().parents[3]
BOARD = REPOSITORY / "board/allegro"


@dataclass(frozen=True)
class Build:
    """Buildroot's folders, what was prepared for it (wheels, web, keyring.pem), and the image's name.

    `prepared` is made by scripts/build_image.py.
    """

    host: Path
    target: Path
    images: Path
    build: Path
    prepared: Path
    edition: Edition
    compatible: str
    shop: HostTools


def build_from_environment() -> Build:
    """Return what Buildroot's environment tells (its Makefile, EXTRA_ENV); raises BuildError."""
    try:
        folders = [Path(os.environ[name]) for name in ("HOST_DIR", "TARGET_DIR", "BINARIES_DIR", "BUILD_DIR")]
        epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    except KeyError as error:
        raise BuildError(
            f"{error.args[0]} is not set.\nRemedy: this is called by Buildroot, with BR2_REPRODUCIBLE=y."
        ) from error
    host, target, images, build = folders
    prepared = Path(os.environ.get("ALLEGRO_PREPARED") or REPOSITORY / "build/image/prepared")
    if not (prepared / "keyring.pem").exists():
        raise BuildError(
            f"{prepared} does not hold what the image needs from outside of Buildroot: Python wheels, files"
            f" of the web page, the keyring for updates.\nRemedy: make image-prepared in {REPOSITORY},"
            " or make image there, which does all."
        )
    facts = dict(line.split("=", 1) for line in words(REPOSITORY / "meta"))
    shop = HostTools(build / "allegro-image", prepared, REPOSITORY, epoch)
    shop.open()
    made_for = edition.to_hand_out(
        facts["VERSION"],
        BOARD / "kernel-command-line.txt",
        for_development=os.environ.get("ALLEGRO_DEVELOPMENT") == "1",
    )
    return Build(host, target, images, build, prepared, made_for, facts["COMPATIBLE"], shop)


def install_payload(made: Build, wheels: Path) -> None:
    """Install the own wheel in the folder `wheels`, the prepared ones and the web files; compile them."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = f"usr/lib/{version}/site-packages"
    every = [*wheels.glob("*.whl"), *(made.prepared / "wheels").glob("*.whl")]
    (made.target / packages).mkdir(parents=True, exist_ok=True)
    payload.unpack(made.target, packages, every, made.prepared / "web")
    compile_python(made, made.target / payload.SITE)


def compile_python(made: Build, path: Path) -> None:
    """Compile a Python file, or all in a folder (as tree.compile_python does); raises BuildError."""
    compiler = compileall.compile_dir if path.is_dir() else compileall.compile_file
    compiled = compiler(
        path,
        quiet=1,
        force=True,
        stripdir=made.target,
        prependdir="/",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise BuildError(f"{path} cannot be compiled: see above.")


def compile_libraries(made: Build) -> None:
    """Compile Python's own library as the payload: Buildroot's way, every import would look at its source."""
    for folder in sorted((made.target / "usr/lib").glob("python3*")):
        compile_python(made, folder)


def write_files(made: Build) -> None:
    """Write what is made with the image (board/allegro/image/made.py), and what it is."""
    layout = read_layout(BOARD / "layout.toml")
    root.write_release(made.target, made.edition.version, made.shop.epoch, "buildroot")
    keyring = (made.prepared / "keyring.pem").read_text()
    notes = release_notes((REPOSITORY / "CHANGELOG.md").read_text(), made.edition.version)
    root.write_made(made.target, made_files(layout, made.compatible, keyring, notes))
    root.close_to_machine(made.target, made.edition)


def drop_unneeded(made: Build) -> None:
    """Remove what packages bring and the device does not need; all gone already when nothing was rebuilt."""
    tree.drop(made.target, words(BOARD / "buildroot/drop.txt"))


def gather_zones(made: Build) -> None:
    """Put the time zones where their links are: Python lists no zones behind links (zoneinfo, PEP 615)."""
    zones = made.target / "usr/share/zoneinfo"
    for link in [path for path in zones.iterdir() if path.is_symlink()]:
        zone = link.resolve()
        link.unlink()
        zone.rename(link)
    remove(zones / "posix")
    remove(zones / "right")  # the same with leap seconds


def forget_build_folder(made: Build) -> None:
    """Take the folder of the build out of Python's account of it (sysconfig).

    An image that knows its folder is another one when it is built elsewhere. Raises BuildError if it does.
    """
    folder = str(made.build.parent)
    for account in (made.target / "usr/lib").glob("python3*/_sysconfigdata*.py"):
        account.write_text(account.read_text().replace(folder, "buildroot"))  # as the compiler is told to
        compile_python(made, account)
    files = [path for path in sorted(made.target.rglob("*")) if path.is_file() and not path.is_symlink()]
    if knowing := [path for path in files if folder.encode() in path.read_bytes()]:
        names = "".join(f"\n    {path.relative_to(made.target)}" for path in knowing)
        raise BuildError(
            f"Files of the image name the folder of the build, {folder}; built elsewhere they would differ:"
            f"{names}\nRemedy: ALLEGRO_NO_BUILD_RPATH in external.mk, or board/allegro/buildroot/drop.txt."
        )


def check_compiled(made: Build) -> None:
    """See that no program compiles anything at its start."""
    tree.check_compiled(made.target)


def empty_folders(made: Build) -> None:
    """Leave mount points empty, and no unit enabled: Buildroot enables what the preset file names."""
    units = made.target / "etc/systemd/system"
    remove(units)
    units.mkdir(parents=True)
    root.empty_folders(made.target)


def place_kernel(made: Build) -> None:
    """Make the initramfs, and leave what GRUB reads in /boot."""
    initramfs = made.shop.work / "initramfs"
    busybox = made.target / "usr/bin/busybox"
    sources = BOARD / "initramfs"
    boot.make_initramfs(made.shop, made.host, busybox, made.target, sources, initramfs)
    folder = made.target / "boot"
    remove(folder)
    folder.mkdir()
    kernel = tree.kernel_version(made.target)
    shutil.copy(made.images / "bzImage", folder / f"vmlinuz-{kernel}")
    root.place_kernel(made.target, initramfs, made.edition)


def make_disk(made: Build) -> None:
    """Make GRUB and the disk image, images/allegro.img."""
    layout = read_layout(BOARD / "layout.toml")
    grub = made.shop.work / "grub"
    remove(grub)
    boot.make_grub(made.shop, made.host, str(made.images / "grub"), grub)
    configuration = disk.grub_configuration(BOARD / "grub/grub.cfg.in", made.edition.kernel_options, layout)
    target = made.images / "allegro.img"
    remove(target)
    slot = made.images / "rootfs.squashfs"
    disk.make_disk(made.shop, made.host, layout, made.edition.version, grub, configuration, slot, target)


def write_manifest(made: Build) -> None:
    """Write images/manifest.txt: sizes and versions."""
    files = (made.build / "packages-file-list.txt").read_text()
    folders = [path.name for path in made.build.iterdir()]
    text = manifest.render(
        f"allegro {made.edition.version}, built with Buildroot, kernel {tree.kernel_version(made.target)}",
        [
            (
                "slot (squashfs with kernel, initramfs and root file system)",
                (made.images / "rootfs.squashfs").stat().st_size,
            ),
            ("  of it initramfs", (made.target / "boot/initramfs.img").stat().st_size),
            ("system unpacked", manifest.tree_size(made.target)),
            ("  of it kernel modules", manifest.tree_size(made.target / "usr/lib/modules")),
            ("  of it payload", manifest.tree_size(made.target / payload.SITE)),
            ("disk image (sparse)", (made.images / "allegro.img").stat().st_size),
        ],
        "Buildroot packages",
        manifest.buildroot_items(made.target, files, folders),
        manifest.wheel_items(list((made.prepared / "wheels").glob("*.whl"))),
    )
    (made.images / "manifest.txt").write_text(text)


STEPS: dict[str, list[Callable[[Build], None]]] = {
    "post-build": [
        write_files,
        drop_unneeded,
        gather_zones,
        compile_libraries,
        empty_folders,
        place_kernel,
        forget_build_folder,
        check_compiled,
    ],
    "post-image": [make_disk, write_manifest],
}


def main(words_given: list[str]) -> int:
    """Do what Buildroot asks for; returns the exit code."""
    what, folder = words_given[:2]
    sys.pycache_prefix = None  # what is compiled for the device lies beside its source, whatever is set here
    try:
        made = build_from_environment()
        if what == "payload":
            install_payload(made, Path(folder))
        else:
            for step in STEPS[what]:
                made.shop.say(step.__name__.replace("_", " "))
                step(made)
    except BuildError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
