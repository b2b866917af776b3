"""scripts/flash as one file that runs anywhere (Python zip application, PEP 441)."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

PYTHON = "/usr/bin/env python3"
SOURCES = (
    ("scripts", ("__init__.py", "blockmap.py", "flashing.py")),
    ("python", ("allegro/__init__.py", "allegro/errors.py")),
    ("python", ("allegro/storage/__init__.py", "allegro/storage/disks.py")),
)
MAIN = "import sys\n\nfrom scripts.flashing import main\n\nsys.exit(main())\n"
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows


def write_flash(repository: Path, target: Path) -> None:
    """Write the application, executable."""
    files = {"__main__.py": MAIN.encode()}
    for root, names in SOURCES:
        for name in names:
            inside = f"scripts/{name}" if root == "scripts" else name
            files[inside] = (repository / root / name).read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)
    target.write_bytes(f"#!{PYTHON}\n".encode() + packed.getvalue())
    target.chmod(0o755)
