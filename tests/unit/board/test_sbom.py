import json
from typing import Any
from uuid import UUID

import pytest
from cyclonedx.validation.json import JsonStrictValidator

from board.allegro.release.components import Component, Licences
from board.allegro.release.sbom import SCHEMA, bill

COMPONENTS = [
    Component(
        "deb",
        "libthing++1",
        "1:1.0-1+b2",
        "root file system",
        Licences(("Expat", "GPL-2+", "GPL-2+ with Autoconf exception")),
        description="does things",
        homepage="https://thing.example/",
        architecture="amd64",
        source="thing",
        source_version="1:1.0-1",
    ),
    Component("deb", "other", "1", "boot loader", Licences((), "free text"), architecture="all"),
    Component("deb", "other", "1", "initramfs", Licences(("GPL-2",)), architecture="all"),
    Component("pypi", "Thing", "2", "root file system", Licences(("MIT OR Apache-2.0",)), sha256="ab" * 32),
    Component("pypi", "another", "2", "root file system", Licences(("Apache Software License",))),
    Component("npm", "@a/b", "3", "web page", Licences(("0BSD",))),
]


def made(components: list[Component] = COMPONENTS) -> str:
    return bill("allegro", "1.2.3", "Apache-2.0", components, 1_750_000_000, UUID(int=7))


def entries() -> list[dict[str, Any]]:
    """The components in the bill."""
    listed: list[dict[str, Any]] = json.loads(made())["components"]
    return listed


def licences(name: str) -> str:
    """What the bill says of the component's licences."""
    return json.dumps([each.get("licenses") for each in entries() if each["name"] == name])


@pytest.mark.spec("I1")
def test_it_keeps_the_schema_of_cyclonedx() -> None:
    assert JsonStrictValidator(SCHEMA).validate_str(made()) is None
    broken = made().replace('"type": "firmware"', '"type": "something"')
    assert JsonStrictValidator(SCHEMA).validate_str(broken) is not None, "the judge judges"


@pytest.mark.spec("I1")
def test_each_component_is_there_with_version_and_package_url() -> None:
    assert {each["purl"]: each["version"] for each in entries()} == {
        "pkg:deb/debian/libthing%2B%2B1@1:1.0-1%2Bb2?arch=amd64&distro=debian-13": "1:1.0-1+b2",
        "pkg:deb/debian/other@1?arch=all&distro=debian-13": "1",
        "pkg:pypi/thing@2": "2",
        "pkg:pypi/another@2": "2",
        "pkg:npm/%40a/b@3": "3",
    }
    assert len(entries()) == len(COMPONENTS), "the same package in two parts of the image counts twice"


def test_licences_have_their_spdx_id_where_there_is_one() -> None:
    assert '"id": "MIT"' in licences("libthing++1")
    assert '"id": "GPL-2.0-or-later"' in licences("libthing++1")
    assert '"name": "GPL-2+ with Autoconf exception"' in licences("libthing++1")
    assert '"expression": "MIT OR Apache-2.0"' in licences("Thing")
    assert '"name": "Apache Software License"' in licences("another")


def test_an_unknown_licence_is_not_invented() -> None:
    other = next(each for each in entries() if "boot loader" in each["bom-ref"])
    assert "licenses" not in other
    assert {"name": "allegro:licence", "value": "unknown (free text)"} in other["properties"]


@pytest.mark.spec("I1")
def test_made_twice_it_is_the_same() -> None:
    assert made() == made(COMPONENTS[::-1])
    assert '"timestamp": "2025-06-15T15:06:40+00:00"' in made()
    assert "urn:uuid:00000000-0000-0000-0000-000000000007" in made()
