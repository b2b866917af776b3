"""Which Allegro this is."""

from pathlib import Path

from allegro import __version__
from allegro.version import RELEASE, own_version


def test_the_release_of_the_image_counts(tmp_path: Path) -> None:
    (tmp_path / RELEASE).parent.mkdir()
    (tmp_path / RELEASE).write_text("VERSION=3.1.4\nDATE=2026-11-22\n")
    assert own_version(tmp_path) == "3.1.4"


def test_elsewhere_the_package_tells(tmp_path: Path) -> None:
    assert own_version(tmp_path) == __version__
    (tmp_path / RELEASE).parent.mkdir()
    (tmp_path / RELEASE).write_bytes(b"\xff\xfe")
    assert own_version(tmp_path) == __version__
