"""What is read from and done to the file tree of a system, whichever base it has."""

from __future__ import annotations

import shutil
from pathlib import Path

from board.allegro.image.workshop import BuildError, Workshop, remove

_UNCHECKED = b"\1\0\0\0"
"""Second word of a compiled file that counts as it is, whatever its source (PEP 552)."""


def drop(root: Path, patterns: list[str]) -> list[str]:
    """Remove what matches the patterns; returns those that match nothing (any more)."""
    idle = []
    for pattern in patterns:
        found = sorted(root.glob(pattern))
        if not found:
            idle.append(pattern)
        for path in found:
            remove(path)
    return idle


def kernel_version(root: Path) -> str:
    """Return the version of the only kernel in `root`."""
    versions = [path.name for path in (root / "usr/lib/modules").iterdir()]
    if len(versions) != 1:
        raise BuildError(
            f"One kernel was expected in the image, but there are: {', '.join(versions) or 'none'}."
        )
    return versions[0]


def module_closure(wanted: set[str], depends: dict[str, list[str]]) -> set[str]:
    """Return the wanted modules and all that they depend on."""
    return wanted.union(*(depends[module] for module in wanted))


def read_dependencies(folder: Path) -> dict[str, list[str]]:
    """Read modules.dep (depmod(8)): a module's path, and those of all modules it needs."""
    depends = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        module, _, rest = line.partition(":")
        depends[module] = rest.split()
    return depends


def compile_python(shop: Workshop, root: Path, folder: str) -> None:
    """Compile the Python files below `folder` in `root`.

    The compiled files are never compared with their sources' times ("unchecked-hash", PEP 552): times in an
    image say nothing, and nothing can change there.
    """
    for old in (root / folder.lstrip("/")).rglob("__pycache__"):
        shutil.rmtree(old)
    # -B: what the compiler itself imports it would leave behind with times, and then take for compiled.
    command = ["python3", "-I", "-B", "-m", "compileall", "-q"]
    command += ["--invalidation-mode", "unchecked-hash", folder]
    shop.run_inside(root, command, log="compileall")


def check_compiled(root: Path) -> None:
    """Raise BuildError if Python would compare a compiled file in `root` with its source.

    Every program would then compile that source at each start, as the times in an image are set anew.
    """
    compared = []
    for path in sorted(root.rglob("__pycache__/*.pyc")):
        with path.open("rb") as file:
            if file.read(8)[4:] != _UNCHECKED:
                compared.append(path)
    if compared:
        names = "".join(f"\n    {path.relative_to(root)}" for path in compared)
        raise BuildError(f"Python would compile these anew at each start of a program:{names}")
