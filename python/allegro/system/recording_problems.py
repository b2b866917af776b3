"""What is wrong with recording: recorder, ring, ports. Rules of `allegro.system.problems`."""

from collections.abc import Iterable

from allegro.system.health import DROPS_WINDOW_S, Facts, Problem, Rule, recorder_is_silent
from allegro.words import duration

DISK_STANDS_S = 10.0
"""So long a write may take: disks that try a bad sector again and again, or wake up, are slow at times."""


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


def ring_disk_stands_still(facts: Facts) -> Iterable[Problem]:
    """It refuses nothing, but takes nothing either."""
    if not recorder_is_silent(facts) and facts.write_waits_s > DISK_STANDS_S:
        yield Problem(
            "ring-disk-stands",
            "error",
            "The storage device of the packet ring buffer has not answered for"
            f" {duration(facts.write_waits_s)}.",
            "What comes in waits in memory, and is lost when that is full; captures and live captures wait,"
            " too. It goes on by itself. If this message stays, check the device and its cable.",
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


RULES: tuple[Rule, ...] = (
    recorder_silent,
    no_ring,
    ring_in_memory,
    ring_not_written,
    ring_disk_stands_still,
    ring_too_short,
    ring_waits,
    packets_lost,
    no_link,
)
