"""Buildroot itself: which release, and how it gets here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from board.allegro.image.workshop import BuildError

RELEASE = "2026.02.3"
COMMIT = "679b9ead7620bbf193620d1ebf56f53c1764d37a"
"""The commit of that release's tag. Git checks contents against ids, so this is also the checksum."""

URL = "https://gitlab.com/buildroot.org/buildroot.git"


def find_buildroot(folder: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return Buildroot's folder: BUILDROOT_DIR, or a clone in `folder` from BUILDROOT_URL (else upstream).

    Raises BuildError when it cannot be had, or is another release.
    """
    if named := environment.get("BUILDROOT_DIR"):
        given = Path(named).resolve()
        if not (given / "package/Makefile.in").exists():
            raise BuildError(f"BUILDROOT_DIR={named} is no folder of Buildroot.")
        check(given, f"BUILDROOT_DIR={named}")
        return given
    if not (folder / ".git/allegro-complete").exists():
        fetch(environment.get("BUILDROOT_URL") or URL, folder)
    check(folder, str(folder))
    return folder


def fetch(url: str, folder: Path) -> None:
    """Clone the one commit from `url` into `folder`; what is there of an earlier attempt is used."""
    folder.mkdir(parents=True, exist_ok=True)
    commands = [["init", "--quiet"], ["fetch", "--quiet", "--depth=1", url, COMMIT]]
    commands += [["checkout", "--quiet", "--force", COMMIT]]
    for command in commands:
        done = git(folder, *command)
        if done.returncode:
            raise BuildError(
                f"Buildroot {RELEASE} (commit {COMMIT}) could not be fetched from {url}:\n"
                f"{done.stderr.strip()}\n"
                "Remedy: is that address reachable from here (network, proxy)? Or name a copy at hand:\n"
                "    BUILDROOT_URL=<another clone or mirror, an address or a folder> make image\n"
                f"    BUILDROOT_DIR=<a folder with Buildroot {RELEASE}, used as it is> make image"
            )
    (folder / ".git/allegro-complete").touch()


def check(folder: Path, name: str) -> None:
    """Raise BuildError unless `folder` is the release: by git, or by what an unpacked release says it is."""
    if (folder / ".git").exists():
        done = git(folder, "rev-parse", "HEAD")
        found = done.stdout.strip() or done.stderr.strip()
        expected = COMMIT
    else:
        lines = (folder / "Makefile").read_text().splitlines()
        found = next((line.split()[-1] for line in lines if line.startswith("export BR2_VERSION :=")), "")
        expected = RELEASE
    if found != expected:
        raise BuildError(
            f"{name} is not Buildroot {RELEASE}: {expected} was expected, {found or 'nothing'} was found.\n"
            f"Remedy: git -C {folder} checkout {COMMIT}, or another folder. To move to another release see"
            " docs/building.md."
        )


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run git in `folder`, which may belong to another user."""
    command = ["git", "-c", f"safe.directory={folder}", "-C", str(folder), *words]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"GIT_TERMINAL_PROMPT": "0"},
        )
    except FileNotFoundError as error:
        raise BuildError("git is missing on this machine.\nRemedy: install it.") from error
