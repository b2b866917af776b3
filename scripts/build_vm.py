"""Make the development image build/vm/allegro.img from Debian 13 packages and our own: `make vm`, as root.

Every step is kept until its inputs change; an interrupted build goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from board.allegro.image import (
    boot,
    bootstrap,
    bundle,
    debian_system,
    disk,
    edition,
    manifest,
    payload,
    root,
)
from board.allegro.image.edition import Edition
from board.allegro.image.layout import Layout, parse_size, read_layout
from board.allegro.image.made import made_files
from board.allegro.image.notes import release_notes
from board.allegro.image.signing_keys import VARIABLES, Keys, find_keys
from board.allegro.image.tree import kernel_version
from board.allegro.image.workshop import BuildError, Workshop, exit_code, fingerprint, remove, words
from scripts import web_assets

REPOSITORY = Path(__file__).resolve().parent.parent
BOARD = REPOSITORY / "board/allegro"
STEPS = BOARD / "image"
INPUTS = (
    *("board", "python", "rootfs_overlay", "requirements/payload.txt", "docs/manual", "docs/images"),
    *(
        "meta",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "scripts/build_vm.py",
        "scripts/web_assets.py",
    ),
)
"""Everything of the repository that goes into the image."""

KERNEL_OPTIONS = BOARD / "kernel-command-line.txt"

FALLBACK_EPOCH = 1_767_225_600  # 2026-01-01, when neither git nor SOURCE_DATE_EPOCH tells


def main() -> None:
    """Build as the command line says. Raises BuildError."""
    options = parse_options()
    if os.geteuid() != 0:
        raise BuildError("Making an image needs root.\nRemedy: sudo make vm")
    data_size = parse_size(options.data_size) if options.data_size else None
    layout = read_layout(BOARD / "layout.toml", data_size)
    shop = Workshop(options.output.resolve(), options.downloads.resolve(), REPOSITORY, source_epoch())
    keys = find_keys(options.keys.resolve())
    publish(shop, layout, build(shop, keys, layout, own_edition(), with_bundle=options.bundle))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="build_vm", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--output", type=Path, default=REPOSITORY / "build/vm", help="folder of the image and its steps"
    )
    parser.add_argument(
        "--downloads", type=Path, default=REPOSITORY / "build/downloads", help="folder of downloaded packages"
    )
    parser.add_argument(
        "--data-size",
        default=os.environ.get("DATA_SIZE"),
        help="size of the data partition, such as 20G (or DATA_SIZE=20G); default: what a disk of 5G leaves",
    )
    parser.add_argument(
        "--keys",
        type=Path,
        default=REPOSITORY / "build/keys",
        help="folder of the development keys that sign bundles (made if missing), unless the environment"
        f" names release keys: {', '.join(VARIABLES)}",
    )
    parser.add_argument("--bundle", action="store_true", help="make the update bundle, too")
    return parser.parse_args()


def source_epoch() -> int:
    """Return the time of all files in the image: SOURCE_DATE_EPOCH, or the last commit to its inputs."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    command = [
        "git",
        "-c",
        f"safe.directory={REPOSITORY}",
        "-C",
        str(REPOSITORY),
        "log",
        "-1",
        "--format=%ct",
        "--",
        *INPUTS,
    ]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        answer = ""
    return int(answer) if answer else FALLBACK_EPOCH


def project_fact(name: str) -> str:
    """Return a value of the file meta."""
    fields = dict(line.split("=", 1) for line in words(REPOSITORY / "meta"))
    return fields[name]


def own_edition() -> Edition:
    """Return the edition of `make vm`."""
    return edition.development(project_fact("VERSION"), KERNEL_OPTIONS)


@dataclass(frozen=True)
class Built:
    """What an image is put together from: results of the steps; the update bundle, if it was asked for.

    `libraries` are the wheels of others, `wheels` these and our own.
    """

    version: str
    tools: Path
    base: Path
    system: Path
    libraries: list[Path]
    wheels: list[Path]
    web: Path
    initramfs: Path
    slot: Path
    grub: Path
    configuration: str
    bundle: Path | None


def build(shop: Workshop, keys: Keys, layout: Layout, made_for: Edition, *, with_bundle: bool) -> Built:
    """Make what the image is put together from, step by step; those of another edition stay."""
    shop.open()
    version = made_for.version
    compatible = project_fact("COMPATIBLE")
    notes = release_notes((REPOSITORY / "CHANGELOG.md").read_text(), version)
    epoch = str(shop.epoch)
    lists = BOARD / "debian"
    requirements = REPOSITORY / "requirements/payload.txt"

    tools = shop.step(
        "tools",
        [STEPS / "bootstrap.py", lists / "tools.txt"],
        lambda target: bootstrap.bootstrap(shop, lists / "tools.txt", target),
    )
    base = shop.step(
        "base",
        [STEPS / "bootstrap.py", lists / "packages.txt"],
        lambda target: bootstrap.bootstrap(shop, lists / "packages.txt", target),
    )
    tree = shop.step(
        "system",
        [
            base.name,
            STEPS / "debian_system.py",
            STEPS / "tree.py",
            *(lists / name for name in ("drop.txt", "kernel-modules.txt", "firmware.txt")),
        ],
        lambda target: debian_system.make_system(shop, base, lists, target),
    )
    libraries = shop.step(
        "libraries",
        [requirements, payload.PYTHON, *payload.PLATFORMS],
        lambda target: payload.fetch_wheels(shop, requirements, target),
    )
    own = shop.step(
        "wheel",
        [tools.name, epoch, STEPS / "payload.py", *(REPOSITORY / name for name in payload.OWN_SOURCES)],
        lambda target: payload.make_wheel(shop, tools, target),
    )
    wheels = [*libraries.iterdir(), *own.iterdir()]
    initramfs = shop.step(
        "initramfs",
        [tools.name, tree.name, epoch, STEPS / "boot.py", STEPS / "tree.py", BOARD / "initramfs"],
        lambda target: boot.make_initramfs(
            shop, tools, tools / "usr/bin/busybox", tree, BOARD / "initramfs", target
        ),
    )
    web = shop.step(
        "web",
        web_assets.SOURCES,
        make_web,
    )
    overlay = REPOSITORY / "rootfs_overlay"
    made = made_files(layout, compatible, keys.keyring.read_text(), notes)
    kind = "" if made_for == own_edition() else "release-"
    slot = shop.step(
        f"{kind}root",
        [
            tree.name,
            libraries.name,
            own.name,
            web.name,
            initramfs.name,
            epoch,
            repr(made_for),
            STEPS / "root.py",
            STEPS / "boot.py",
            STEPS / "payload.py",
            STEPS / "tree.py",
            overlay,
            *made.values(),
        ],
        lambda target: root.make_root(
            shop, tools, tree, wheels, web, initramfs, overlay, made_for, made, target
        ),
    )
    grub = shop.step(
        "grub",
        [tools.name, epoch, STEPS / "boot.py"],
        lambda target: boot.make_grub(shop, tools, "/usr/lib/grub", target),
    )
    configuration = disk.grub_configuration(BOARD / "grub/grub.cfg.in", made_for.kernel_options, layout)
    signed = None
    if with_bundle:
        signed = shop.step(
            f"{kind}bundle",
            [
                *(tools.name, slot.name, epoch, version, compatible, notes, STEPS / "bundle.py"),
                *(keys.certificate, keys.keyring),
            ],
            lambda target: bundle.make_bundle(shop, tools, slot, keys, compatible, version, notes, target),
        )
    return Built(
        version,
        tools,
        base,
        tree,
        [*libraries.iterdir()],
        wheels,
        web,
        initramfs,
        slot,
        grub,
        configuration,
        signed,
    )


def publish(shop: Workshop, layout: Layout, built: Built) -> None:
    """Put image, manifest and bundle of the development image where people and tests look for them."""
    version = built.version
    publish_image(
        shop,
        fingerprint(
            [
                built.slot.name,
                built.grub.name,
                built.configuration,
                repr(layout),
                version,
                str(shop.epoch),
                STEPS / "disk.py",
                STEPS / "boot.py",
                REPOSITORY / "python/allegro/firmware/boot_state.py",
            ]
        ),
        lambda target: disk.make_disk(
            shop, built.tools, layout, version, built.grub, built.configuration, built.slot, target
        ),
        lambda: manifest.render(
            f"allegro {version} development image, Debian 13 base, kernel {kernel_version(built.system)}",
            [
                ("slot (squashfs with kernel, initramfs and root file system)", built.slot.stat().st_size),
                ("  of it initramfs", built.initramfs.stat().st_size),
                (
                    "system unpacked, without payload",
                    manifest.tree_size(built.system) - manifest.tree_size(built.system / "var"),
                ),
                ("  of it kernel modules", manifest.tree_size(built.system / "usr/lib/modules")),
                ("disk image (sparse)", layout.size),
            ],
            "Debian packages",
            manifest.debian_items(built.system),
            manifest.wheel_items(built.wheels),
        ),
    )
    if built.bundle is not None:
        file = shop.folder / bundle_name(version)
        remove(file)
        file.hardlink_to(built.bundle)
        shop.say(f"ready: {file}")


def bundle_name(version: str) -> str:
    """Return the file name of a version's update bundle."""
    return f"{project_fact('NAME')}-{version}.raucb"


def make_web(target: Path) -> None:
    """Make the files of others for the web page, and the manual."""
    try:
        web_assets.make(target, for_device=True)
    except web_assets.AssetError as error:
        raise BuildError(str(error)) from error


def publish_image(
    shop: Workshop, key: str, make: Callable[[Path], None], describe: Callable[[], str]
) -> None:
    """Make image and manifest, unless they are there, from the same inputs and untouched."""
    image = shop.folder / "allegro.img"
    stamp = shop.folder / "allegro.img.stamp"
    description = shop.folder / "manifest.txt"
    if image.exists() and stamp.exists() and stamp.read_text() == identity(key, image):
        shop.say("image: unchanged")
    else:
        shop.say("image ...")
        partial = shop.work / "partial-image"
        remove(partial)
        make(partial)
        description.write_text(describe())
        stamp.unlink(missing_ok=True)
        partial.rename(image)
        stamp.write_text(identity(key, image))
    head = description.read_text().split("\n\nDebian packages")[0]
    shop.say(f"ready: {image}\n\n{head}\n")


def identity(key: str, image: Path) -> str:
    """Return what tells whether an image is the one made from these inputs; who starts it changes it."""
    state = image.stat()
    return f"{key} {state.st_size} {state.st_mtime_ns}\n"


if __name__ == "__main__":
    sys.exit(exit_code(main))
