"""What Buildroot calls (payload, post-build, post-image), with the development image's tools.

Buildroot itself takes an hour or more; its own checks are `make image-check`.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from board.allegro.image.edition import REFUSE_CREDENTIALS
from board.allegro.image.layout import SECTOR, read_layout

REPOSITORY = Path(__file__).resolve().parents[2]
KERNEL = "6.12.90"

INSIDE = """
set -e
export HOST_DIR=/usr TARGET_DIR=/tmp/br/target BINARIES_DIR=/tmp/br/images BUILD_DIR=/tmp/br/build
export SOURCE_DATE_EPOCH=1790000000 ALLEGRO_PREPARED=/tmp/br/prepared
export PYTHONPATH=/tmp/repository:/tmp/repository/python PYTHONDONTWRITEBYTECODE=1
for platform in i386-pc x86_64-efi; do
    mkdir -p "$BINARIES_DIR/grub/$platform"
    cp /usr/lib/grub/$platform/*.* "$BINARIES_DIR/grub/$platform"
done
cp /usr/bin/busybox "$TARGET_DIR/usr/bin/"
for round in first again; do
    python3 -m board.allegro.image.buildroot payload /tmp/br/dist
    /tmp/repository/board/allegro/buildroot/post-build.sh "$TARGET_DIR"
done
mksquashfs "$TARGET_DIR" "$BINARIES_DIR/rootfs.squashfs" -quiet -no-progress -comp lzo
/tmp/repository/board/allegro/buildroot/post-image.sh "$BINARIES_DIR"
zstd -dc "$TARGET_DIR/boot/initramfs.img" | cpio --quiet --list >/tmp/br/initramfs.txt
unsquashfs -llc "$BINARIES_DIR/rootfs.squashfs" >/tmp/br/squashfs.txt
"""

BY_CHROOT = """
mount --bind /dev "$1/dev"; mount -t proc proc "$1/proc"; mount -t tmpfs tmpfs "$1/tmp"
mkdir "$1/tmp/br" "$1/tmp/repository"
mount --bind "$2" "$1/tmp/br"; mount --bind "$3" "$1/tmp/repository"
exec chroot "$1" sh -c "$4"
"""


def wheel(folder: Path, name: str, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def partitions(disk: Path) -> list[tuple[str, int, int]]:
    """Return name, start and size of the partitions in a GPT (UEFI specification 2.10, 5.3)."""
    with disk.open("rb") as data:
        data.seek(2 * SECTOR)
        entries = [data.read(128) for _ in range(128)]
    found = []
    for entry in entries:
        first, last = struct.unpack_from("<QQ", entry, 32)
        if first:
            name = entry[56:128].decode("utf-16-le").rstrip("\0")
            found.append((name, first * SECTOR, (last - first + 1) * SECTOR))
    return found


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    """A folder with what Buildroot would have built, after the steps have run."""
    tools = sorted((REPOSITORY / "build/vm/work").glob("tools-" + "[0-9a-f]" * 16))
    assert len(tools) == 1, "the tools of the development image are not there: make vm"
    work = REPOSITORY / "build/buildroot-steps"
    shutil.rmtree(work, ignore_errors=True)
    target = work / "target"
    modules = target / "usr/lib/modules" / KERNEL
    for folder in (
        "usr/bin",
        "etc/systemd/system/multi-user.target.wants",
        "usr/share/locale/de",
        "var/lib/x",
    ):
        (target / folder).mkdir(parents=True)
    modules.mkdir(parents=True)
    (target / "etc/systemd/system/multi-user.target.wants/foreign.service").touch()
    zones = target / "usr/share/zoneinfo"
    for folder in ("posix/Europe", "right/Europe"):
        (zones / folder).mkdir(parents=True)
        (zones / folder / "Berlin").write_text(folder)
    (zones / "Europe").symlink_to("posix/Europe")
    names = (REPOSITORY / "board/allegro/initramfs/modules.txt").read_text().splitlines()
    built_in = [name for name in names if name and not name.startswith("#")]
    (modules / "modules.builtin").write_text("".join(f"kernel/drivers/{name}.ko\n" for name in built_in))
    for name in ("modules.dep", "modules.order"):
        (modules / name).touch()
    (work / "images").mkdir()
    (work / "images/bzImage").write_bytes(b"kernel" * 1000)
    (work / "build/linux-6.12.90").mkdir(parents=True)
    listed = f"linux,./usr/lib/modules/{KERNEL}/modules.builtin\n"
    (work / "build/packages-file-list.txt").write_text(listed)
    wheel(work / "dist", "allegro", {"allegro/__init__.py": "own = 1\n"})
    wheel(work / "prepared/wheels", "other", {"other.py": "x = 1\n"})
    (work / "prepared/web").mkdir()
    (work / "prepared/web/page.js").write_text("page\n")
    (work / "prepared/keyring.pem").write_text("keyring\n")
    done = subprocess.run(
        [
            *("unshare", "--mount", "--propagation", "private", "sh", "-euc", BY_CHROOT, "sh"),
            *(str(tools[0]), str(work), str(REPOSITORY), INSIDE),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    yield work
    shutil.rmtree(work)


@pytest.mark.spec("I1")
def test_disk_has_the_layout_and_the_same_system_twice(work: Path) -> None:
    layout = read_layout(REPOSITORY / "board/allegro/layout.toml")
    assert partitions(work / "images/allegro.img") == [
        (part.name, part.start, part.size) for part in layout.partitions
    ]
    slot = (work / "images/rootfs.squashfs").read_bytes()
    with (work / "images/allegro.img").open("rb") as disk:
        for name in ("slot-a", "factory"):
            disk.seek(layout[name].start)
            assert disk.read(len(slot)) == slot
        disk.seek(layout["bios-boot"].start)
        assert disk.read(512).count(b"\0") < 400, "GRUB for BIOS is missing"


@pytest.mark.spec("I1")
def test_slot_holds_what_the_boot_flow_needs(work: Path) -> None:
    target = work / "target"
    assert sorted(path.name for path in (target / "boot").iterdir()) == [
        "SHA256SUMS",
        "initramfs.img",
        "kernel.env",
        "version.env",
        "vmlinuz",
    ]
    assert REFUSE_CREDENTIALS in (target / "boot/kernel.env").read_text()
    mask = target / "etc/systemd/system-generators/systemd-debug-generator"
    assert mask.readlink() == Path("/dev/null")
    initramfs = (work / "initramfs.txt").read_text().split()
    assert {"init", "bin/busybox", "bin/switch_root"} <= set(initramfs)
    assert "BASE=buildroot\n" in (target / "etc/allegro-release").read_text()
    assert (target / "etc/rauc/keyring.pem").read_text() == "keyring\n"
    assert "[slot.rootfs.0]" in (target / "etc/rauc/system.conf").read_text()


@pytest.mark.spec("I1")
def test_payload_lies_where_python_finds_it_and_the_rest_is_gone(work: Path) -> None:
    target = work / "target"
    site = target / "usr/lib/allegro/site"
    assert (site / "allegro/__init__.py").exists()
    assert (site / "other.py").exists()
    assert (site / "allegro/web/built/page.js").exists()
    assert list((site / "__pycache__").glob("other.*.pyc"))
    links = list((target / "usr/lib").glob("python3.*/site-packages/allegro.pth"))
    assert [link.read_text() for link in links] == ["/usr/lib/allegro/site\n"]
    assert not (target / "usr/share/locale").exists()
    assert list((target / "etc/systemd/system").iterdir()) == []
    assert list((target / "var").iterdir()) == []
    zones = target / "usr/share/zoneinfo"
    assert [path.relative_to(zones) for path in zones.rglob("*")] == [Path("Europe"), Path("Europe/Berlin")]
    assert (zones / "Europe/Berlin").read_text() == "posix/Europe"


@pytest.mark.spec("I1")
def test_manifest_says_sizes_and_versions(work: Path) -> None:
    text = (work / "images/manifest.txt").read_text()
    assert f"built with Buildroot, kernel {KERNEL}" in text
    assert " linux 6.12.90\n" in text
    assert " other 1.0\n" in text
