"""Release notes: the section of a version in CHANGELOG.md."""

from __future__ import annotations

import re


def release_notes(changelog: str, version: str) -> str:
    """Return what CHANGELOG.md says of a version; of one that it does not know yet, what is unreleased.

    Of a section that begins with a summary, before its first heading, that alone: it is read on a phone.
    """
    sections = re.split(r"(?m)^## \[(.+?)\].*$", changelog)
    found = dict(zip(sections[1::2], sections[2::2], strict=True))
    release = version.partition("+")[0]  # what follows says how it was built
    section = found.get(release, found.get("Unreleased", "")).strip()
    summary = section.partition("\n### ")[0].strip()
    return (section if summary.startswith("### ") else summary) + "\n"
