"""The files for systemd-networkd in its run-time directory, of which those of Allegro are kept up to date."""

from collections.abc import Mapping
from pathlib import Path

from allegro.atomic import write_atomically

DIRECTORY = Path("/run/systemd/network")
PREFIX = "10-allegro-"
"""Our files begin like this: before those of the distribution, and recognisable as ours."""


def write(files: Mapping[str, str], directory: Path = DIRECTORY, prefix: str = PREFIX) -> bool:
    """Makes our files in `directory` exactly these (name without prefix → content); says whether any changed.

    Ours are those that begin with `prefix`, which no other's must begin with.

    Each is replaced atomically. The directory is on a tmpfs, so nothing has to reach a disk. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    changed = False
    for name, content in files.items():
        path = directory / (prefix + name)
        if not path.exists() or path.read_text() != content:
            write_atomically(path, content.encode(), mode=0o644, sync=False)
            changed = True
    for path in directory.glob(f"{prefix}*"):
        if path.name.removeprefix(prefix) not in files:
            path.unlink()
            changed = True
    return changed


def bridges(directory: Path = DIRECTORY) -> set[str]:
    """Names of the bridges that our files define now."""
    return {path.stem.removeprefix(PREFIX) for path in directory.glob(f"{PREFIX}*.netdev")}
