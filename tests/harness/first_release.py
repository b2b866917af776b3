"""Version 0.1.0, which devices in the field come from: made from its commit."""

import fcntl
import os
import subprocess
from pathlib import Path

from tests.harness.bench_errors import BenchError
from tests.harness.qemu import REPOSITORY

VERSION = "0.1.0"
COMMIT = "4dd0af307cff8a76fb35eaec68ca90d411f2cd6a"
_FOLDER = REPOSITORY / "build" / f"version-{VERSION}"


def python() -> Path:
    """A Python interpreter that has it, made if it is not there, by one process only. Raises BenchError."""
    made = _FOLDER / ".venv"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / ".complete").exists():
            _unpack()
            _make("venv")
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


def _make(target: str) -> None:
    log = _FOLDER / "make.log"
    # What make was told by its caller is for the caller's tree.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    with log.open("wb") as output:
        made = subprocess.run(
            ["make", "-C", _FOLDER, target], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    if made.returncode:
        raise BenchError(f"version {VERSION} could not be made ({log}):\n{log.read_text()[-1500:]}")


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["git", "-c", f"safe.directory={REPOSITORY}", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, text=True)
