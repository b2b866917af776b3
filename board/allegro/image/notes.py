"""Release notes: the section of a version in CHANGELOG.md."""

from __future__ import annotations

import re


def release_notes(changelog: str, version: str) -> str:
    """Return what CHANGELOG.md says of a version; of one that it does not know yet, what is unreleased."""
    sections = re.split(r"(?m)^## \[(.+?)\].*$", changelog)
    found = dict(zip(sections[1::2], sections[2::2], strict=True))
    release = version.partition("+")[0]  # what follows says how it was built
    return found.get(release, found.get("Unreleased", "")).strip() + "\n"
