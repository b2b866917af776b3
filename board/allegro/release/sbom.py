"""The software bill of materials: CycloneDX 1.6, JSON, by the library of the CycloneDX project."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component as Entry
from cyclonedx.model.component import ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.spdx import fixup_id, is_expression
from packageurl import PackageURL

from board.allegro.release.components import Component, Licences

SCHEMA = SchemaVersion.V1_6
DISTRIBUTION = "debian-13"

SPDX = {
    "Expat": "MIT",
    "Apache-2": "Apache-2.0",
    "GPL-1": "GPL-1.0-only",
    "GPL-1+": "GPL-1.0-or-later",
    "GPL-2": "GPL-2.0-only",
    "GPL-2+": "GPL-2.0-or-later",
    "GPL-3": "GPL-3.0-only",
    "GPL-3+": "GPL-3.0-or-later",
    "LGPL-2": "LGPL-2.0-only",
    "LGPL-2+": "LGPL-2.0-or-later",
    "LGPL-2.1": "LGPL-2.1-only",
    "LGPL-2.1+": "LGPL-2.1-or-later",
    "LGPL-3": "LGPL-3.0-only",
    "LGPL-3+": "LGPL-3.0-or-later",
}
"""Short names of Debian's copyright format 1.0 (section 7.1) whose meaning SPDX has another name for."""


def bill(
    product: str, version: str, licence: str, components: Sequence[Component], time: int, serial: UUID
) -> str:
    """Return the bill as JSON. `time` in seconds since 1970; `serial` identifies this bill."""
    root = Entry(
        name=product,
        version=version,
        type=ComponentType.FIRMWARE,
        bom_ref=product,
        licenses=_licences(Licences((licence,))),
    )
    entries = [_entry(component) for component in components]
    bom = Bom(
        serial_number=serial,
        metadata=BomMetaData(component=root, timestamp=datetime.fromtimestamp(time, UTC)),
        components=entries,
    )
    bom.register_dependency(root, entries)
    return make_outputter(bom, OutputFormat.JSON, SCHEMA).output_as_string(indent=2) + "\n"


def package_url(component: Component) -> PackageURL:
    """Return the package URL (purl specification, types deb, pypi and npm)."""
    if component.kind == "deb":
        return PackageURL(
            "deb",
            "debian",
            component.name,
            component.version,
            {"arch": component.architecture, "distro": DISTRIBUTION},
        )
    if component.kind == "npm":
        namespace, _, name = component.name.rpartition("/")
        return PackageURL("npm", namespace or None, name, component.version)
    return PackageURL("pypi", None, component.name, component.version)


def _entry(component: Component) -> Entry:
    url = package_url(component)
    properties = {"allegro:part": component.part}
    if component.source:
        properties["allegro:source"] = f"{component.source} {component.source_version}"
    if component.licences.note:
        properties["allegro:licence"] = component.licences.text
    return Entry(
        name=component.name,
        version=component.version,
        type=ComponentType.LIBRARY if component.kind != "deb" else ComponentType.APPLICATION,
        # the same package can be in two parts of the image
        bom_ref=f"{url}#{component.part}",
        purl=url,
        description=component.description or None,
        licenses=_licences(component.licences),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=component.sha256)] if component.sha256 else None,
        external_references=[
            ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(component.homepage))
        ]
        if component.homepage
        else None,
        properties=[Property(name=name, value=value) for name, value in properties.items()],
    )


def _licences(licences: Licences) -> Iterable[License]:
    """Return each licence by its SPDX id where it has one, else by its own name.

    An expression stands alone there, so that one of several is a name, too.
    """
    if len(licences.names) == 1 and " " in licences.names[0] and is_expression(licences.names[0]):
        return [LicenseExpression(licences.names[0])]
    made = []
    for name in licences.names:
        known = SPDX.get(name) or fixup_id(name)
        made.append(DisjunctiveLicense(id=known) if known else DisjunctiveLicense(name=name))
    return made
