"""A workshop without a chroot: its tools lie in a folder of this machine, such as Buildroot's host folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from board.allegro.image.workshop import Workshop, remove


class HostTools(Workshop):
    """Runs the same steps as Workshop, as an ordinary user, with the programs of `root`/bin first."""

    def run_inside(
        self, root: Path, command: Sequence[str], *, log: str, files: Mapping[str, Path] | None = None
    ) -> None:
        """Run a program with the tools in `root`; copies of `files` exist as long as it runs."""
        environment = {
            "PATH": f"{root}/bin:{root}/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
            "HOME": str(self.work),
            "LC_ALL": "C",
            "TZ": "UTC",
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": str(self.epoch),
        }
        copies = self.work / "copies"
        remove(copies)
        copies.mkdir(parents=True)
        copies.chmod(0o700)
        try:
            for name, file in (files or {}).items():
                shutil.copy(file, copies / name)
            self.run(command, log=log, environment=environment)
        finally:
            remove(copies)

    def inside(self, path: Path) -> str:
        """Return the path itself: programs see this machine as it is."""
        return str(path)

    def copy_inside(self, name: str) -> str:
        """Return where the copy of one of run_inside()'s `files` lies."""
        return str(self.work / "copies" / name)
