"""Version 0.1.0, which devices in the field come from: made from its commit."""

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.harness.bench_errors import BenchError
from tests.harness.qemu import REPOSITORY

VERSION = "0.1.0"
COMMIT = "4dd0af307cff8a76fb35eaec68ca90d411f2cd6a"
_BUILD = REPOSITORY / "build"
_FOLDER = _BUILD / f"version-{VERSION}"


def python() -> Path:
    """A Python interpreter that has it, made if it is not there, by one process only. Raises BenchError."""
    with _alone():
        return _python()


def image() -> Path:
    """Its development image, which takes the bundles that are made here; made if it is not there.

    By one process only. Raises BenchError.
    """
    folders: list[str | Path] = ["--keys", _BUILD / "keys", "--downloads", _BUILD / "downloads"]
    with _alone():
        _make([_python(), "-m", "scripts.build_vm", *folders])
    return _FOLDER / "build" / "vm" / "allegro.img"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _python() -> Path:
    made = _FOLDER / ".venv"
    if not (made / ".complete").exists():
        _unpack()
        _make(["make", "venv"])
    return made / "bin" / "python"


def _unpack() -> None:
    """The files of its commit."""
    if _git("cat-file", "-e", f"{COMMIT}^{{commit}}").returncode:
        raise BenchError(
            f"the commit of version {VERSION} ({COMMIT[:7]}) is not in this clone, so it cannot be made:"
            " git fetch --unshallow"
        )
    archive = _FOLDER / "source.tar"
    if words := _git("archive", f"--output={archive}", COMMIT).stderr:
        raise BenchError(f"git archive: {words}")
    subprocess.run(["tar", "-xf", archive, "-C", _FOLDER], check=True)
    archive.unlink()


def _make(command: Sequence[str | Path]) -> None:
    """What it was made by, in its folder."""
    log = _FOLDER / "make.log"
    # What make was told by its caller is for the caller's tree.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    with log.open("wb") as output:
        made = subprocess.run(command, cwd=_FOLDER, env=environment, stdout=output, stderr=subprocess.STDOUT)
    if made.returncode:
        raise BenchError(f"version {VERSION} could not be made ({log}):\n{log.read_text()[-1500:]}")


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["git", "-c", f"safe.directory={REPOSITORY}", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, text=True)
