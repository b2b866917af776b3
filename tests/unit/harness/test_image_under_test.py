"""The version of an image is read from its manifest, of whatever base it is."""

import pytest

from tests.harness.image_under_test import version_in


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("allegro 0.2.0 development image, Debian 13 base, kernel 6.12.118+deb13-amd64", "0.2.0"),
        ("allegro 0.2.0+development, built with Buildroot, kernel 6.12.90", "0.2.0+development"),
        ("", ""),
    ],
)
def test_version_in_a_manifest(line: str, version: str) -> None:
    assert version_in(line) == version
