import pytest

from allegro.retrying import is_due, next_try, pause_after


@pytest.mark.spec("X3")
def test_the_pause_doubles_from_a_minute_to_an_hour() -> None:
    assert [pause_after(n) for n in (1, 2, 3, 6, 7, 8, 1000)] == [60, 120, 240, 1920, 3600, 3600, 3600]
    assert next_try(7, 2) == 120_000_000_007


@pytest.mark.spec("X3")
def test_it_is_due_after_its_pause_or_when_the_clock_was_set_back() -> None:
    assert is_due(100, 0, 0)
    assert not is_due(100, 90, 150)
    assert is_due(150, 90, 150)
    assert is_due(80, 90, 150)
