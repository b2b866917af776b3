"""Buildroot's utils/check-symbols for an external tree: symbols that are only used or only defined.

The tool itself looks only at Buildroot's own files. `buildroot_symbols.py BUILDROOT FILE...`
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

GIVEN = "BR2_EXTERNAL_ALLEGRO_PATH"
"""Defined by Buildroot for every external tree (support/scripts/br2-external), not in a file that is read."""


def warnings(buildroot: Path, ours: list[Path]) -> list[str]:
    """Return the complaints about Buildroot's files and `ours` together."""
    sys.path.insert(0, str(buildroot / "utils"))
    files = importlib.import_module("checksymbolslib.file")
    database = importlib.import_module("checksymbolslib.db").DB()
    os.chdir(buildroot)
    names = [*files.get_list_of_files_in_the_repo(), *map(str, ours)]
    for name in files.get_list_of_files_to_process(names):
        files.populate_db_from_file(database, name)
    found = [
        f"{file}:{line}: {text}"
        for kind in dir(database)
        if kind.startswith("get_warnings_")
        for file, line, text in getattr(database, kind)()
    ]
    return sorted(line for line in found if GIVEN not in line)


if __name__ == "__main__":
    complaints = warnings(Path(sys.argv[1]).resolve(), [Path(name).resolve() for name in sys.argv[2:]])
    print("\n".join(complaints))
    sys.exit(bool(complaints))
