"""What is in the image and how large it is: manifest.txt beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """A package, its version, and the bytes of its files that are in the image."""

    name: str
    version: str
    size: int


def debian_items(system: Path) -> list[Item]:
    """Return the packages in dpkg's database that still have files in `system`, sorted by name."""
    status = (system / "var/lib/dpkg/status").read_text()
    items = []
    for paragraph in status.split("\n\n"):
        lines = [line.partition(":") for line in paragraph.splitlines() if line[:1].strip()]
        fields = {key: value.strip() for key, _, value in lines}
        if not fields:
            continue
        size = files_size(system, file_list(system, fields["Package"], fields["Architecture"]))
        if size:
            items.append(Item(fields["Package"], fields["Version"], size))
    return sorted(items, key=lambda item: item.name)


def file_list(system: Path, package: str, architecture: str) -> list[str]:
    """Return the paths that dpkg noted for the package."""
    info = system / "var/lib/dpkg/info"
    for name in (f"{package}.list", f"{package}:{architecture}.list"):
        if (info / name).exists():
            return (info / name).read_text().splitlines()
    return []


def files_size(system: Path, paths: list[str]) -> int:
    """Return the bytes of those regular files that exist."""
    total = 0
    for text in paths:
        path = system / text.lstrip("/")
        if text.endswith(".ko.xz"):
            path = path.with_suffix("")  # kernel modules lie unpacked in the image
        if path.is_file() and not path.is_symlink():
            total += path.stat().st_size
    return total


def wheel_items(wheels: list[Path]) -> list[Item]:
    """Return the wheels, with the bytes of their files."""
    items = []
    for wheel in sorted(wheels):
        name, version = wheel.name.split("-")[:2]
        items.append(Item(name, version, wheel.stat().st_size))
    return items


def tree_size(root: Path) -> int:
    """Return the bytes of all regular files below `root`."""
    return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(root) for name in names)


def buildroot_items(target: Path, file_list: str, folders: Iterable[str]) -> list[Item]:
    """Return Buildroot's packages that have files in `target`, sorted by name.

    `file_list` is Buildroot's packages-file-list.txt (lines "package,./path"; the last to install a file
    counts); `folders` are the names in its build folder, which tell versions ("rauc-1.15.2").
    """
    owners = {path: name for name, _, path in (line.partition(",") for line in file_list.splitlines())}
    files: dict[str, list[str]] = {}
    for path, name in owners.items():
        files.setdefault(name, []).append(path.removeprefix("./"))
    versions = {}
    for folder in folders:
        if match := re.fullmatch(r"(.+?)-(v?\d.*)", folder):
            versions[match[1]] = match[2]
    items = [
        Item(name, versions.get(name, "-"), files_size(target, paths))
        for name, paths in sorted(files.items())
    ]
    return [item for item in items if item.size]


def render(
    title: str, sizes: list[tuple[str, int]], base: str, packages: list[Item], wheels: list[Item]
) -> str:
    """Return the manifest as text; `base` says what `packages` are."""
    lines = [title, ""]
    lines += [f"{size / (1 << 20):9.1f} MiB  {name}" for name, size in sizes]
    lines += ["", f"{base} (KiB in the image, name, version)"]
    lines += [f"{item.size >> 10:9} {item.name} {item.version}" for item in packages]
    lines += ["", "Python packages (KiB of the wheel, name, version)"]
    lines += [f"{item.size >> 10:9} {item.name} {item.version}" for item in wheels]
    return "\n".join(lines) + "\n"
