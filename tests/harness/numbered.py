"""Whether a capture says the truth about numbered packets: all are in it, or told as missing."""

import itertools
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from tests.harness.captures import Capture, comment_fields
from tests.harness.frames import number_of, udp_frame

LATE_S = 5.0
"""An emulated processor may come to what happens outside so much later."""

_MOMENT = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC"
_AWAY = re.compile(
    r"(?:The recorder was not running|The packet ring was not open"
    r"|(?P<port>\S+) (?:had no link|was not there))"
    rf"(?: from {_MOMENT})?(?: (?:to|until) {_MOMENT})?"
)


@dataclass(frozen=True)
class Sent:
    """A series of frames 0, 1, 2, …, all of one size, that went into one port."""

    series: int
    size: int
    port: str
    moments: Sequence[float]
    """When each was handed over, in seconds by any clock that nobody sets."""

    def between(self, begin: float, end: float) -> range:
        """Return the numbers of those that were handed over from `begin` until before `end`."""
        return range(bisect_left(self.moments, begin), bisect_left(self.moments, end))


@dataclass(frozen=True)
class Away:
    """When nothing could be recorded, in seconds; infinite where no beginning or no end is known."""

    start_s: float
    end_s: float


def away(comment: str, port: str) -> list[Away]:
    """Return when the recorder, the ring or this port was not there by a capture's comment, since 1970.

    By the clock as it was set at the press, as all times in it.
    """
    return [
        Away(_seconds(found[2], -inf), _seconds(found[3], inf))
        for found in _AWAY.finditer(comment)
        if found["port"] in (None, port)
    ]


def faults(capture: Capture, sent: Sent, must: range, may: range, pressed: tuple[float, float]) -> list[str]:
    """Say what is wrong with a file: nothing if it has each frame of `must` once, or says that it is missing.

    It may have others of `may` besides. What is missing is told if the file says that nothing could be
    recorded when it was sent, or if its counters of loss have as many. The press came between the moments
    `pressed`, by the clock of `sent`: so it does not matter what the device's clock was set to.
    """
    told: list[str] = []
    numbers: list[int] = []
    for packet in capture.packets:
        found = number_of(packet.data)
        if found is None or found[0] != sent.series or packet.port != sent.port:
            told.append(f"a packet of {packet.port} that nobody sent: {packet.data[:64].hex()}")
        elif packet.data != udp_frame(found[1], size=sent.size, series=sent.series):
            told.append(f"packet {found[1]} has been changed")
        else:
            numbers.append(found[1])
    told += [
        f"packet {after} follows packet {before}"
        for before, after in itertools.pairwise(numbers)
        if after <= before
    ]
    if outside := [number for number in numbers if number not in may]:
        told.append(f"{len(outside)} packets are not of {may}, the first is {outside[0]}")
    return told or _untold(capture, sent, sorted(set(must) - set(numbers)), pressed)


def _untold(capture: Capture, sent: Sent, missing: list[int], pressed: tuple[float, float]) -> list[str]:
    press = datetime.fromisoformat(comment_fields(capture)["press"]).timestamp()
    said = [
        (each.start_s - press + pressed[0] - LATE_S, each.end_s - press + pressed[1] + LATE_S)
        for each in away(capture.comment, sent.port)
    ]
    lost = [
        number for number in missing if not any(start <= sent.moments[number] <= end for start, end in said)
    ]
    counted = capture.statistics.get(sent.port)
    drops = (counted.os_drops or 0) + (counted.interface_drops or 0) if counted else 0
    if len(lost) <= drops:
        return []
    return [f"{len(lost)} packets are missing, {lost[0]} to {lost[-1]}, and the file tells of {drops}"]


def _seconds(text: str | None, without: float) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() if text else without
