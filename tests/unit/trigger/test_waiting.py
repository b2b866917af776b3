import pytest

from allegro.trigger.jobs import Job
from allegro.trigger.waiting import LATE_S, SILENT_S, STALLED_S, Waiting
from allegro.words import SECOND_NS

NOW = 1795271405 * SECOND_NS


def job(after_s: int = 0, press_ns: int = NOW, created_ns: int = NOW) -> Job:
    return Job(1, created_ns, press_ns, "api", "manual", "", 60 * SECOND_NS, after_s * SECOND_NS, "accepted")


@pytest.mark.spec("T3")
class TestWaiting:
    def test_no_after_window_is_due_at_once(self) -> None:
        assert Waiting().remaining(job(), now_ns=NOW + 5, monotonic=100.0) == 0

    def test_after_window(self) -> None:
        waiting = Waiting()
        assert waiting.remaining(job(10), now_ns=NOW, monotonic=100.0) == 10
        assert waiting.remaining(job(10), now_ns=NOW, monotonic=109.0) == 1

    def test_clock_set_back_does_not_prolong_it(self) -> None:
        waiting = Waiting()
        waiting.remaining(job(10), now_ns=NOW, monotonic=100.0)
        assert waiting.remaining(job(10), now_ns=0, monotonic=110.0) == 0

    def test_clock_behind_after_a_restart_waits_no_longer_than_the_window(self) -> None:
        assert Waiting().remaining(job(10), now_ns=0, monotonic=5.0) == 10

    def test_on_disk_when_the_recorder_says_so(self) -> None:
        waiting = Waiting()
        waiting.remaining(job(), now_ns=NOW, monotonic=0.0)
        assert not waiting.on_disk(job(), NOW - 1, monotonic=0.1)
        assert waiting.on_disk(job(), NOW, monotonic=0.2)

    def test_a_job_cancelled_meanwhile_is_not_on_disk(self) -> None:
        waiting = Waiting()
        waiting.remaining(job(), now_ns=NOW, monotonic=0.0)
        waiting.forget(1)
        assert not waiting.on_disk(job(), NOW - 1, monotonic=1000.0)

    @pytest.mark.parametrize(("through", "patience"), [(None, SILENT_S), (NOW - SECOND_NS, STALLED_S)])
    def test_recorder_that_does_not_move_is_not_waited_for(
        self, through: int | None, patience: float
    ) -> None:
        waiting = Waiting()
        waiting.remaining(job(), now_ns=NOW, monotonic=0.0)
        waiting.on_disk(job(), through, monotonic=0.0)
        assert not waiting.on_disk(job(), through, monotonic=patience - 0.1)
        assert waiting.on_disk(job(), through, monotonic=patience)

    def test_recorder_that_moves_is_waited_for_up_to_a_bound(self) -> None:
        waiting = Waiting()
        waiting.remaining(job(), now_ns=NOW, monotonic=0.0)
        for second in range(int(LATE_S)):
            assert not waiting.on_disk(job(), NOW - 10**12 + second, monotonic=float(second))
        assert waiting.on_disk(job(), NOW - 10**12 + 99, monotonic=LATE_S)
