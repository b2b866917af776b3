"""What is wrong with the device at the moment, in plain words with what to do. One rule = one function.

A rule looks at the facts and answers with the problems it sees. No I/O here: the supervisor gathers facts.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from allegro.words import duration

Severity = Literal["error", "warning"]
MIB = 1 << 20

RECORDER_SILENT_S = 5.0
"""The recorder writes its status four times a second; this long without one means that it does not run."""

DROPS_WINDOW_S = 300.0
"""Lost packets are a problem for this long; the counters and the exported files keep them for ever."""

SHOWN_REFUSED = 3
"""So many settings that are not accepted are named one by one."""

STORAGE_LOW_BYTES = 512 * MIB
STORAGE_LOW_SHARE = 0.05
"""Storage is nearly full below the smaller of these two: about one capture of a busy minute."""

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
    ports: tuple[tuple[str, bool], ...] = ()  # name, has link
    recent_drops: int = 0  # within DROPS_WINDOW_S
    storage_size: int = 0
    storage_free: int = 0
    storage_error: str = ""
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


def problems(facts: Facts) -> list[Problem]:
    """All problems that the rules see, the worst first."""
    found = [problem for rule in RULES for problem in rule(facts)]
    return sorted(found, key=lambda problem: problem.severity != "error")


def recorder_silent(facts: Facts) -> Iterable[Problem]:
    """The recorder does not run, or hangs, or the device is too busy for its word."""
    if recorder_is_silent(facts):
        since = "" if facts.recorder_age_s is None else f" for {facts.recorder_age_s:.0f} s"
        yield Problem(
            "recorder-silent",
            "error",
            f"The recorder has not been heard of{since}. Whether packets are being recorded is not known.",
            "It is restarted by itself. If this message stays, restart the device.",
        )


def no_ring(facts: Facts) -> Iterable[Problem]:
    """The recorder runs, but has nowhere to write to."""
    if not recorder_is_silent(facts) and facts.recorder_state == "no-ring":
        yield Problem(
            "no-ring",
            "error",
            f"No packets are being recorded: {facts.recorder_message or 'there is no packet ring buffer.'}",
            "Make the packet ring buffer smaller, or free space on its storage device.",
        )


def ring_in_memory(facts: Facts) -> Iterable[Problem]:
    """The disk of the ring gives none. A data partition that cannot be used says so itself."""
    if not recorder_is_silent(facts) and facts.memory_reason and not facts.data_problem:
        yield Problem(
            "ring-in-memory",
            "error",
            "The storage device of the packet ring buffer cannot be used: the last"
            f" {duration(facts.reach_back_s)} are kept in memory only. {facts.memory_reason}",
            "Captures can be made of that time. Free space on the storage device, or check it, and replace it"
            " if it is worn out; packets go there again by themselves.",
        )


def ring_not_written(facts: Facts) -> Iterable[Problem]:
    """The disk of the ring refuses writes."""
    if facts.write_errors:
        yield Problem(
            "ring-write-errors",
            "error",
            f"The storage device of the packet ring buffer refused {facts.write_errors} writes.",
            "Packets are missing. Check the disk and replace it if it is worn out.",
        )


def ring_too_short(facts: Facts) -> Iterable[Problem]:
    """A press would not get what it is set to."""
    reach_s = facts.full_reach_s
    if not recorder_is_silent(facts) and reach_s is not None and reach_s < facts.window_s:
        yield Problem(
            "ring-too-short",
            "warning",
            f"Captures are set to {duration(facts.window_s)}, but with the traffic so far the full packet"
            f" ring buffer reaches back {duration(reach_s)}.",
            "Make the packet ring buffer larger, or the captures shorter.",
        )


def ring_waits(facts: Facts) -> Iterable[Problem]:
    """A setting is not in force yet."""
    if facts.ring_waits_for:
        captures = "a capture" if facts.ring_waits_for == 1 else f"{facts.ring_waits_for} captures"
        yield Problem(
            "ring-waits",
            "warning",
            f"The packet ring buffer becomes smaller, or changes its disk, when {captures} accepted before no"
            " longer need it.",
            "It goes on by itself. Cancel the captures to have it at once.",
        )


def packets_lost(facts: Facts) -> Iterable[Problem]:
    """Packets were lost in the last minutes."""
    if facts.recent_drops:
        yield Problem(
            "packets-lost",
            "warning",
            f"{facts.recent_drops} packets were lost in the last {DROPS_WINDOW_S / 60:.0f} minutes.",
            "The traffic or the disk is too much for this device. Captures of this time say what is missing.",
        )


def no_link(facts: Facts) -> Iterable[Problem]:
    """Nothing is plugged in."""
    if recorder_is_silent(facts) or facts.recorder_state == "starting":
        return
    if not facts.ports:
        yield Problem(
            "no-ports",
            "error",
            "This device has no measuring port.",
            "Besides the management port, at least one more network port is needed.",
        )
    elif not any(link for _, link in facts.ports):
        yield Problem(
            "no-link",
            "warning",
            "None of the measuring ports has a link.",
            f"Plug in the network cables ({', '.join(name for name, _ in facts.ports)}).",
        )


def data_unusable(facts: Facts) -> Iterable[Problem]:
    """Ring, captures, jobs and settings have no place."""
    if facts.data_problem:
        kept = "No packets are recorded, no captures made and no settings saved; links and management go on."
        if facts.ring_on_chosen_disk and not recorder_is_silent(facts):
            kept = (
                "Packets are recorded on the disk that was chosen for them, but no captures are made on the"
                " device and no settings saved; links and management go on."
            )
        elif facts.memory_reason and not recorder_is_silent(facts):
            kept = (
                f"The last {duration(facts.reach_back_s)} are kept in memory only: a live capture can be"
                " streamed and downloaded, but no captures are made on the device and no settings saved;"
                " links and management go on. A restart loses these packets."
            )
        yield Problem(
            "data-unusable",
            "error",
            f"The data partition cannot be used: {facts.data_problem}",
            f"{kept} Restart the device; if this message stays, repair or replace the disk.",
        )


def storage_nearly_full(facts: Facts) -> Iterable[Problem]:
    """There may be no room for the next capture."""
    if facts.data_problem:
        return
    if facts.storage_error:
        yield Problem(
            "no-storage",
            "error",
            f"The storage device cannot be used: {facts.storage_error}",
            "No captures can be saved. Check the storage device.",
        )
    elif facts.storage_free < min(STORAGE_LOW_BYTES, facts.storage_size * STORAGE_LOW_SHARE):
        yield Problem(
            "storage-full",
            "warning",
            f"The storage device is nearly full: {facts.storage_free / 1e6:.0f} MB are free.",
            "Download and delete captures that are not needed any more.",
        )


def capture_limit_reached(facts: Facts) -> Iterable[Problem]:
    """Presses are refused, although the disk has room."""
    if facts.capture_limit:
        yield Problem("capture-limit", "warning", facts.capture_limit, "Until then presses are refused.")


def capture_disk_unusable(facts: Facts) -> Iterable[Problem]:
    """Captures do not get to where somebody wants them."""
    if facts.capture_disk:
        yield Problem(
            "capture-disk",
            "warning",
            facts.capture_disk,
            "They stay on the device until then. Plug it in, make room on it, or choose another (Storage).",
        )


def ring_disk_unusable(facts: Facts) -> Iterable[Problem]:
    """The ring is on the device's own disk instead, if that takes it."""
    if not facts.ring_disk:
        return
    known = not recorder_is_silent(facts) and facts.recorder_state == "recording"
    on_own_disk = known and not facts.memory_reason
    lies = "lies on the device's own disk, not on the one" if on_own_disk else "is not on the disk"
    recorded = "Packets are recorded all the same. " if on_own_disk else ""
    yield Problem(
        "ring-disk",
        "warning",
        f"The packet ring buffer {lies} that was chosen for it: {facts.ring_disk}",
        f"{recorded}Plug that disk in, or choose another (Storage).",
    )


def disks_fail(facts: Facts) -> Iterable[Problem]:
    """A disk says of itself that it fails, whatever else it is used for."""
    if facts.failing_disks:
        yield Problem(
            "disk-fails",
            "error",
            " ".join(facts.failing_disks),
            "Save what is on it as soon as you can, and replace it.",
        )


def uploads_fail(facts: Facts) -> Iterable[Problem]:
    """Files wait in the upload directory and the last try failed."""
    if facts.upload_failures:
        name, reason = facts.upload_failures[0]
        count = len(facts.upload_failures)
        what = f"{name} could" if count == 1 else f"{count} files (the first is {name}) could"
        yield Problem(
            "uploads-fail",
            "warning",
            f"{what} not be uploaded to the server: {reason}",
            "The files are kept and tried again. A test upload shows whether the settings are right.",
        )


def settings_damaged(facts: Facts) -> Iterable[Problem]:
    """The device runs with settings that are not the user's."""
    if facts.settings_problem:
        yield Problem(
            "settings-damaged",
            "error",
            facts.settings_problem,
            "See to the data partition first."
            if facts.data_problem
            else "Check all settings and save them again.",
        )


def settings_refused(facts: Facts) -> Iterable[Problem]:
    """What another version has set does not hold."""
    if facts.settings_refused:
        count = len(facts.settings_refused)
        more = f" (and {count - SHOWN_REFUSED} more)" if count > SHOWN_REFUSED else ""
        yield Problem(
            "settings-refused",
            "warning",
            "This version of the firmware does not accept all of the settings: "
            f"{'; '.join(facts.settings_refused[:SHOWN_REFUSED])}{more}.",
            "These have their defaults; all others hold. They stay in the file for a version that accepts"
            " them, until they are changed here.",
        )


def kept_file_unusable(facts: Facts) -> Iterable[Problem]:
    """A small file that the device keeps for itself could not be used at the start."""
    for each in facts.kept_files:
        yield Problem(
            f"kept-{each.id}",
            "warning" if each.backed else "error",
            each.text,
            "Nothing is lost. If this comes again, replace the disk."
            if each.backed
            else "Restart the device; if this message stays, replace the disk.",
        )


def jobs_damaged(facts: Facts) -> Iterable[Problem]:
    """The list of captures could not be read at the start."""
    if facts.jobs_problem:
        yield Problem(
            "jobs-damaged",
            "warning",
            facts.jobs_problem,
            "Captures that were being made may be missing; finished files are kept.",
        )


def jobs_refused(facts: Facts) -> Iterable[Problem]:
    """There is no list of captures at all. A data partition that cannot be used says so itself."""
    if facts.jobs_refused and not facts.data_problem:
        yield Problem(
            "jobs-refused",
            "error",
            f"No captures can be made: {facts.jobs_refused}",
            "Restart the device; if this message stays, free some space on the data partition.",
        )


def presenter_unreadable(facts: Facts) -> Iterable[Problem]:
    """A presenter is plugged in, but its keys do not arrive."""
    for name, reason in facts.presenter_problems:
        yield Problem(
            "presenter",
            "error",
            f"The keys of the presenter {name} cannot be read: {reason}",
            "Unplug its receiver and plug it in again.",
        )


def firmware_fell_back(facts: Facts) -> Iterable[Problem]:
    """An update did not work."""
    if facts.firmware_fell_back:
        yield Problem(
            "firmware-fell-back",
            "warning",
            facts.firmware_fell_back,
            "The device works as before the update. Get another version, or ask the maker of this device.",
        )


def wifi_fails(facts: Facts) -> Iterable[Problem]:
    """A WiFi adapter is plugged in, but does not do what it should."""
    if facts.wifi_problem is not None:
        yield facts.wifi_problem


def notifications_fail(facts: Facts) -> Iterable[Problem]:
    """Somebody who should be told of something is not."""
    yield from facts.notifications


def first_passwords(facts: Facts) -> Iterable[Problem]:
    """Everybody who has read the manual can come in."""
    if facts.first_passwords:
        yield Problem(
            "first-passwords",
            "warning",
            f"The first password of {' and '.join(facts.first_passwords)} is in force: everybody can read it"
            " in the manual.",
            "Log in to the page: it asks for new ones."
            if "page" in facts.first_passwords
            else "Log in to the page as an administrator; choose WiFi password in the menu behind your name.",
        )


def parts_failed(facts: Facts) -> Iterable[Problem]:
    """A part of the supervisor did not start; the others go on."""
    for part, reason in facts.failed_parts:
        yield Problem(
            f"part-{part.lower().replace(' ', '-')}",
            "error",
            f"The {part} does not work: {reason}",
            "Everything else goes on. Restart the device if this message stays.",
        )


def network_taken_back(facts: Facts) -> Iterable[Problem]:
    """What the user wanted is not what holds."""
    if facts.network_taken_back:
        yield Problem(
            "network-taken-back",
            "warning",
            f"The last change of the network settings was taken back {facts.network_taken_back}.",
            "Make it again, open the page at the new address, and confirm it there.",
        )


def network_waits(facts: Facts) -> Iterable[Problem]:
    """A change of the network is taken back if nobody does anything."""
    if facts.network_waits_s is not None:
        yield Problem(
            "network-waits",
            "warning",
            f"Changed network settings are taken back in {facts.network_waits_s:.0f} s.",
            "Confirm them on the page Management interface settings to keep them.",
        )


def recorder_is_silent(facts: Facts) -> bool:
    """Then what the recorder said last is of no use."""
    return facts.recorder_age_s is None or facts.recorder_age_s > RECORDER_SILENT_S


RULES: tuple[Callable[[Facts], Iterable[Problem]], ...] = (
    data_unusable,
    recorder_silent,
    no_ring,
    ring_in_memory,
    ring_not_written,
    ring_too_short,
    ring_waits,
    packets_lost,
    no_link,
    storage_nearly_full,
    capture_limit_reached,
    capture_disk_unusable,
    ring_disk_unusable,
    disks_fail,
    uploads_fail,
    settings_damaged,
    settings_refused,
    kept_file_unusable,
    jobs_damaged,
    jobs_refused,
    presenter_unreadable,
    firmware_fell_back,
    wifi_fails,
    notifications_fail,
    first_passwords,
    parts_failed,
    network_taken_back,
    network_waits,
)


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
