from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from allegro.capture import status
from allegro.capture.extraction.yielding import (
    BEHIND_NS,
    CHECK_S,
    FULL,
    LONGEST_REST_S,
    PAUSE_S,
    SLOW_WRITE_S,
    STALE_NS,
    Courtesy,
)


class Bench:
    """A recorder's status and a clock that moves only by sleeping."""

    def __init__(self, directory: Path) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self.file = directory / "status.json"
        self.courtesy = Courtesy(self.file, clock=lambda: self.now, sleep=self.slept.append)

    def say(
        self,
        drops: int = 0,
        behind_ns: int = 0,
        age_ns: int = 0,
        state: str = status.RECORDING,
        fullest: float = 0,
        slowest_write_s: float = 0,
    ) -> None:
        now = time.time_ns() - age_ns
        through = now - behind_ns
        written = status.RecorderStatus(
            time_ns=now,
            state=state,
            drops=drops,
            complete_through_ns=through,
            bytes_per_s=1e9,
            fullest=fullest,
            slowest_write_s=slowest_write_s,
        )
        status.write(written, self.file)

    def pauses(self) -> bool:
        """Whether it pauses at its next look."""
        before = len(self.slept)
        self.now += CHECK_S
        self.courtesy.breathe()
        self.courtesy.breathe()  # too soon for another look
        assert self.slept[before:] in ([], [PAUSE_S])
        return len(self.slept) > before


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.spec("R7")
def test_it_pauses_while_drops_rise(bench: Bench) -> None:
    bench.say(drops=5)
    assert not bench.pauses()
    bench.say(drops=6)
    assert bench.pauses()
    assert not bench.pauses()
    bench.say(drops=7)
    assert bench.pauses()
    bench.say(drops=0)  # the recorder has restarted
    assert not bench.pauses()


@pytest.mark.spec("R7")
def test_it_pauses_while_the_recorder_is_behind(bench: Bench) -> None:
    bench.say(behind_ns=BEHIND_NS)
    assert not bench.pauses()
    bench.say(behind_ns=BEHIND_NS + 1)
    assert bench.pauses()
    assert bench.pauses()


@pytest.mark.spec("R7")
@pytest.mark.parametrize("need", [{"fullest": FULL + 0.01}, {"slowest_write_s": SLOW_WRITE_S + 0.01}])
def test_it_rests_as_long_as_it_works_while_the_recorder_needs_the_disk(
    bench: Bench, need: dict[str, float]
) -> None:
    bench.say(**need)  # type: ignore[arg-type]
    bench.courtesy.breathe()
    for worked, rested in ((0.001, []), (0.002, []), (0.004, [0.007]), (0.1, [0.1]), (9, [LONGEST_REST_S])):
        bench.slept.clear()
        bench.now += worked
        bench.courtesy.breathe()
        assert bench.slept == pytest.approx(rested)
    bench.say(fullest=FULL, slowest_write_s=SLOW_WRITE_S)
    bench.slept.clear()
    for _ in range(10):
        bench.now += 1
        bench.courtesy.breathe()
    assert bench.slept == []


def test_it_does_not_wait_for_a_recorder_that_is_not_running(bench: Bench) -> None:
    assert not bench.pauses()
    bench.file.write_text("nonsense")
    assert not bench.pauses()
    bench.say(behind_ns=9 * BEHIND_NS, state=status.NO_RING)
    assert not bench.pauses()
    bench.say(behind_ns=9 * BEHIND_NS, age_ns=2 * STALE_NS)
    assert not bench.pauses()


def test_without_a_status_file_it_never_pauses() -> None:
    Courtesy(None, sleep=lambda _: pytest.fail("paused")).breathe()


@pytest.mark.spec("R7")
def test_the_priority_is_the_lowest() -> None:
    code = (
        "import os, subprocess; from allegro.capture.extraction.yielding import lower_priority;"
        "lower_priority();"
        "print(os.nice(0), flush=True); subprocess.run(['ionice', '-p', str(os.getpid())], check=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["19", "idle"]
