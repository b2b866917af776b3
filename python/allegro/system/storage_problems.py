"""What is wrong with disks, captures and their upload. Rules of `allegro.system.problems`."""

from collections.abc import Iterable

from allegro.system.health import MIB, Facts, Problem, Rule, recorder_is_silent
from allegro.words import duration

STORAGE_LOW_BYTES = 512 * MIB
STORAGE_LOW_SHARE = 0.05
"""Storage is nearly full below the smaller of these two: about one capture of a busy minute."""


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
    elif facts.storage_refuses:
        yield Problem("storage-full", "error", facts.storage_refuses, "Until then presses are refused.")


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
            "They stay on the device until then. Plug it in, make room on it, have a computer check it, or"
            " choose another (Storage).",
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


RULES: tuple[Rule, ...] = (
    storage_nearly_full,
    capture_limit_reached,
    capture_disk_unusable,
    ring_disk_unusable,
    disks_fail,
    uploads_fail,
)
