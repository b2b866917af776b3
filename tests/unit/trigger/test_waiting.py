import pytest

from allegro.trigger.job import Job
from allegro.trigger.waiting import LATE_S, SILENT_S, STALLED_S, Waiting
from allegro.words import SECOND_NS

NOW = 1795271405 * SECOND_NS


def job() -> Job:
    return Job(1, NOW, NOW, "api", "manual", "", 60 * SECOND_NS, 0, "accepted")


@pytest.mark.spec("T3")
class TestWaiting:
    def test_no_after_window_is_due_at_once(self) -> None:
        assert Waiting().remaining(job(), left_ns=-5, monotonic=100.0) == 0

    def test_what_is_left_counts_when_it_is_asked_first(self) -> None:
        """Whatever the clock is set to afterwards."""
        waiting = Waiting()
        assert waiting.remaining(job(), left_ns=10 * SECOND_NS, monotonic=100.0) == 10
        assert waiting.remaining(job(), left_ns=3600 * SECOND_NS, monotonic=109.0) == 1
        assert waiting.remaining(job(), left_ns=3600 * SECOND_NS, monotonic=110.0) == 0

    def test_on_disk_when_the_recorder_says_so(self) -> None:
        waiting = Waiting()
        waiting.remaining(job(), left_ns=0, monotonic=0.0)
        assert not waiting.on_disk(job(), -1, monotonic=0.1)
        assert waiting.on_disk(job(), 0, monotonic=0.2)

    def test_a_job_cancelled_meanwhile_is_not_on_disk(self) -> None:
        waiting = Waiting()
        waiting.remaining(job(), left_ns=0, monotonic=0.0)
        waiting.forget(1)
        assert not waiting.on_disk(job(), -1, monotonic=1000.0)

    @pytest.mark.parametrize(("ahead", "patience"), [(None, SILENT_S), (-SECOND_NS, STALLED_S)])
    def test_recorder_that_does_not_move_is_not_waited_for(self, ahead: int | None, patience: float) -> None:
        waiting = Waiting()
        waiting.remaining(job(), left_ns=0, monotonic=0.0)
        waiting.on_disk(job(), ahead, monotonic=0.0)
        assert not waiting.on_disk(job(), ahead, monotonic=patience - 0.1)
        assert waiting.on_disk(job(), ahead, monotonic=patience)

    def test_recorder_that_moves_is_waited_for_up_to_a_bound(self) -> None:
        waiting = Waiting()
        waiting.remaining(job(), left_ns=0, monotonic=0.0)
        for second in range(int(LATE_S)):
            assert not waiting.on_disk(job(), second - 10**12, monotonic=float(second))
        assert waiting.on_disk(job(), 99 - 10**12, monotonic=LATE_S)
