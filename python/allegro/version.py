"""Which Allegro this is: the release of the running system, by the file that its image brings."""

from pathlib import Path

from allegro import __version__

RELEASE = Path("etc/allegro-release")
"""Lines NAME=value: VERSION, and DATE in ISO 8601."""


def release_fields(root: Path) -> dict[str, str]:
    """What the release whose root file system is at `root` says of itself; empty if it says nothing."""
    try:
        lines = (root / RELEASE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def own_version(root: Path = Path("/")) -> str:
    """The version of the running system; that of this package where it is no image of ours."""
    return release_fields(root).get("VERSION") or __version__
