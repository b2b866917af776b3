"""What the image is made of: Debian packages, Python wheels, files for the browser, with their licences.

A licence that is not stated in a form that programs can read is called unknown, with what is known of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Literal

from debian.deb822 import Deb822

from board.allegro.image.manifest import file_list, files_size

MAX_LICENCE_NAME = 100
"""A longer "License" field of a wheel is the text of a licence, not its name."""


@dataclass(frozen=True)
class Licences:
    """Licences as their source names them, or a note why they are unknown."""

    names: tuple[str, ...]
    note: str = ""

    @property
    def text(self) -> str:
        """For people."""
        return ", ".join(self.names) or f"unknown ({self.note})"


@dataclass(frozen=True)
class Component:
    """A part of the image from elsewhere.

    `kind`: "deb", "pypi" or "npm"; `part`: where it is in the image; `architecture`, `source`,
    `source_version`: Debian packages only; `sha256` of the wheel, or empty.
    """

    kind: Literal["deb", "pypi", "npm"]
    name: str
    version: str
    part: str
    licences: Licences
    description: str = ""
    homepage: str = ""
    architecture: str = ""
    source: str = ""
    source_version: str = ""
    sha256: str = ""


# -- Debian


def debian_components(
    system: Path, copyrights: Path, part: str, only: Iterable[str] | None = None
) -> list[Component]:
    """Return the Debian packages that have files in `system`, by name.

    `copyrights` is a system with the same packages that still has their copyright files. With `only` exactly
    these packages, whatever files they have there.
    """
    wanted = None if only is None else set(only)
    found = []
    with (system / "var/lib/dpkg/status").open() as status:
        for fields in Deb822.iter_paragraphs(status):
            name, architecture = fields["Package"], fields["Architecture"]
            paths = file_list(system, name, architecture)
            if name in wanted if wanted is not None else files_size(system, paths):
                source, source_version = parse_source(fields.get("Source", ""), name, fields["Version"])
                found.append(
                    Component(
                        kind="deb",
                        name=name,
                        version=fields["Version"],
                        part=part,
                        licences=package_licences(copyrights / "usr/share/doc" / name / "copyright"),
                        description=fields.get("Description", "").partition("\n")[0],
                        homepage=fields.get("Homepage", ""),
                        architecture=architecture,
                        source=source,
                        source_version=source_version,
                    )
                )
    if wanted is not None and (missing := wanted - {component.name for component in found}):
        raise KeyError(f"no such packages: {', '.join(sorted(missing))}")
    return sorted(found, key=lambda component: component.name)


def parse_source(field: str, name: str, version: str) -> tuple[str, str]:
    """Return name and version of the source package; the field "Source" may be empty (policy, 5.6.1)."""
    match = re.fullmatch(r"(\S+)(?: \((\S+)\))?", field.strip())
    return (match[1], match[2] or version) if match else (name, version)


def package_licences(file: Path) -> Licences:
    """Return the licences in a package's copyright file."""
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return Licences((), "the package has no copyright file")
    return copyright_licences(text)


def copyright_licences(text: str) -> Licences:
    """Return the licences of a copyright file, if it has the machine-readable format 1.0 (DEP 5).

    Of its paragraphs the first (the header) and those about files name licences that hold; the field's first
    line is the short name, the rest a text (sections 4 and 5.10).
    """
    paragraphs = list(Deb822.iter_paragraphs(text.splitlines()))
    if not paragraphs or "copyright-format/1.0" not in paragraphs[0].get("Format", ""):
        return Licences((), _mentioned(text))
    fields = [each.get("License", "") for each in paragraphs if _holds(each)]
    names = {" ".join(field.partition("\n")[0].split()) for field in fields} - {""}
    return (
        Licences(tuple(sorted(names, key=lambda name: (name.lower(), name))))
        if names
        else Licences((), _mentioned(text))
    )


def _holds(paragraph: Deb822) -> bool:
    return "Files" in paragraph or "Format" in paragraph


def _mentioned(text: str) -> str:
    """Return which of the usual licences a free text points to (Debian policy, 12.5)."""
    names = sorted(set(re.findall(r"/usr/share/common-licenses/([\w.+-]*\w)", text)))
    return f"free text that refers to {', '.join(names)}" if names else "free text"


# -- Python


def wheel_component(wheel: Path, part: str) -> Component:
    """Return what a wheel's metadata says (core metadata specification of the Python packaging authority)."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", each))
        fields = HeaderParser().parsestr(archive.read(name).decode())
    pages = dict(entry.split(", ", 1) for entry in fields.get_all("Project-URL", []) if ", " in entry)
    return Component(
        kind="pypi",
        name=str(fields["Name"]),
        version=str(fields["Version"]),
        part=part,
        licences=metadata_licences(
            str(fields.get("License-Expression", "")),
            [str(value) for value in fields.get_all("Classifier", [])],
            str(fields.get("License", "")),
        ),
        description=str(fields.get("Summary", "")),
        homepage=str(fields.get("Home-page", "") or pages.get("Homepage", "")),
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
    )


def metadata_licences(expression: str, classifiers: list[str], licence: str) -> Licences:
    """Return the licences that metadata states: the expression counts most, then classifiers, then a name."""
    if expression:
        return Licences((expression,))
    prefix = "License :: OSI Approved :: "
    named = sorted(each.removeprefix(prefix) for each in classifiers if each.startswith(prefix))
    if named:
        return Licences(tuple(named))
    licence = licence.strip()
    if licence and "\n" not in licence and len(licence) <= MAX_LICENCE_NAME:
        return Licences((licence,))
    return Licences((), "its metadata holds the text of a licence" if licence else "its metadata names none")


# -- browser


def browser_components(lock_file: Path, part: str) -> Iterator[Component]:
    """Return the packages of npm's lock file (version 3) that are not for development only."""
    for place, entry in sorted(json.loads(lock_file.read_text())["packages"].items()):
        if place and not entry.get("dev"):
            licence = entry.get("license", "")
            yield Component(
                kind="npm",
                name=place.removeprefix("node_modules/"),
                version=entry["version"],
                part=part,
                licences=Licences((licence,)) if licence else Licences((), "its lock entry names none"),
            )
