"""What is known of the device's health: facts, and problems as they are told. Rules: `system.problems`."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
MIB = 1 << 20

RECORDER_SILENT_S = 5.0
"""The recorder writes its status four times a second; this long without one means that it does not run."""

DROPS_WINDOW_S = 300.0
"""Lost packets are a problem for this long; the counters and the exported files keep them for ever."""

LEAST_USED = 0.05
"""Share of the ring that has to be in use before anything is said of how far back it will reach."""


@dataclass(frozen=True)
class Problem:
    """Something that a user should know. `id` is stable and names the rule, `remedy` says what to do."""

    id: str
    severity: Severity
    text: str
    remedy: str


@dataclass(frozen=True)
class KeptFileProblem:
    """A file that could not be used at the start. `backed`: its last good copy could be."""

    id: str
    text: str
    backed: bool


@dataclass(frozen=True)
class Facts:
    """What the rules look at. Sizes in bytes, times in seconds, packets as counts."""

    recorder_age_s: float | None = None  # since the recorder's last word; None = it never said anything
    recorder_state: str = ""  # "recording", "no-ring" or "starting"
    recorder_message: str = ""
    memory_reason: str = ""  # why packets are kept in memory only
    ring_on_chosen_disk: bool = False  # the recorder writes to the disk that was chosen for the ring
    reach_back_s: float = 0  # of the ring
    write_errors: int = 0
    write_waits_s: float = 0  # what has waited longest to be written to the ring's disk
    ports: tuple[tuple[str, bool], ...] = ()  # name, has link
    recent_drops: int = 0  # within DROPS_WINDOW_S
    storage_size: int = 0
    storage_free: int = 0
    storage_error: str = ""
    storage_refuses: str = ""  # why a capture cannot be stored
    capture_disk: str = ""  # why captures do not get to the disk that was chosen for them
    ring_disk: str = ""  # why the ring is not on the disk that was chosen for it
    failing_disks: tuple[str, ...] = ()  # a sentence for each that says that it fails
    capture_limit: str = ""  # why captures are refused although there is room
    data_problem: str = ""
    upload_failures: tuple[tuple[str, str], ...] = ()  # file, reason
    settings_problem: str = ""
    settings_refused: tuple[str, ...] = ()  # values that this version does not accept, with the reason
    kept_files: tuple[KeptFileProblem, ...] = ()
    jobs_problem: str = ""
    jobs_refused: str = ""  # why no press is accepted
    presenter_problems: tuple[tuple[str, str], ...] = ()  # name, reason
    firmware_fell_back: str = ""  # what happened
    wifi_problem: Problem | None = None
    notifications: tuple[Problem, ...] = ()
    first_passwords: tuple[str, ...] = ()  # what still has that of a new device: "page", "WiFi"
    failed_parts: tuple[tuple[str, str], ...] = ()  # part of the device, reason
    network_taken_back: str = ""  # why the last change was
    network_waits_s: float | None = None  # so long a change waits to be confirmed
    ring_waits_for: int = 0  # captures that end before the ring is made smaller
    window_s: float = 0  # of a capture as the settings have it, before and after the press
    full_reach_s: float | None = None  # of the ring when it is full; None: not known


Rule = Callable[[Facts], Iterable[Problem]]
"""The problems that it sees."""


def recorder_is_silent(facts: Facts) -> bool:
    """Then what the recorder said last is of no use."""
    return facts.recorder_age_s is None or facts.recorder_age_s > RECORDER_SILENT_S


def full_reach_s(reach_s: float, used: int, size: int) -> float | None:
    """How far back a ring of `size` bytes reaches when it is full, if packets go on to come in as they did
    while it got the `used` bytes that it has now; None if that is too little to say."""
    return reach_s * size / used if used >= size * LEAST_USED > 0 else None


class RecentIncrease:
    """How much a counter has grown within a window of time. A counter may start again at 0."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._last: int | None = None
        self._steps: deque[tuple[float, int]] = deque()

    def update(self, now_s: float, total: int | None) -> int:
        """Takes the counter's value at `now_s` (monotonic) and answers with the growth within the window.

        `total` is None while the counter cannot be read.
        """
        if total is not None:
            if self._last is not None:
                step = total - self._last if total >= self._last else total
                if step:
                    self._steps.append((now_s, step))
            self._last = total
        while self._steps and self._steps[0][0] < now_s - self._window_s:
            self._steps.popleft()
        return sum(amount for _, amount in self._steps)
