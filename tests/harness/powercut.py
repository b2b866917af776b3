"""Power cuts in an action: what the guest writes is logged once, then played back to chosen moments.

The result is the disk that a cut at this moment would have left, with or without what was not flushed; a
machine starts from it, and must come up in one of the states that the scenario allows. So a cut costs one
start at most, whatever the action takes, and finds again what it found once (`seed`). Cuts that leave the
same disk, byte for byte, share one start.
"""

import json
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from tests.harness import write_log
from tests.harness.bench_errors import BenchError
from tests.harness.device import Device
from tests.harness.qemu import Configuration, SavedState, VirtualMachine, save_diagnosis
from tests.harness.write_log import Entry, Loss, Remains, Replay

LOSSES: tuple[Loss, ...] = ("some", "all", "nothing", "some")

Say = Callable[[str], None]
Situation = Literal["ready", "installed"]
"""What a device was brought to before; see tests.harness.situations."""


class Scenario(Protocol):
    """An action that may be cut anywhere."""

    name: str
    boots: bool
    """Whether the action begins with a switched-off machine; else with a running device."""
    situation: Situation
    """What it begins from."""
    done: str
    """The outcome of the whole action, with no cut."""
    share: float
    """How many cuts it gets, as a part of those of the longest action."""

    def prepare(self, machine: VirtualMachine, device: Device) -> None:
        """Makes the state before; not called if `boots`."""

    def act(self, machine: VirtualMachine, device: Device) -> None:
        """From the beginning of the action until its end, when nothing of it is written any more."""

    def outcome(self, machine: VirtualMachine, device: Device) -> str:
        """What the device has become after the cut, in a word, such as "old" or "new".

        Raises BenchError or AssertionError if it is something that must not be.
        """


@dataclass(frozen=True)
class Cut:
    """A moment: after so many requests of all, of which `cached` were not safe when the power went."""

    at: int
    of: int
    cached: int
    loss: Loss

    def __str__(self) -> str:
        """For people."""
        return f"after request {self.at} of {self.of}, {self.cached} in the cache, {self.loss} lost"


@dataclass(frozen=True)
class Start:
    """A start from what `cuts` have left, all the same, and what became of it."""

    cuts: tuple[Cut, ...]
    outcome: str
    seconds: float


@dataclass
class Result:
    """All cuts of a scenario; a failure for each that left something wrong."""

    scenario: str
    seed: int
    disks: int = 0
    starts: list[Start] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def outcomes(self) -> Counter[str]:
        """How many cuts ended in what."""
        return Counter(start.outcome for start in self.starts for _ in start.cuts)


def run(
    scenario: Scenario,
    count: int,
    seed: int,
    directory: Path,
    saved: SavedState,
    say: Say = lambda _text: None,
    jobs: int = 1,
) -> Result:
    """Does the action once, then cuts it `count` times; starts `jobs` machines at a time from what is left.

    Disks of failed cuts stay in `directory`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "writes.log"
    base = directory / "disk.raw"
    first, last = _record(scenario, directory, saved, log, base, say)
    replay = Replay(base, log, copy_sparse)
    left = _choose(replay.entries[:last], first, count, random.Random(seed))
    say(f"{scenario.name}: {last - first} requests to the disk were logged")
    result = Result(scenario.name, seed, len(left))
    futures: list[Future[None]] = []

    def judge(number: int, cuts: tuple[Cut, ...], disk: Path) -> None:
        where = f"disk {number} of {len(left)}, {len(cuts)} x {cuts[0]}"
        begin = time.monotonic()
        try:
            outcome = _start_from(scenario, disk, directory / f"machine-{number}", saved.configuration)
        except (BenchError, AssertionError) as error:
            result.failures.extend(f"{cut}: {error}" for cut in cuts)
            say(f"  {where}: FAILED: {error}")
            return
        seconds = time.monotonic() - begin
        result.starts.append(Start(cuts, outcome, seconds))
        say(f"  {where}: {outcome} ({seconds:.0f} s)")
        disk.unlink()

    places = threading.Semaphore(jobs)  # a disk is made when there is a place to start from it, not before
    with ThreadPoolExecutor(jobs) as pool:
        for number, (remains, cuts) in enumerate(left.items(), 1):
            places.acquire()
            disk = directory / f"disk-{number}.raw"
            replay.leave(remains, disk)
            judged = pool.submit(judge, number, tuple(cuts), disk)
            judged.add_done_callback(lambda _: places.release())
            futures.append(judged)
    for judged in futures:
        judged.result()
    for path in (log, base):
        path.unlink()
    return result


def _choose(
    entries: Sequence[Entry], first: int, count: int, dice: random.Random
) -> dict[Remains, list[Cut]]:
    """The disks that so many cuts leave, in the order in which they can be made."""
    left: dict[Remains, list[Cut]] = {}
    for number, at in enumerate(write_log.moments(entries, first, count, dice), 1):
        loss = LOSSES[number % len(LOSSES)]
        cached = sum(entry.writes for entry in entries[write_log.safe_until(entries, at) : at])
        cut = Cut(at - first, len(entries) - first, cached, loss)
        left.setdefault(write_log.remains(entries, at, loss, dice), []).append(cut)
    return dict(sorted(left.items(), key=lambda each: each[0].whole))


def _record(
    scenario: Scenario, directory: Path, saved: SavedState, log: Path, base: Path, say: Say
) -> tuple[int, int]:
    """Logs the action, and checks what it does when nothing is cut.

    Returns the numbers of its first entry and of the one after its last. `base` becomes the disk before all.
    """
    say(f"{scenario.name}: watching what it writes")
    if scenario.boots:
        machine = VirtualMachine(directory / "watched", saved.configuration, write_log=log)
        copy_sparse(saved.configuration.image, base)
    else:
        machine = VirtualMachine(directory / "watched", saved=saved, write_log=log)
        convert(saved.overlay, base)
    try:
        machine.start()
        device = Device(machine)
        first = 0
        if not scenario.boots:
            device.wait_ready()
            scenario.prepare(machine, device)
            machine.run("sync")
            first = len(write_log.read(log))
        scenario.act(machine, device)
        last = len(write_log.read(log))
        if (became := scenario.outcome(machine, device)) != scenario.done:
            raise BenchError(f"{scenario.name}, with no cut: the device became {became!r}")
    except BaseException:
        save_diagnosis(machine, directory / "watched-failed")
        raise
    finally:
        machine.close()
        machine.remove_disks()
    return first, last


def _start_from(scenario: Scenario, disk: Path, directory: Path, configuration: Configuration) -> str:
    # One processor is emulated with less work than two, and two such machines fill a host of two.
    machine = VirtualMachine(
        directory, replace(configuration, image=disk, processors=1), origin="disk of a power cut"
    )
    try:
        machine.start()
        device = Device(machine)
        device.wait_ready(timeout=600)
        outcome = scenario.outcome(machine, device)
        wrong = machine.run(
            "journalctl -b -k --no-pager -o cat | grep -i 'EXT4-fs error'", check=False
        ).stdout
        if wrong:
            raise BenchError(f"the kernel found the file system damaged: {wrong[:300]}")
        machine.power_off()
        after = directory / "after.raw"
        convert(machine.overlay, after)
        check_file_system(after)
        after.unlink()
    except BaseException:
        save_diagnosis(machine, directory / "diagnosis")
        raise
    finally:
        machine.close()
        machine.remove_disks()
    return outcome


def check_file_system(disk: Path, label: str = "data") -> None:
    """Raises BenchError if e2fsck finds anything wrong with the file system of that partition."""
    table = subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True, text=True).stdout
    start = partition_start(table, label)
    checked = subprocess.run(
        ["e2fsck", "-fn", f"{disk}?offset={start}"], capture_output=True, text=True, check=False
    )
    if checked.returncode:
        raise BenchError(f"e2fsck of the partition {label} found:\n{checked.stdout}{checked.stderr}")


def partition_start(table: str, name: str) -> int:
    """First byte of a partition in the answer of `sfdisk --json`."""
    for partition in json.loads(table)["partitiontable"]["partitions"]:
        if partition.get("name") == name:
            return int(partition["start"]) * write_log.SECTOR
    raise BenchError(f"there is no partition {name}")


def convert(source: Path, target: Path) -> None:
    """A qcow2 file with all it stands on as one raw file."""
    _tool("qemu-img", "convert", "-O", "raw", str(source), str(target))


def copy_sparse(source: Path, target: Path) -> None:
    """Copies without the holes."""
    _tool("cp", "--reflink=auto", "--sparse=always", "--", str(source), str(target))


def _tool(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)}: {done.stderr.strip()}")


def summary(results: Sequence[Result]) -> str:
    """A table in Markdown."""
    lines = [
        "| scenario | cuts | different disks | outcomes | failures | start after a cut, longest |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(result.outcomes.items()))
        longest = max((start.seconds for start in result.starts), default=0.0)
        total = result.outcomes.total() + len(result.failures)
        facts = (total, result.disks, counts, len(result.failures), f"{longest:.0f} s")
        lines.append(f"| {result.scenario} | " + " | ".join(map(str, facts)) + " |")
    return "\n".join(lines)
