"""The texts of licences and copyright notices of everything in the image, in one archive."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from board.allegro.release.components import Component

COMMON_LICENCES = "usr/share/common-licenses"


def write_texts(
    target: Path,
    systems: Iterable[tuple[Path, Iterable[Component]]],
    wheels: Iterable[Path],
    web: Path,
    time: int,
) -> None:
    """Write the archive (tar); `time` (seconds since 1970) is that of all files in it.

    `systems`: Debian systems that still have the copyright files, and the packages that count; of the first
    the common licences that those files point to are taken as well.
    """
    files: dict[str, bytes] = {}
    for system, components in systems:
        folder = system / COMMON_LICENCES
        for path in sorted(folder.iterdir()) if folder.exists() else ():
            files.setdefault(f"debian/common-licenses/{path.name}", path.read_bytes())
        for component in components:
            copyright_file = system / "usr/share/doc" / component.name / "copyright"
            if copyright_file.exists():
                files.setdefault(f"debian/{component.name}", copyright_file.read_bytes())
    for wheel in wheels:
        files |= wheel_texts(wheel)
    for path in sorted(web.glob("vendor/*.LICENSE")):
        files[f"browser/{path.stem}"] = path.read_bytes()
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mtime = time
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))


def wheel_texts(wheel: Path) -> dict[str, bytes]:
    """Return the texts in a wheel's metadata, by their names in the archive."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            f"python/{wheel.name.split('-')[0]}/{Path(name).name}": archive.read(name)
            for name in _text_names(archive.namelist())
        }


def _text_names(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        folder, _, rest = name.partition(".dist-info/")
        words = ("licen", "copying", "notice", "authors")
        if rest and "/" not in folder and Path(rest).name.lower().startswith(words):
            yield name
