"""Who gets which tests of a run: machines beside what needs none."""

import random
from types import SimpleNamespace

import pytest
from xdist.remote import Producer

from tests.shares import Shares, next_share, share_of

BOOT, CLOCK = "tests/vm/test_boot.py::test_a", "tests/vm/test_clock.py::test_a[x]"
DIST, WORDS = "tests/host/test_dist.py", "tests/unit/test_words.py"


@pytest.mark.spec("I3")
def test_tests_of_a_file_stay_together_but_those_with_a_machine_each() -> None:
    assert [share_of(test) for test in (BOOT, CLOCK, f"{WORDS}::test_a[a::b]")] == [BOOT, CLOCK, WORDS]


@pytest.mark.spec("I3")
def test_who_may_start_machines_does_that_first_and_the_others_never_do() -> None:
    waiting = [DIST, BOOT, WORDS, CLOCK]
    assert next_share(waiting, machines=True) == BOOT
    assert next_share(waiting, machines=False) == DIST
    assert next_share([DIST, WORDS], machines=True) == DIST
    assert next_share([BOOT, CLOCK], machines=False) is None
    assert next_share([], machines=True) is None


class Worker:
    """What the scheduler of pytest-xdist knows of a worker, and how that goes on (xdist.remote)."""

    def __init__(self) -> None:
        self.gateway = SimpleNamespace(id="gw")
        self.waiting: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.waiting += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    def next_test(self) -> int | None:
        """It begins a test only when it knows the one after it, or that there is none."""
        if len(self.waiting) > 1 or (self.waiting and self.shutting_down):
            return self.waiting.pop(0)
        return None


class Config:
    """As much of pytest's as a scheduler asks for."""

    def __init__(self, machines: int | None) -> None:
        self._machines = machines
        self.option = SimpleNamespace(loadscopereorder=False)

    def getvalue(self, name: str) -> list[str]:
        assert name == "tx"
        return ["3*popen"]

    def getoption(self, name: str) -> int | None:
        assert name == "machines"
        return self._machines


FILES = ("tests/vm/test_a.py", "tests/host/test_b.py", "tests/unit/test_c.py")
MANY = [f"{file}::test_{test}" for file in FILES for test in "abc"]


@pytest.mark.spec("I3")
@pytest.mark.parametrize("tests", [MANY, MANY[::-1], MANY[:1], MANY[:3], MANY[-1:]])
@pytest.mark.parametrize("machines", [1, 2, None])
def test_every_test_is_run_once_and_machines_by_so_many_workers(
    machines: int | None, tests: list[str]
) -> None:
    """Whoever is the fastest."""
    for seed in range(20):
        chance = random.Random(seed)
        shares = Shares(Config(machines), Producer("test", enabled=False))  # type: ignore[arg-type]
        workers = [Worker() for _ in range(3)]
        for worker in workers:
            shares.add_node(worker)
        for worker in workers:
            shares.add_node_collection(worker, tests)
        shares.schedule()
        ran: list[tuple[str, Worker]] = []
        while ready := [worker for worker in workers if len(worker.waiting) > 1 - worker.shutting_down]:
            worker = chance.choice(ready)
            index = worker.next_test()
            assert index is not None
            ran.append((tests[index], worker))
            shares.mark_test_complete(worker, index)
        assert sorted(test for test, _ in ran) == sorted(tests)
        assert len({id(worker) for test, worker in ran if "/vm/" in test}) <= (machines or 3)
        assert all(worker.shutting_down for worker in workers)
