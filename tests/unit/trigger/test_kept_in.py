from pathlib import Path

import pytest

from allegro.capture.ring.segments import Run, write_runs
from allegro.trigger.job import Job
from allegro.trigger.kept_in import may_lie_in

HERE, OTHER = "ab" * 16, "cd" * 16


def job(boot_id: str = HERE, press_boot_ns: int | None = 100) -> Job:
    """It ends at 110."""
    return Job(1, 0, 0, "api", "manual", "", 60, 10, "accepted", press_boot_ns=press_boot_ns, boot_id=boot_id)


@pytest.mark.spec("T3", "R2")
@pytest.mark.parametrize(
    ("runs", "may"),
    [
        ([], False),
        ([(OTHER, 500, False)], False),
        ([(HERE, 90, False)], True),  # the power was cut, or it still goes on
        ([(HERE, 109, True)], False),  # it went to another ring before
        ([(HERE, 110, True)], True),
        ([(HERE, 20, True), (HERE, 105, False)], True),  # and came back
    ],
)
def test_packets_lie_where_the_recorder_was_at_the_end_of_the_window(
    tmp_path: Path, runs: list[tuple[str, int, bool]], may: bool
) -> None:
    noted = [
        Run(number, 1, 1, (), boot, 1, alive, left=left) for number, (boot, alive, left) in enumerate(runs)
    ]
    write_runs(tmp_path, noted, sync=False)
    assert may_lie_in(job(), tmp_path) is may


def test_of_dates_nothing_is_known_and_a_ring_without_runs_has_nothing(tmp_path: Path) -> None:
    assert may_lie_in(job(boot_id=""), tmp_path)
    assert may_lie_in(job(press_boot_ns=None), tmp_path)
    assert not may_lie_in(job(), tmp_path / "none")
