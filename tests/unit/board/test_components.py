import json
import zipfile
from pathlib import Path

import pytest

from board.allegro.release.components import (
    Component,
    Licences,
    browser_components,
    copyright_licences,
    debian_components,
    metadata_licences,
    parse_source,
    wheel_component,
)
from board.allegro.release.licences import licence_list

MACHINE_READABLE = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: thing

Files: *
Copyright: 2020 Somebody
License: GPL-2+
 On Debian systems: /usr/share/common-licenses/GPL-2

Files: debian/*
Copyright: 2021 Somebody else
License: Expat

License: BSD-3-clause
 A text of a licence that no file names.
"""
FREE_TEXT = """\
This package was put together by somebody.
You find the licence in `/usr/share/common-licenses/LGPL-2.1'.
"""
STATUS = """\
Package: thing
Status: install ok installed
Architecture: amd64
Source: things (1.0-1)
Version: 1.0-1+b2
Homepage: https://thing.example/
Description: does things
 in more words

Package: gone
Status: install ok installed
Architecture: all
Version: 2
Description: has no files in the image
"""


def test_licences_of_a_machine_readable_file_are_those_of_its_files() -> None:
    assert copyright_licences(MACHINE_READABLE) == Licences(("Expat", "GPL-2+"))


def test_a_free_text_is_unknown_with_what_it_points_to() -> None:
    licences = copyright_licences(FREE_TEXT)
    assert licences.names == ()
    assert licences.text == "unknown (free text that refers to LGPL-2.1)"
    assert copyright_licences("").text == "unknown (free text)"


@pytest.mark.parametrize(
    ("field", "expected"),
    [("", ("a", "1")), ("b", ("b", "1")), ("b (2:3-4)", ("b", "2:3-4"))],
)
def test_the_source_package(field: str, expected: tuple[str, str]) -> None:
    assert parse_source(field, "a", "1") == expected


@pytest.mark.spec("I1")
def test_only_packages_with_files_in_the_image_count(tmp_path: Path) -> None:
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    (info / "thing.list").write_text("/.\n/usr\n/usr/thing\n")
    (info / "gone.list").write_text("/usr/share/doc/gone/copyright\n")
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/thing").write_text("x")
    copyrights = tmp_path / "other/usr/share/doc/thing"
    copyrights.mkdir(parents=True)
    (copyrights / "copyright").write_text(MACHINE_READABLE)
    (thing,) = debian_components(tmp_path, tmp_path / "other", "system")
    assert (thing.name, thing.version, thing.architecture) == ("thing", "1.0-1+b2", "amd64")
    assert (thing.source, thing.source_version) == ("things", "1.0-1")
    assert (thing.description, thing.homepage) == ("does things", "https://thing.example/")
    assert thing.licences.names == ("Expat", "GPL-2+")
    (gone,) = debian_components(tmp_path, tmp_path / "other", "system", only=["gone"])
    assert gone.licences.text == "unknown (the package has no copyright file)"
    with pytest.raises(KeyError, match="nothing-like-this"):
        debian_components(tmp_path, tmp_path, "system", only=["nothing-like-this"])


@pytest.mark.parametrize(
    ("expression", "classifiers", "licence", "expected"),
    [
        ("MIT OR Apache-2.0", ["License :: OSI Approved :: MIT License"], "MIT", "MIT OR Apache-2.0"),
        ("", ["License :: OSI Approved :: MIT License", "Topic :: X"], "", "MIT License"),
        ("", [], "LGPL-2.1", "LGPL-2.1"),
        ("", [], "Permission is hereby\ngranted", "unknown (its metadata holds the text of a licence)"),
        ("", [], "", "unknown (its metadata names none)"),
    ],
)
def test_licences_in_the_metadata_of_a_wheel(
    expression: str, classifiers: list[str], licence: str, expected: str
) -> None:
    assert metadata_licences(expression, classifiers, licence).text == expected


def test_a_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    metadata = "Name: Thing\nVersion: 1.0\nSummary: Does things\nLicense-Expression: MIT\n"
    metadata += "Project-URL: Homepage, https://thing.example/\n\nLong text\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing-1.0.dist-info/METADATA", metadata)
        archive.writestr("thing/vendor-2.dist-info/METADATA", "Name: no\n")
    component = wheel_component(wheel, "system")
    assert (component.name, component.version, component.licences.names) == ("Thing", "1.0", ("MIT",))
    assert component.homepage == "https://thing.example/"
    assert len(component.sha256) == 64


def test_of_the_browser_s_packages_only_those_that_are_shipped(tmp_path: Path) -> None:
    lock = tmp_path / "package-lock.json"
    packages = {
        "": {"version": "1"},
        "node_modules/axe": {"version": "2", "license": "MPL-2.0", "dev": True},
        "node_modules/@a/b": {"version": "3", "license": "0BSD"},
        "node_modules/c": {"version": "4"},
    }
    lock.write_text(json.dumps({"packages": packages}))
    found = list(browser_components(lock, "page"))
    assert [(each.name, each.version, each.licences.text) for each in found] == [
        ("@a/b", "3", "0BSD"),
        ("c", "4", "unknown (its lock entry names none)"),
    ]


def test_the_list_names_everything_and_counts_the_unknown() -> None:
    components = [
        Component("deb", "a", "1", "system", Licences(("GPL-2+", "Expat"))),
        Component("deb", "long-name", "2:3-4", "system", Licences((), "free text")),
        Component("npm", "b", "1", "page", Licences(("Expat",))),
    ]
    text = licence_list("Licences of x", components, "texts.tar")
    assert "3 packages; the licence of 1 is not stated" in text
    assert "  long-name  2:3-4  unknown (free text)\n" in text
    assert "  a          1      GPL-2+, Expat\n" in text
    assert "Files for the browser\n  b  1  Expat\n" in text
    assert "Python packages" not in text
    assert "      2  Expat\n" in text
