"""The place where an image is made: progress, cached steps, running programs, private mounts.

A step's result lies in a folder or file whose name holds the hash of everything it was made from, and gets
that name only when it is complete. So an interrupted build leaves nothing that a later one would trust, and
unchanged steps are skipped.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

HEARTBEAT_S = 10.0
"""After so many silent seconds a running program's last line is shown."""


class BuildError(Exception):
    """The image cannot be made. The message is for people: what failed, and what to do."""


def exit_code(work: Callable[[], object]) -> int:
    """Run a program's work; returns its exit code. What fails is told without a traceback."""
    try:
        work()
    except BuildError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Start again to go on.", file=sys.stderr)
        return 130
    return 0


def fingerprint(parts: Iterable[str | Path]) -> str:
    """Return 16 hex digits that change with any of `parts`: texts, files, folders."""
    digest = hashlib.sha256()

    def add(data: bytes) -> None:
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)

    for part in parts:
        if isinstance(part, str):
            add(part.encode())
            continue
        for path in source_files(part):
            add(str(path.relative_to(part.parent)).encode())
            if path.is_symlink():
                add(b"link to " + os.fsencode(path.readlink()))
            else:
                add(b"x" if path.stat().st_mode & stat.S_IXUSR else b"-")
                add(path.read_bytes())
    return digest.hexdigest()[:16]


def source_files(root: Path) -> list[Path]:
    """Return the files and links at or below `root`, sorted, without what Python leaves behind there."""
    if not root.is_dir():
        return [root]
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.endswith(".egg-info")]
        here = Path(folder)
        found += [here / name for name in files if not name.endswith((".pyc", ".so"))]
        found += [here / name for name in folders if (here / name).is_symlink()]
    return sorted(found)


def copy_source(source: Path, target: Path) -> None:
    """Copy a file or folder of the repository to `target`, readable for everybody and writable for root."""
    for path in source_files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        if path.is_symlink():
            copy.symlink_to(path.readlink())
        else:
            copy.write_bytes(path.read_bytes())
            copy.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)


def words(file: Path) -> list[str]:
    """Return the lines of a list file without comments ("#" to the end of the line) and empty lines."""
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    return [line for line in lines if line]


class Workshop:
    """Makes the steps of one image in `folder`; `downloads` may be shared with other images."""

    def __init__(self, folder: Path, downloads: Path, repository: Path, epoch: int) -> None:
        self.folder = folder
        self.downloads = downloads
        self.repository = repository
        self.epoch = epoch
        self.work = folder / "work"
        self.logs = folder / "log"
        self._start = time.monotonic()
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Create the folders and wait until no other build uses them."""
        for folder in (self.work, self.logs, self.downloads):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.say("another build is at work here; waiting for it")
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Let other builds use the folders."""
        if self._lock is not None:
            self._lock.close()

    def say(self, text: str) -> None:
        """Print a line with the seconds since the start."""
        print(f"[{time.monotonic() - self._start:4.0f} s] {text}", flush=True)

    def step(self, name: str, inputs: Iterable[str | Path], make: Callable[[Path], None]) -> Path:
        """Return the step's result; `make` writes it, unless it exists for these inputs."""
        result = self.work / f"{name}-{fingerprint(inputs)}"
        if result.exists():
            self.say(f"{name}: unchanged")
            return result
        self.say(f"{name} ...")
        partial = self.work / f"partial-{name}"
        remove(partial)
        make(partial)
        for old in self.work.glob(f"{name}-" + "[0-9a-f]" * 16):
            remove(old)
        partial.rename(result)
        return result

    def run(
        self,
        command: Sequence[str | Path],
        *,
        log: str,
        remedy: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run a program, output into log/<log>.log; raises BuildError with the last lines when it fails."""
        file = self.logs / f"{log}.log"
        last_line = ""
        last_shown = time.monotonic()
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
            )
        except FileNotFoundError as error:
            raise BuildError(
                f"The program {command[0]} is missing on this machine.\n"
                "Remedy: scripts/install-host-packages installs what building needs."
            ) from error
        done = threading.Event()

        def show() -> None:
            while not done.wait(1.0):
                nonlocal last_shown
                if time.monotonic() - last_shown >= HEARTBEAT_S:
                    self.say(f"    {last_line[:100]}")
                    last_shown = time.monotonic()

        threading.Thread(target=show, daemon=True).start()
        try:
            with file.open("w") as out:
                for raw in process.stdout or ():
                    line = raw.decode(errors="replace").rstrip()
                    last_line = line.rpartition("\r")[2] or last_line
                    print(line, file=out)
            failed = process.wait() != 0
        finally:
            done.set()
            if process.poll() is None:
                process.terminate()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if failed:
            tail = "\n".join(f"    {line}" for line in file.read_text().splitlines()[-12:])
            raise BuildError(
                f"{Path(command[0]).name} failed:\n{tail}\nThe whole output: {file}\n{remedy}".rstrip()
            )

    def run_inside(
        self, root: Path, command: Sequence[str], *, log: str, files: Mapping[str, Path] | None = None
    ) -> None:
        """Run a program of the system in `root` (chroot), without network, in mounts that vanish with it.

        It sees this workshop's `work` folder as /tmp/shop; inside() translates paths. Of other places it sees
        copies of `files`, in memory, as /tmp/<name>.
        """
        script = (
            'mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"; mount -t tmpfs tmpfs "$1/tmp"; '
            'mkdir "$1/tmp/shop"; mount --bind "$2" "$1/tmp/shop"; chroot=$1; count=$3; shift 3; '
            'while [ "$count" -gt 0 ]; do cp "$2" "$chroot/tmp/$1"; shift 2; count=$((count - 1)); done; '
            'exec chroot "$chroot" "$@"'
        )
        copies = [word for name, file in (files or {}).items() for word in (name, file)]
        environment = {
            "PATH": "/usr/bin:/usr/sbin:/bin:/sbin",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": str(self.epoch),
        }
        self.run(
            [
                "unshare",
                "--mount",
                "--net",
                "--propagation",
                "private",
                "sh",
                "-euc",
                script,
                "sh",
                root,
                self.work,
                str(len(files or {})),
                *copies,
                *command,
            ],
            log=log,
            environment=environment,
        )

    def inside(self, path: Path) -> str:
        """Return how a program in run_inside() calls this path of the work folder."""
        return f"/tmp/shop/{path.relative_to(self.work)}"  # noqa: S108 - a private mount, see run_inside()

    def copy_inside(self, name: str) -> str:
        """Return how a program in run_inside() calls the copy of one of its `files`."""
        return f"/tmp/{name}"  # noqa: S108 - as in inside()


def without_this_python(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what is set for the Python that runs this, such as PYTHONPYCACHEPREFIX.

    Those of a build would go by it, too, and leave what they compile where the image is to have nothing.
    """
    return {name: value for name, value in environment.items() if not name.startswith("PYTHON")}


def remove(path: Path) -> None:
    """Remove a file or folder if it is there.

    What an interrupted build left mounted below it is unmounted first: the machine's own /dev may be among
    it. Raises BuildError if that cannot be done.
    """
    if path.is_dir() and not path.is_symlink():
        for mount in mounts_below(path, Path("/proc/self/mountinfo").read_text()):
            done = subprocess.run(["umount", "--", mount], capture_output=True, text=True)
            if done.returncode:
                raise BuildError(f"{mount} is still mounted: {done.stderr.strip()}. Unmount it by hand.")
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def mounts_below(path: Path, mountinfo: str) -> list[str]:
    """Return the places at or below `path` where something is mounted, the innermost first.

    `mountinfo` as the kernel writes it (proc_pid_mountinfo(5)): the fifth field, blanks as octal numbers.
    """
    root = path.resolve()
    places = (
        re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split(" ")[4])
        for line in mountinfo.splitlines()
    )
    return sorted((place for place in places if Path(place).is_relative_to(root)), key=len, reverse=True)
