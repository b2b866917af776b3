"""What the trigger is given by the one who puts the device together."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from allegro.capture.status import ring_in_force
from allegro.filters.device import GroupTexts
from allegro.storage.capture_files import FileStore
from allegro.system import boottime
from allegro.trigger.beep import Signal
from allegro.trigger.extraction import EXTRACT_COMMAND
from allegro.trigger.job import Job


class Recorder(Protocol):
    """What the trigger needs to know of the recorder (`allegro.capture.status.RecorderStatus` has it)."""

    @property
    def state(self) -> str:
        """recording, starting or no-ring."""

    @property
    def message(self) -> str:
        """Plain words about a problem; may be empty."""

    @property
    def complete_through_ns(self) -> int:
        """Every packet received before this time is in the ring and readable."""

    @property
    def boot_id(self) -> str:
        """The start of the kernel that the next one is of; empty if it does not say."""

    @property
    def complete_through_boot_ns(self) -> int:
        """The same by the clock that nobody sets."""


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What the trigger is given by the one who puts the device together.

    `ring` is where the ring lies until the recorder says where it is (`ring_now`).
    `recorder` reads the recorder's status (None: there is none), for which the extraction reads the file
    `recorder_status` itself, `estimate` the size in bytes that a file of a window (start_ns, end_ns) has at
    most, `facts` what each file says about the device (device, system_id, firmware), `ports` the names of the
    measuring ports, `groups` the link groups, `play` sounds a signal and returns at once, `on_complete` is
    told of every new file, `on_failed` of every job that ended without one. `sent` holds files that a server
    has. `room` makes room for a file of so many bytes, and says why there is none. `ring_is_awaited` tells
    after a start whether the ring may still go on on another disk, with what was recorded before. `boot_id`
    is the id of this start of the kernel.
    """

    ring: Path
    recorder_status: Path
    storage: Path
    upload: Path
    to_upload: Callable[[], bool]
    recorder: Callable[[], Recorder | None]
    estimate: Callable[[int, int], int]
    facts: Callable[[], Mapping[str, str]]
    ports: Callable[[], Sequence[str]]
    play: Callable[[Signal], None]
    on_complete: Callable[[Job], None]
    on_failed: Callable[[Job], None] = lambda job: None
    groups: Callable[[], GroupTexts] = tuple
    sent: Path | None = None
    room: Callable[[int], str] | None = None
    ring_is_awaited: Callable[[], bool] = lambda: False
    boot_id: str = ""
    now_ns: Callable[[], int] = time.time_ns
    boot_ns: Callable[[], int] = boottime.now_ns
    monotonic: Callable[[], float] = time.monotonic
    command: Sequence[str] = EXTRACT_COMMAND

    def ring_now(self) -> Path:
        """The directory of the ring in force."""
        return ring_in_force(self.recorder_status, self.ring)

    def directory(self, name: str) -> Path:
        """The directory that a job's `directory` names."""
        return self.upload if name == "upload" else self.storage

    def space_problem(self, needed: int = 0) -> str:
        """Why a file of `needed` bytes cannot be stored now, in plain words; empty if it can."""
        return self.room(needed) if self.room else FileStore(self.storage).problem(needed)
