"""Where the time of a test run went: the table at its end (`--timetable`, `make test`).

Workers (pytest-xdist) hand over what they know as properties of their reports; the reckoning is done here,
from plain data.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SLOWEST = 25


@dataclass(frozen=True)
class Part:
    """Setup, call or teardown of a test."""

    test: str
    """Its id, such as tests/vm/test_boot.py::test_starts."""
    seconds: float
    worker: str = ""


@dataclass(frozen=True)
class MachineStart:
    """A virtual machine that was started."""

    kind: str
    seconds: float | None
    """Until it was ready; None: nobody waited for that."""
    anew: tuple[str, ...] = ()
    """Why it was begun anew, once for each time."""


def folder(test: str) -> str:
    """The folder that a test is counted in: the first two of its path, such as tests/unit."""
    return "/".join(test.partition("::")[0].split("/")[:-1][:2])


def table(parts: Iterable[Part], starts: Iterable[MachineStart], wall: float) -> list[str]:
    """The lines of the table; `wall` is how many seconds the whole run took."""
    parts = list(parts)
    return [*_folders(parts), *_workers(parts, wall), "", *_slowest(parts), "", *_machines(list(starts))]


def _folders(parts: Sequence[Part]) -> list[str]:
    seconds: defaultdict[str, float] = defaultdict(float)
    tests: defaultdict[str, set[str]] = defaultdict(set)
    for part in parts:
        seconds[folder(part.test)] += part.seconds
        tests[folder(part.test)].add(part.test)
    return [
        f"{seconds[name]:7.0f} s  {len(tests[name]):5} tests  {name}"
        for name in sorted(seconds, key=seconds.__getitem__, reverse=True)
    ]


def _workers(parts: Sequence[Part], wall: float) -> list[str]:
    busy: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        busy[part.worker] += part.seconds
    if len(busy) < 2:
        return [f"{wall:7.0f} s  in all"]
    each = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in sorted(busy.items()))
    return [f"{wall:7.0f} s  in all; in tests were {each}"]


def _slowest(parts: Sequence[Part]) -> list[str]:
    seconds: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        seconds[part.test] += part.seconds
    order = sorted(seconds, key=lambda test: (-seconds[test], test))[:SLOWEST]
    return [f"{seconds[test]:7.1f} s  {test}" for test in order]


def _machines(starts: Sequence[MachineStart]) -> list[str]:
    if not starts:
        return ["no virtual machine was started"]
    lines = [f"{len(starts)} virtual machines were started (seconds until ready):"]
    for kind, count in Counter(start.kind for start in starts).most_common():
        times = sorted(start.seconds for start in starts if start.kind == kind and start.seconds is not None)
        line = f"{sum(times):7.0f} s  {count:4} x {kind}"
        if times:
            line += f", median {times[len(times) // 2]:.1f} s, longest {times[-1]:.1f} s"
        if count > len(times):
            line += f"; {count - len(times)} that nobody waited for"
        lines.append(line)
    anew = Counter(reason for start in starts for reason in start.anew)
    lines += [f"{count:7}    begun anew: {reason}" for reason, count in sorted(anew.items())]
    return lines
