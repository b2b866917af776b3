"""The root file system of a slot: system, payload, overlay, kernel and initramfs in one squashfs."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from board.allegro.image import payload
from board.allegro.image.boot import environment_block
from board.allegro.image.edition import Edition
from board.allegro.image.tree import check_compiled, kernel_version
from board.allegro.image.workshop import Workshop, copy_source, remove

EMPTY_FOLDERS = ("var", "data", "run", "tmp", "root", "home", "mnt", "srv", "opt", "media")


def make_root(
    shop: Workshop,
    tools: Path,
    system: Path,
    wheels: list[Path],
    web: Path,
    initramfs: Path,
    overlay: Path,
    edition: Edition,
    made: Mapping[str, str],
    target: Path,
) -> None:
    """Make the squashfs `target`; `made` are the path and text of further files."""
    tree = target.with_name("root-tree")
    remove(tree)
    subprocess.run(["cp", "-a", "--reflink=auto", system, tree], check=True)
    shop.say("    payload")
    payload.install(shop, tree, wheels, web)
    shop.say("    overlay")
    copy_source(overlay, tree)
    write_release(tree, edition.version, shop.epoch, "debian")
    write_made(tree, made)
    close_to_machine(tree, edition)
    set_up(shop, tree)
    place_kernel(tree, initramfs, edition)
    check_compiled(tree)
    shop.say("    squashfs")
    squash(shop, tools, tree, target)
    remove(tree)


def write_made(tree: Path, made: Mapping[str, str]) -> None:
    """Write files that are made with the image: path below `tree`, text."""
    for name, text in made.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)


def write_release(tree: Path, version: str, epoch: int, base: str) -> None:
    """Write /etc/allegro-release (what the device calls itself) beside the base system's own os-release."""
    date = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"NAME=allegro\nVERSION={version}\nDATE={date}\nBASE={base}\n"
    (tree / "etc/allegro-release").write_text(text)


def close_to_machine(tree: Path, edition: Edition) -> None:
    """Mask, in what is shipped, the generator that makes units of credentials and of kernel options.

    systemd.generator(7); the development image needs it for the agent of the bench.
    """
    mask = tree / "etc/systemd/system-generators/systemd-debug-generator"
    remove(mask)
    if edition.shipped:
        mask.parent.mkdir(parents=True, exist_ok=True)
        mask.symlink_to("/dev/null")


def set_up(shop: Workshop, tree: Path) -> None:
    """Do what package scripts and first boots do elsewhere: users, enabled units, links, empty folders."""
    shop.run_inside(tree, ["systemd-sysusers"], log="sysusers")
    date_passwords(tree, shop.epoch)
    for left_over in (tree / "etc").glob("*-"):
        left_over.unlink()
    units = tree / "etc/systemd/system"
    remove(units)
    units.mkdir()
    shop.run_inside(tree, ["systemctl", "preset-all"], log="preset")
    empty_folders(tree)


def date_passwords(tree: Path, epoch: int) -> None:
    """Give all entries of /etc/shadow (shadow(5), third field) the day of the source, in days since 1970.

    Those of the base system bear the day on which it was built, which may be another one.
    """
    shadow = tree / "etc/shadow"
    entries = [line.split(":") for line in shadow.read_text().splitlines()]
    for entry in entries:
        entry[2] = str(epoch // 86400) if entry[2] else ""
    shadow.write_text("".join(":".join(entry) + "\n" for entry in entries))


def empty_folders(tree: Path) -> None:
    """Leave folders that are mount points or unused empty, and the links that programs expect."""
    for name in EMPTY_FOLDERS:
        remove(tree / name)
        (tree / name).mkdir()
    (tree / "root").chmod(0o700)
    (tree / "tmp").chmod(0o1777)
    (tree / "etc/machine-id").write_text("")
    links = {
        "etc/resolv.conf": "../run/systemd/resolve/stub-resolv.conf",
        "etc/mtab": "../proc/self/mounts",
        "etc/localtime": "../run/allegro/localtime",  # the time zone is a setting
    }
    for name, goal in links.items():
        remove(tree / name)
        (tree / name).symlink_to(goal)


def place_kernel(tree: Path, initramfs: Path, edition: Edition) -> None:
    """Leave in /boot what GRUB reads: kernel, its checksum and options, initramfs, the version for the menu.

    The initramfs needs no checksum: the kernel notices damage there, and restarts.
    """
    boot = tree / "boot"
    kernel = boot / f"vmlinuz-{kernel_version(tree)}"
    kernel.rename(boot / "vmlinuz")
    shutil.copy(initramfs, boot / "initramfs.img")
    digest = hashlib.sha256((boot / "vmlinuz").read_bytes()).hexdigest()
    (boot / "SHA256SUMS").write_text(f"{digest}  /boot/vmlinuz\n")
    (boot / "version.env").write_bytes(environment_block(version=edition.version))
    (boot / "kernel.env").write_bytes(environment_block(options=edition.kernel_options))
    for name in ("vmlinuz", "vmlinuz.old", "initrd.img", "initrd.img.old"):
        remove(tree / name)


def squash(shop: Workshop, tools: Path, tree: Path, target: Path) -> None:
    """Pack the tree.

    lzo is the quickest to unpack of those that GRUB can read, which counts on small processors and without
    virtualisation. Kernel and initramfs are packed already; GRUB reads them faster as they are.
    """
    # mksquashfs takes times from options or from the environment, but not from both
    command = [
        "env",
        "--unset=SOURCE_DATE_EPOCH",
        "mksquashfs",
        shop.inside(tree),
        shop.inside(target),
        "-noappend",
        "-no-progress",
        "-quiet",
    ]
    command += ["-comp", "lzo", "-Xcompression-level", "6", "-b", "128K"]
    command += ["-all-time", str(shop.epoch), "-mkfs-time", str(shop.epoch), "-no-exports", "-no-xattrs"]
    command += ["-action", "uncompressed@(pathname(boot/*))"]
    shop.run_inside(tools, command, log="squashfs")
