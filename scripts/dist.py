"""Make everything that a release consists of, in build/dist: `make dist`, as root."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from board.allegro.image import disk, edition
from board.allegro.image.layout import read_layout, stable_id
from board.allegro.image.signing_keys import find_keys, for_development
from board.allegro.image.workshop import BuildError, Workshop, exit_code, remove
from board.allegro.release import images, sbom, texts
from board.allegro.release.components import (
    Component,
    browser_components,
    debian_components,
    wheel_component,
)
from board.allegro.release.flash_archive import write_flash
from board.allegro.release.licences import licence_list
from board.allegro.release.ova import write_ova
from scripts import build_vm
from scripts.build_vm import BOARD, REPOSITORY, STEPS, Built

RELEASE = BOARD / "release"
OUTPUT = REPOSITORY / "build/dist"
LICENCE = "Apache-2.0"
SUMS = "SHA256SUMS"

FROM_TOOLS = {"boot loader": ("grub-pc-bin", "grub-efi-amd64-bin"), "initramfs": ("busybox-static",)}
"""Packages of the building system of which parts are in the image."""


def make_release() -> None:
    """Make and publish everything. Raises BuildError."""
    if os.geteuid() != 0:
        raise BuildError("Making images needs root.\nRemedy: sudo make dist")
    shop = Workshop(
        REPOSITORY / "build/vm", REPOSITORY / "build/downloads", REPOSITORY, build_vm.source_epoch()
    )
    made_for = edition.to_hand_out(
        build_vm.project_fact("VERSION"), build_vm.KERNEL_OPTIONS, for_development=for_development()
    )
    keys = find_keys(REPOSITORY / "build/keys")
    built = build_vm.build(shop, keys, read_layout(BOARD / "layout.toml"), made_for, with_bundle=True)
    made = shop.step("release", inputs(shop, built), lambda target: make(shop, built, target))
    files = {file.name: file for file in made.iterdir()}
    if built.bundle is not None:
        files[build_vm.bundle_name(built.version)] = built.bundle
    publish(files, OUTPUT)
    for file in sorted(OUTPUT.iterdir()):
        shop.say(f"{file.stat().st_size / (1 << 20):8.1f} MiB  {file.relative_to(REPOSITORY)}")


def inputs(shop: Workshop, built: Built) -> list[str | Path]:
    """Return everything that a release depends on."""
    names = [path.name for path in (built.tools, built.base, built.system, built.slot, built.grub, built.web)]
    own = [REPOSITORY / "scripts" / name for name in ("dist.py", "flashing.py", "blockmap.py")]
    disks = REPOSITORY / "python/allegro/storage/disks.py"
    return [
        *names,
        built.version,
        built.configuration,
        str(shop.epoch),
        STEPS / "disk.py",
        RELEASE,
        disks,
        *own,
    ]


def make(shop: Workshop, built: Built, target: Path) -> None:
    """Make all files of a release in the new folder `target`."""
    target.mkdir()
    base = f"{build_vm.project_fact('NAME')}-{built.version}"

    def named(ending: str) -> Path:
        return target / f"{base}{ending}"

    layout = read_layout(BOARD / "layout.toml", images.DATA_SIZE)
    whole, raw = named(".img"), named(".raw")
    tools, version = built.tools, built.version
    shop.say("    disk image")
    disk.make_disk(shop, tools, layout, version, built.grub, built.configuration, built.slot, whole)
    images.write_ranges(whole, images.ranges_to_write(layout, built.slot.stat().st_size), raw)
    whole.unlink()
    images.block_map(shop, tools, raw, named(".raw.bmap"))
    shop.say("    raw.zst")
    images.pack(shop, tools, raw, named(".raw.zst"))
    for form in ("qcow2", "vmdk"):
        shop.say(f"    {form}")
        images.virtual_disk(shop, tools, raw, form, version, named(f".{form}"))
    raw.unlink()
    shop.say("    ova")
    write_ova(named(".ova"), "Allegro", version, named(".vmdk"), images.VIRTUAL_DISK, shop.epoch)
    shop.say("    components")
    write_lists(shop, built, named)
    write_flash(REPOSITORY, named("-flash.pyz"))


def write_lists(shop: Workshop, built: Built, named: Callable[[str], Path]) -> None:
    """Write SBOM, list of licences, and the licences' texts."""
    system = debian_components(built.system, built.base, "root file system")
    from_tools = [
        component
        for part, packages in FROM_TOOLS.items()
        for component in debian_components(built.tools, built.tools, part, packages)
    ]
    wheels = sorted(built.libraries)
    lock = REPOSITORY / "python/allegro/web/assets/package-lock.json"
    components: list[Component] = [
        *system,
        *from_tools,
        *(wheel_component(wheel, "root file system") for wheel in wheels),
        *browser_components(lock, "web page"),
    ]
    title = f"Allegro {built.version}"
    serial = stable_id(built.version, f"sbom/{built.slot.name}/{built.grub.name}")
    named("-sbom.cdx.json").write_text(
        sbom.bill("allegro", built.version, LICENCE, components, shop.epoch, serial)
    )
    archive = named("-licence-texts.tar")
    named("-licences.txt").write_text(licence_list(f"Licences in {title}", components, f"{archive.name}.zst"))
    texts.write_texts(
        archive,
        [(built.base, system), (built.tools, from_tools)],
        wheels,
        built.web,
        shop.epoch,
    )
    images.pack(shop, built.tools, archive, archive.with_name(f"{archive.name}.zst"))
    archive.unlink()


def write_sums(folder: Path) -> None:
    """Write the checksums of all files, as sha256sum(1) checks them."""
    lines = []
    for file in sorted(folder.iterdir()):
        with file.open("rb") as data:
            lines.append(f"{hashlib.file_digest(data, 'sha256').hexdigest()}  {file.name}\n")
    (folder / SUMS).write_text("".join(lines))


def publish(files: Mapping[str, Path], target: Path) -> None:
    """Put files under their names where people look for them, with checksums, as hard links."""
    remove(target)
    target.mkdir(parents=True)
    for name, file in files.items():
        (target / name).hardlink_to(file)
    write_sums(target)


if __name__ == "__main__":
    sys.exit(exit_code(make_release))
