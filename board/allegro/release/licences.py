"""The list of licences for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from board.allegro.release.components import Component

KINDS = {"deb": "Debian packages", "pypi": "Python packages", "npm": "Files for the browser"}


def licence_list(title: str, components: Sequence[Component], copyrights: str) -> str:
    """Return the list as text; `copyrights` names the file with the licences' and copyrights' own texts."""
    unknown = [component for component in components if not component.licences.names]
    lines = [
        title,
        "",
        "As the packages themselves state it: Debian's machine-readable copyright files, the metadata of",
        "Python wheels, npm's lock file. The words are theirs. A package can hold files under several",
        f"licences; all are named. The texts of licences and copyright notices: {copyrights}.",
        f"{len(components)} packages; the licence of {len(unknown)} is not stated in a form that a program",
        'can read ("unknown" below): see the texts.',
    ]
    for kind, heading in KINDS.items():
        rows = [
            (component.name, component.version, component.licences.text)
            for component in components
            if component.kind == kind
        ]
        if not rows:
            continue
        lines += ["", heading]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        lines += [f"  {name:<{widths[0]}}  {version:<{widths[1]}}  {text}" for name, version, text in rows]
    counted = Counter(name for component in components for name in component.licences.names)
    lines += ["", "How often each licence is named"]
    lines += [
        f"  {count:5}  {name}"
        for name, count in sorted(counted.items(), key=lambda each: (each[0].lower(), each[0]))
    ]
    return "\n".join(lines) + "\n"
