"""The firmware files on the data partition. What is not accepted, or not complete, has a hidden name."""

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from allegro.atomic import sync_directory
from allegro.errors import Conflict, InvalidInput, NotFound, Unavailable
from allegro.firmware.bundles import FILE_NAME, SUFFIX
from allegro.firmware.release_index import Offer

RESERVE = 64 << 20
"""Always left free on the data partition: settings, jobs and captures lie there as well."""

_UPLOAD = ".upload-"
_DOWNLOAD = ".download-"


@dataclass(frozen=True)
class StoredFile:
    """A file that was accepted once; size in bytes."""

    name: str
    size: int
    modified_ns: int


class FirmwareFiles:
    """The folder of firmware files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[StoredFile]:
        """All files, by name."""
        with contextlib.suppress(FileNotFoundError):
            found = [entry for entry in os.scandir(self.folder) if FILE_NAME.fullmatch(entry.name)]
            stored = [(entry.name, entry.stat()) for entry in found if entry.is_file(follow_symlinks=False)]
            return sorted(
                (StoredFile(name, status.st_size, status.st_mtime_ns) for name, status in stored),
                key=lambda file: file.name,
            )
        return []

    def path(self, name: str) -> Path:
        """Where a file lies. Raises InvalidInput for a bad name, NotFound."""
        path = self.folder / checked_name(name)
        if not path.is_file():
            raise NotFound(f"There is no firmware file {name}.", place="name")
        return path

    def delete(self, name: str) -> None:
        """Raises NotFound, InvalidInput, Unavailable."""
        path = self.path(name)
        try:
            path.unlink()
            sync_directory(self.folder)
        except OSError as error:
            raise Unavailable(f"{name} could not be deleted: {error.strerror}.") from error

    def check_space(self, size: int) -> None:
        """Raises Conflict if a file of `size` bytes has no room, Unavailable if that cannot be known."""
        try:
            self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise Unavailable(f"The data partition cannot be used: {error.strerror}.") from error
        if size + RESERVE > free:
            raise Conflict(
                f"There is not enough space for the firmware: {size / 1e6:.0f} MB are needed,"
                f" {max(0, free - RESERVE) / 1e6:.0f} MB are free.",
                remedy="Delete firmware files or captures that are not needed any more.",
            )

    def upload_path(self, name: str) -> Path:
        """Where an upload lies until it is accepted."""
        return self.folder / f"{_UPLOAD}{checked_name(name)}"

    def download_path(self, offer: Offer) -> Path:
        """Where a download lies until it is accepted; another file under the same name lies elsewhere."""
        return self.folder / f"{_DOWNLOAD}{offer.sha256[:16]}-{offer.file}"

    def accept(self, path: Path, name: str) -> None:
        """Gives a file that was received its final name; one that had it before is replaced."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        path.rename(self.folder / checked_name(name))
        sync_directory(self.folder)

    def clean(self, keep: Path | None = None) -> None:
        """Removes uploads that were interrupted, and downloads except `keep`."""
        for path in [*self.folder.glob(f"{_UPLOAD}*"), *self.folder.glob(f"{_DOWNLOAD}*")]:
            if path != keep:
                with contextlib.suppress(OSError):
                    path.unlink()

    def remove_interrupted_uploads(self) -> None:
        """At the start; downloads stay, so that they can go on."""
        for path in self.folder.glob(f"{_UPLOAD}*"):
            with contextlib.suppress(OSError):
                path.unlink()


def checked_name(name: str) -> str:
    """`name`, if a firmware file may have it. Raises InvalidInput."""
    if not FILE_NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:160]!r} is no name of a firmware file.",
            place="name",
            remedy=f"It has letters, digits and . _ + -, and ends in {SUFFIX}.",
        )
    return name


def head(path: Path) -> bytes:
    """How a file begins."""
    with path.open("rb") as file:
        return file.read(4)


def write_part(file: BinaryIO, part: bytes) -> None:
    """Raises Conflict when the disk is full, Unavailable when it refuses."""
    try:
        file.write(part)
    except OSError as error:
        raise Unavailable(f"The file cannot be stored: {error.strerror}.") from error
