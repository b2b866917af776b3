"""What a configuration asks for, compared with what it became (Kconfig: Linux, Buildroot, busybox).

Kconfig silently drops a line whose symbol does not exist (any more) or whose dependencies are not met. Here
that is a mistake: `python3 -m board.allegro.image.kconfig RESULT ASKED...` fails and names the lines.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

UNSET = re.compile(r"# (\w+) is not set")


def read_config(text: str) -> dict[str, str]:
    """Return the value of each symbol of a configuration file; "n" for those that are not set.

    The last line of a symbol counts, as for Kconfig itself.
    """
    values = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if match := UNSET.fullmatch(line.strip()):
            values[match[1]] = "n"
        elif equals and not name.startswith("#"):
            values[name] = value
    return values


def dropped(asked: dict[str, str], result: dict[str, str]) -> list[str]:
    """Return the asked-for symbols that `result` does not hold, as "NAME=wanted (is value)", in their order.

    A symbol that is asked to be off may be missing altogether.
    """
    return [
        f"{name}={value} (is {result.get(name, 'missing')})"
        for name, value in asked.items()
        if result.get(name, "n" if value == "n" else None) != value
    ]


def main(result: Path, *files: Path) -> int:
    """Compare; returns the exit code."""
    asked: dict[str, str] = {}
    for file in files:
        asked |= read_config(file.read_text())
    if not asked:
        print(f"Nothing is asked for in {', '.join(map(str, files)) or 'no file'}.", file=sys.stderr)
        return 1
    missing = dropped(asked, read_config(result.read_text()))
    if missing:
        print(
            f"{len(missing)} of {len(asked)} asked-for symbols are not in {result}:\n  "
            + "\n  ".join(missing)
            + f"\nRemedy: correct them in {' or '.join(str(file) for file in files)}"
            " (another name in this version, or something that they depend on is missing).",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
