"""What the image under test says of itself, by the manifest beside it."""

from pathlib import Path

from scripts.build_vm import project_fact
from tests.harness.qemu import IMAGE


def _first_line(manifest: Path) -> str:
    return manifest.read_text().splitlines()[0] if manifest.exists() else ""


def version_in(description: str) -> str:
    """The version in the first line of a manifest, which begins with the name; empty if it has none."""
    _, _, rest = description.partition(" ")
    return rest.partition(" ")[0].rstrip(",")


DESCRIPTION = _first_line(IMAGE.with_name("manifest.txt"))
"""The manifest's first line; empty if there is none."""

VERSION = version_in(DESCRIPTION) or project_fact("VERSION")
"""What it calls itself: made with Buildroot for development, 0.2.0+development. Without a manifest it is
taken for one of this tree."""
