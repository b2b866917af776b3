import pytest

from allegro.trigger.job import Job
from allegro.trigger.order import (
    MOST_TRIES,
    PATIENCE_S,
    SHORT_BYTES,
    Running,
    by_urgency,
    exhausted,
    is_short,
    soon_done,
    wait_beside,
)


def job(number: int, press_ns: int, before_ns: int, tries: int = 0, message: str = "") -> Job:
    return Job(
        number, 0, press_ns, "api", "manual", "", before_ns, 0, "accepted", tries=tries, message=message
    )


@pytest.mark.spec("T10")
def test_the_oldest_beginning_comes_first_and_then_the_earlier_press() -> None:
    jobs = [job(1, 100, 60), job(2, 110, 86), job(3, 100, 60), job(4, 50, 0)]
    assert [one.id for one in by_urgency(jobs)] == [2, 1, 3, 4]


@pytest.mark.spec("T10")
@pytest.mark.parametrize(
    ("size", "beside", "short"),
    [
        (0, [], True),
        (SHORT_BYTES, [], True),
        (SHORT_BYTES + 1, [], False),
        (SHORT_BYTES * 2, [SHORT_BYTES * 16], True),
        (SHORT_BYTES * 2, [SHORT_BYTES * 15], False),
        (SHORT_BYTES * 2, [None], False),
        (None, [SHORT_BYTES * 16], False),
    ],
)
def test_short_is_little_or_little_against_what_it_would_wait_for(
    size: int | None, beside: list[int | None], short: bool
) -> None:
    assert is_short(size, [Running(other, 0.0) for other in beside]) is short


@pytest.mark.spec("T10")
@pytest.mark.parametrize(
    ("running", "wait"),
    [
        ([], None),
        ([Running(SHORT_BYTES + 1, 10.0)], 0.0),
        ([Running(None, 10.0)], 0.0),
        ([Running(5, 10.0)], PATIENCE_S - 0.25),
        ([Running(5, 10.25 - PATIENCE_S)], 0.0),
    ],
)
def test_the_second_is_begun_beside_what_takes_long(running: list[Running], wait: float | None) -> None:
    assert wait_beside(running, 10.25) == wait


@pytest.mark.spec("T10")
@pytest.mark.parametrize(
    ("sizes", "soon"),
    [([], False), ([0, SHORT_BYTES], True), ([0, SHORT_BYTES + 1], False), ([None], False)],
)
def test_soon_done_are_short_ones_only(sizes: list[int | None], soon: bool) -> None:
    assert soon_done([Running(size, 0.0) for size in sizes]) is soon


@pytest.mark.spec("T10")
def test_after_the_last_try_the_reason_is_told() -> None:
    assert exhausted(job(1, 0, 0, MOST_TRIES - 1, "disk.")) == ""
    assert exhausted(job(1, 0, 0, MOST_TRIES, "disk.")).endswith("tried 3 times: disk.")
    assert "the device" in exhausted(job(1, 0, 0, MOST_TRIES))
