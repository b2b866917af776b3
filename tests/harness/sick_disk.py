"""A disk that gets bad sectors while it is used: a raw node of QEMU, whose layer below is replaced (QMP
`blockdev-reopen`) by a filter that refuses requests (QEMU's docs/devel/blkdebug.rst), and back.
"""

import itertools
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.harness.bench_errors import BenchError

_SECTOR = 512
_EIO = 5


class SickDisk:
    """The node `name` with what is in `image`; its sectors are good at first. `qmp` runs a QMP command."""

    def __init__(self, qmp: Callable[..., object], image: Path, name: str) -> None:
        self._qmp = qmp
        self.name = name
        self._file = f"{name}-file"
        self._filters = (f"{name}-bad{number}" for number in itertools.count(1))
        self._bad = ""
        qmp("blockdev-add", **{"driver": "file", "node-name": self._file, "filename": str(image)})
        qmp("blockdev-add", **self._on(self._file))

    def spoil(self, places: Iterable[int]) -> None:
        """From now on the sectors at these places (bytes from the start of the disk), and no others, can
        neither be read nor written."""
        rules = [{"event": "none", "errno": _EIO, "sector": place // _SECTOR} for place in places]
        if not rules:
            raise BenchError(f"{self.name}: no sectors to be spoiled")
        before, self._bad = self._bad, next(self._filters)
        node = {"driver": "blkdebug", "node-name": self._bad, "image": self._file, "inject-error": rules}
        self._qmp("blockdev-add", **node)
        self._put_on(self._bad, before)

    def heal(self) -> None:
        """All sectors are good again, with what was on them before they were bad."""
        before, self._bad = self._bad, ""
        self._put_on(self._file, before)

    def _put_on(self, node: str, before: str) -> None:
        self._qmp("blockdev-reopen", options=[self._on(node)])
        if before:
            self._qmp("blockdev-del", node_name=before)

    def _on(self, node: str) -> dict[str, str]:
        return {"driver": "raw", "node-name": self.name, "file": node}


def places_within(extents: Iterable[tuple[int, int]], first: int, every: int) -> list[int]:
    """Places in these extents (start and length in bytes): `first` bytes behind the start of each, and from
    there on every so many bytes."""
    return [place for start, length in extents for place in range(start + first, start + length, every)]


def free_extents(image: Path) -> list[tuple[int, int]]:
    """What no file takes in an ext4 file system, as far as that is written: start and length in bytes."""
    told = subprocess.run(["dumpe2fs", str(image)], capture_output=True, text=True, check=True).stdout
    if not (size := re.search(r"^Block size: +(\d+)$", told, re.MULTILINE)):
        raise BenchError(f"dumpe2fs does not say the size of a block of {image}")
    block, found = int(size[1]), []
    for line in re.findall(r"^  Free blocks: (.+)$", told, re.MULTILINE):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", line):
            found.append((int(first) * block, (int(last or first) - int(first) + 1) * block))
    return found
