"""Several files as one ZIP archive, made while it is sent: no temporary file, the same memory however large.

Format: PKWARE APPNOTE 6.3.10. Stored, not compressed (packets hardly shrink, and it would cost the recorder's
processor); sizes and checksum stand behind each file (4.4.4, bit 3), from 4 GiB on in 64 bits (4.5.3).
"""

import os
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from allegro.storage.capture_files import numbered, portable

CHUNK: Final = 512 * 1024

MISSING: Final = "not in this archive.txt"

_FIRST, _LAST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)
"""What a time of the format can be (4.4.6)."""


class Sink:
    """What the writer writes, until it is taken. Without seek and tell, so that it does not go back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, content: bytes) -> int:  # noqa: D102
        self._parts.append(bytes(content))
        return len(content)

    def flush(self) -> None:  # noqa: D102
        pass

    def take(self) -> bytes:
        """What has been written since the last time."""
        taken, self._parts = b"".join(self._parts), []
        return taken


def archive_names(names: Sequence[str]) -> list[str]:
    """Names that every system can unpack, each once whatever the case of letters."""
    given: list[str] = []
    taken = {MISSING.casefold()}
    for name in names:
        plain = portable(name)
        number, free = 1, plain
        while free.casefold() in taken:
            number += 1
            free = numbered(plain, number)
        taken.add(free.casefold())
        given.append(free)
    return given


def zip_stream(paths: Sequence[Path]) -> Iterator[bytes]:
    """The archive of these files, piece by piece, one of them open at a time.

    A file that is gone when its turn comes is named in a text of the archive. Raises OSError for one that
    cannot be read to its end: the archive then breaks off.
    """
    sink = Sink()
    missing = []
    with zipfile.ZipFile(sink, "w") as archive:  # type: ignore[call-overload]  # it asks for write and flush
        for path, name in zip(paths, archive_names([path.name for path in paths]), strict=True):
            try:
                source = path.open("rb")
            except OSError as error:
                missing.append(f"{path.name}: {error.strerror}")
                continue
            with source:
                entry = _entry(name, source)
                with archive.open(entry, "w") as target:
                    while chunk := source.read(CHUNK):
                        target.write(chunk)
                        yield sink.take()
        if missing:
            archive.writestr(MISSING, "".join(f"{line}\r\n" for line in missing))
    yield sink.take()


def _entry(name: str, source: BinaryIO) -> zipfile.ZipInfo:
    status = os.fstat(source.fileno())
    changed_s = min(max(status.st_mtime, _FIRST.timestamp()), _LAST.timestamp())
    entry = zipfile.ZipInfo(name, datetime.fromtimestamp(changed_s, UTC).timetuple()[:6])
    entry.file_size = status.st_size  # decides about 64 bits
    entry.external_attr = 0o644 << 16
    return entry
