"""What the device's own programs take of the memory, and whether that is flat."""

from collections.abc import Mapping, Sequence
from statistics import median

from tests.harness.bench_errors import BenchError
from tests.harness.qemu import VirtualMachine

FEWEST = 6
"""Samples of which growth can be told."""

# One line for each running service of ours: its name, and two lines of smaps_rollup (proc(5)).
_SAMPLE = """
running=$(systemctl list-units --plain --no-legend --state=running 'allegro-*.service' | cut -d' ' -f1)
for unit in $running; do
  case $unit in *@*|allegro-bench-*) continue;; esac
  echo $unit $(awk '/^(Rss|Anonymous):/ {print $2}' /proc/$(systemctl show -P MainPID $unit)/smaps_rollup)
done
"""


def sample(machine: VirtualMachine) -> dict[str, tuple[int, int]]:
    """Return KiB of each service's main process, by the service's short name: all, and what is its own.

    All is what it has in memory (Rss); its own is what no file could be read for again (Anonymous): only that
    grows for good, as the kernel takes pages of files back when it likes.
    """
    found = {}
    for line in machine.run(_SAMPLE).stdout.splitlines():
        unit, *numbers = line.split()
        if len(numbers) != 2:
            raise BenchError(f"{unit} ended while its memory was looked at")
        found[unit.removeprefix("allegro-").removesuffix(".service")] = (int(numbers[0]), int(numbers[1]))
    return found


def growth(series: Sequence[float]) -> float:
    """Return by which share a series grew, from the middle of its first third to that of its last.

    A sample in which work was under way counts little so. Raises ValueError for fewer than FEWEST.
    """
    if len(series) < FEWEST:
        raise ValueError(f"{len(series)} samples of memory are too few: {FEWEST} are needed")
    third = len(series) // 3
    return median(series[-third:]) / median(series[:third]) - 1


def grown(samples: Sequence[Mapping[str, float]], most: float) -> list[str]:
    """Name the programs that grew by more than the share `most`, and those that were not there all the time.

    `samples` are in the order of time: size by program. Raises ValueError for fewer than FEWEST.
    """
    told = []
    for name in sorted({name for each in samples for name in each}):
        series = [each[name] for each in samples if name in each]
        if len(series) != len(samples):
            told.append(f"{name} is in {len(series)} of {len(samples)} samples only")
        elif (share := growth(series)) > most:
            told.append(f"{name} grew by {share:.1%}: {', '.join(f'{size:g}' for size in series)}")
    return told
