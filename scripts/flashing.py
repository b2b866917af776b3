"""Write an Allegro image to a disk or stick, and read it back: `scripts/flash`.

bmaptool writes, because it is the field's tool for that: it knows the block map, checks the image while it
reads it, and takes the disk exclusively. Before it comes what it does not do: finding out whether this disk
may be overwritten; after it, reading everything back from the disk itself.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import mmap
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from allegro.errors import AllegroError
from allegro.storage.disks import Disk, is_claimed, objections, read_disks, size_text
from scripts.blockmap import BlockMap, BlockMapError, Range, parse_block_map

FAILED, WRONG_USAGE, DISK_REFUSED, NOT_CONFIRMED, IMAGE_REFUSED, INTERRUPTED = 1, 2, 3, 4, 5, 130
EXIT_CODES = """exit codes: 0 written and verified; 1 writing or verifying failed; 2 wrong usage;
3 this disk must not be overwritten; 4 not confirmed; 5 this file is no image for a disk; 130 interrupted"""

PIECE = 1 << 20
BLKFLSBUF = 0x1261  # linux/fs.h
SECTOR = 512

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1
KINDS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"QFI\xfb", "This is a qcow2 disk of a virtual machine"),
    (0, b"KDMV", "This is a VMDK disk of a virtual machine"),
    (257, b"ustar", "This is a virtual appliance (OVA) or another tar archive"),
    (0, b"hsqs", "This is an update bundle: install it on a running device"),
    (0, b"<?xml", "This is a block map: name the image beside it"),
    (0, b"\x1f\x8b", "This is a gzip file"),
    (0, b"\xfd7zXZ", "This is an xz file"),
)
"""Files that somebody could take for the image: where their mark stands, the mark, what to say."""


class FlashError(Exception):
    """Why nothing was written, or what went wrong; `code` is the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Image:
    """An image file that can be written; without a block map every byte of it is."""

    file: Path
    size: int
    block_map: BlockMap | None
    block_map_file: Path | None

    @property
    def to_write(self) -> int:
        """Bytes that reach the disk."""
        return self.block_map.mapped if self.block_map else self.size


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        if options.list or options.image is None:
            print(listing(read_disks()))
            return 0
        if options.disk is None:
            raise FlashError(f"Which disk?\n\n{listing(read_disks())}", WRONG_USAGE)
        image = open_image(options.image)
        disk = find_disk(options.disk)
        check_disk(disk, image)
        if not options.yes:
            confirm(disk, image)
        started = time.monotonic()
        write(image, disk)
        verify(image, Path(disk.path))
        took = time.monotonic() - started
        print(f"Written and read back: {image.file.name} is on {disk.path} ({took:.0f} s). Ready to remove.")
    except FlashError as error:
        print(f"flash: {error}", file=sys.stderr)
        return error.code
    except (AllegroError, OSError) as error:
        print(f"flash: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("\nInterrupted. What is on the disk now is not complete.", file=sys.stderr)
        return INTERRUPTED
    return 0


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    made = argparse.ArgumentParser(
        prog="flash",
        description="Writes an Allegro image to a disk or stick and reads it back."
        " Without arguments: lists the disks.",
        epilog=EXIT_CODES,
    )
    made.add_argument(
        "image", type=Path, nargs="?", help="…raw.zst with its …raw.bmap beside it, or a raw image"
    )
    made.add_argument("disk", nargs="?", help="the whole disk, for example /dev/sdb")
    made.add_argument("--list", action="store_true", help="list the disks and what speaks against them")
    made.add_argument("--yes", action="store_true", help="do not ask")
    return made


# -- which disk


def claimed(disk: Disk) -> bool:
    """Whether the kernel has given the disk or a part of it away; known to root only, else False."""
    try:
        return is_claimed((disk.path, *disk.partitions))
    except OSError:
        return False


def listing(disks: Iterable[Disk]) -> str:
    """The disks as a table, with what speaks against each."""
    rows = [("DISK", "SIZE", "BY", "MODEL", "SERIAL", "")]
    for disk in disks:
        if disk.kind == "disk":
            wrong = "; ".join(objections(disk, 0, claimed=claimed(disk)))
            row = (
                disk.path,
                size_text(disk.size),
                disk.transport or "-",
                disk.model or "-",
                disk.serial or "-",
            )
            rows.append((*row, f"no: {wrong}" if wrong else "can be overwritten"))
    if len(rows) == 1:
        return "There are no disks."
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def find_disk(name: str) -> Disk:
    """Return the disk that the user named by its path, also by a link such as /dev/disk/by-id/…"""
    path = Path(name if "/" in name else f"/dev/{name}").resolve()
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise FlashError(f"{name}: {error.strerror}.", DISK_REFUSED) from error
    if not stat.S_ISBLK(mode):
        raise FlashError(f"{name} is not a disk.", DISK_REFUSED)
    for disk in read_disks():
        if disk.path == str(path):
            return disk
        if str(path) in disk.partitions:
            raise FlashError(
                f"{path} is a partition. The image is a whole disk: name {disk.path}.", DISK_REFUSED
            )
    raise FlashError(f"{path} is not a disk that can be overwritten.", DISK_REFUSED)


def check_disk(disk: Disk, image: Image) -> None:
    """Refuse a disk that is in use, protected or too small. Raises FlashError."""
    if os.geteuid() != 0:
        raise FlashError("Writing to a disk needs root: sudo scripts/flash …", DISK_REFUSED)
    wrong = objections(disk, image.size, claimed=False)
    if not wrong and is_claimed((disk.path, *disk.partitions)):
        wrong = objections(disk, image.size, claimed=True)
    if disk.sector_size != SECTOR:
        wrong.append(f"its sectors have {disk.sector_size} bytes; the image is made for {SECTOR}")
    if wrong:
        raise FlashError(f"{disk.title} must not be overwritten: {'; '.join(wrong)}.", DISK_REFUSED)


def confirm(disk: Disk, image: Image) -> None:
    """Let the user type the disk's name. Raises FlashError if it is another text."""
    print(f"{image.file.name} ({size_text(image.size)}) goes onto {disk.title}.")
    print(f"What is on it will be lost: {', '.join(disk.holds) or 'nothing that is known here'}.")
    print(f'Type "{disk.name}" to go on: ', end="", flush=True)
    answer = sys.stdin.readline().strip()
    if answer not in (disk.name, disk.path):
        raise FlashError("Not confirmed. Nothing was written.", NOT_CONFIRMED)


# -- which image


def open_image(file: Path) -> Image:
    """Look at an image file and its block map. Raises FlashError for anything else than a disk image."""
    try:
        with file.open("rb") as data:
            head = data.read(SECTOR * 2)
        size = file.stat().st_size
    except OSError as error:
        raise FlashError(f"{file}: {error.strerror}.", IMAGE_REFUSED) from error
    for at, mark, text in KINDS:
        if head[at : at + len(mark)] == mark:
            raise FlashError(f"{file}: {text}. For disks there is the file …raw.zst.", IMAGE_REFUSED)
    packed = head.startswith(ZSTD_MAGIC)
    if packed != (file.suffix == ".zst") or not (packed or is_disk(head)):
        raise FlashError(f"{file} is not a disk image (no partition table).", IMAGE_REFUSED)
    for candidate in (file.with_name(f"{file.name}.bmap"), file.with_suffix(".bmap")):
        if candidate.exists():
            try:
                block_map = parse_block_map(candidate.read_bytes())
            except BlockMapError as error:
                raise FlashError(f"{candidate}: {error}", IMAGE_REFUSED) from error
            if not packed and block_map.size != size:
                raise FlashError(f"{candidate} belongs to another image: sizes differ.", IMAGE_REFUSED)
            return Image(file, block_map.size, block_map, candidate)
    if packed:
        wanted = file.with_suffix(".bmap").name
        raise FlashError(f"The block map {wanted} is missing: it belongs beside {file.name}.", IMAGE_REFUSED)
    return Image(file, size, None, None)


def is_disk(head: bytes) -> bool:
    """Whether these first two sectors begin a disk with a GUID partition table (UEFI specification, 5.3)."""
    return head[510:512] == b"\x55\xaa" and head[SECTOR : SECTOR + 8] == b"EFI PART"


# -- writing


def write(image: Image, disk: Disk) -> None:
    """Let bmaptool write. Raises FlashError with its words."""
    program = shutil.which("bmaptool")
    if program is None:
        raise FlashError("bmaptool is missing: install the package bmap-tools (Debian 13: bmaptool).", FAILED)
    mapping = ["--bmap", str(image.block_map_file)] if image.block_map_file else ["--nobmap"]
    command = [program, "--quiet", "copy", *mapping, str(image.file), disk.path]
    before = sectors_written(disk.name)
    bar = Bar("writing", image.to_write)
    with tempfile.TemporaryFile("w+", errors="replace") as words:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words)
        try:
            while process.poll() is None:
                bar.show((sectors_written(disk.name) - before) * SECTOR)
                time.sleep(0.2)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        words.seek(0)
        said = words.read().strip()
    if process.returncode:
        bar.stop()
        last = said.splitlines()[-1] if said else f"exit code {process.returncode}"
        raise FlashError(f"Writing failed, the disk cannot be used as it is now.\n{last}", FAILED)
    bar.end()
    forget_old_table(Path(disk.path), image.size, disk.size)


def sectors_written(name: str) -> int:
    """What the kernel has sent to the disk, in units of 512 bytes (block/stat.rst: 7th field)."""
    return int(Path("/sys/class/block", name, "stat").read_text().split()[6])


def forget_old_table(path: Path, image_size: int, disk_size: int) -> None:
    """Remove the copy of an older partition table at the disk's end, which is not part of the image."""
    end = min(disk_size - image_size, PIECE)
    with path.open("r+b", buffering=0) as disk:
        if end > 0:
            disk.seek(disk_size - end)
            disk.write(bytes(end))
        os.fsync(disk)


# -- reading back


def verify(image: Image, disk: Path) -> None:
    """Read back from the disk itself, past the kernel's memory, what was written. Raises FlashError."""
    bar = Bar("verifying", image.to_write)
    done = 0

    def count(step: int) -> None:
        nonlocal done
        done += step
        bar.show(done)

    with DiskReader(disk) as reader:
        for part in image.block_map.ranges if image.block_map else [source_sum(image)]:
            if reader.sha256(part.start, part.end, count) != part.sha256:
                bar.stop()
                raise FlashError(
                    f"The disk does not hold what was written to it (from byte {part.start} on).\n"
                    "It is defective, or smaller than it says. Use another one.",
                    FAILED,
                )
    bar.end()


def source_sum(image: Image) -> Range:
    """Return the whole image as one range."""
    with image.file.open("rb") as data:
        return Range(0, image.size, hashlib.file_digest(data, "sha256").hexdigest())


class DiskReader:
    """Reads a disk past the page cache (open(2), O_DIRECT); where that is not possible, after emptying it."""

    def __init__(self, disk: Path) -> None:
        self._memory = mmap.mmap(-1, PIECE)  # aligned to a page, as O_DIRECT wants it
        try:
            self._descriptor = os.open(disk, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
        except OSError:
            self._descriptor = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
        if stat.S_ISBLK(os.fstat(self._descriptor).st_mode):
            fcntl.ioctl(self._descriptor, BLKFLSBUF)

    def __enter__(self) -> DiskReader:
        """The reader; the disk is closed at the end of the block."""
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._descriptor)
        self._memory.close()

    def sha256(self, start: int, end: int, count: Callable[[int], None]) -> str:
        """Return the checksum of the bytes from `start` up to `end`; `count` is told how many were read."""
        digest = hashlib.sha256()
        with memoryview(self._memory) as view:
            while start < end:
                # whole sectors are read, also where the image ends within one
                wanted = min(PIECE, -(-(end - start) // 4096) * 4096)
                got = min(os.preadv(self._descriptor, [view[:wanted]], start), end - start)
                if not got:
                    break
                digest.update(view[:got])
                start += got
                count(got)
        return digest.hexdigest()


class Bar:
    """A progress bar on a terminal, a line for each tenth elsewhere."""

    WIDTH = 30

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = max(total, 1)
        self._start = time.monotonic()
        self._live = sys.stderr.isatty()
        self._shown = -1

    def show(self, done: int) -> None:
        """Tell that `done` bytes are done."""
        share = min(done / self._total, 1.0)
        step = int(share * (1000 if self._live else 10))
        if step == self._shown:
            return
        self._shown = step
        rate = done / max(time.monotonic() - self._start, 0.001)
        filled = int(share * self.WIDTH)
        bar = "#" * filled + "." * (self.WIDTH - filled)
        line = f"{self._what:<9} [{bar}] {share:4.0%}  {size_text(done)}, {size_text(int(rate))}/s"
        print(
            f"\r{line:<78}" if self._live else line,
            end="" if self._live else "\n",
            file=sys.stderr,
            flush=True,
        )

    def end(self) -> None:
        """All is done."""
        self.show(self._total)
        self.stop()

    def stop(self) -> None:
        """Leave the line."""
        if self._live:
            print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
