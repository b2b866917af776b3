"""How the disks say they are: has them asked now and then, and reads what was written down of it."""

import json
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from allegro.storage.disks import sequence
from allegro.storage.smart import NOT_YET, Health

_BLOCK: Final = Path("/sys/block")
_NO_DISKS: Final = ("loop", "zram", "ram", "sr", "fd", "dm-", "md")

UNIT: Final = "allegro-disk-health.service"

_FIRST_AFTER_S: Final = 60.0
_LOOK_EVERY_S: Final = 10.0
_ASK_EVERY_S: Final = 3600.0
_ENDS_WITHIN_S: Final = 5.0
_ORDER_TIMEOUT_S: Final = 20.0

log = logging.getLogger(__name__)


def read(file: Path) -> dict[str, Health]:
    """What was written down, by the names of the disks; nothing if there is nothing that can be read."""
    try:
        return {name: Health(**values) for name, values in json.loads(file.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def present_disks(block: Path = _BLOCK) -> dict[str, int]:
    """Names of all disks, and the kernel's numbers of them (diskseq; 0: not known)."""
    found = {}
    for folder in sorted(block.iterdir()):
        if not folder.name.startswith(_NO_DISKS):
            found[folder.name] = sequence(folder)
    return found


def order() -> None:
    """Has systemd start the program that asks the disks (health_look); does not wait for its end."""
    command = ["systemctl", "start", "--no-block", UNIT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ORDER_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("The disks cannot be asked for their health: %s", error)
    else:
        if done.returncode:
            log.warning("The disks cannot be asked for their health: %s", done.stderr.strip())


class DiskHealth:
    """`file` is where answers are written, `changes` answers the same as long as no disk comes or goes.

    May be called from any thread.
    """

    def __init__(self, file: Path, changes: Callable[[], object], ask: Callable[[], None] = order) -> None:
        self._file = file
        self._changes = changes
        self._ask = ask
        self._seen: object = None
        self._asked_s = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="disk health", daemon=True)

    def start(self) -> None:
        """Begins to have them asked."""
        self._thread.start()

    def stop(self) -> None:
        """Ends that."""
        self._stop.set()
        self._thread.join(_ENDS_WITHIN_S)

    def of(self, disk: str, sequence: int) -> Health:
        """What this disk said; `sequence` is the number that the kernel has for it."""
        found = read(self._file).get(disk)
        return found if found and found.sequence == sequence else Health("unknown", NOT_YET)

    def failing(self) -> Sequence[str]:
        """A sentence for each disk that says that it fails."""
        return [
            f"The disk /dev/{name}{f' ({each.model})' if each.model else ''}: {each.text}"
            for name, each in sorted(read(self._file).items())
            if each.state == "failing"
        ]

    def step(self, now_s: float) -> None:
        """Has them asked if one came or went, or the last time was long ago. `now_s` is monotonic."""
        before, self._seen = self._seen, self._changes()
        if self._seen != before or now_s - self._asked_s >= _ASK_EVERY_S:
            self._asked_s = now_s
            self._ask()

    def _work(self) -> None:
        if self._stop.wait(_FIRST_AFTER_S):  # a start has more to do
            return
        while not self._stop.wait(_LOOK_EVERY_S):
            self.step(time.monotonic())
