"""Whether the memory of programs is flat."""

import pytest

from tests.harness.memory import FEWEST, grown, growth

NOISE = [100, 101, 99, 100, 102, 100, 99, 101, 100]


def test_what_goes_up_and_down_is_flat() -> None:
    assert abs(growth(NOISE)) < 0.02
    assert growth([100, 100, 100, 180, 100, 100, 100, 100, 180, 100]) == 0  # work was under way


def test_a_leak_is_growth() -> None:
    leaking = [size + 1.5 * minute for minute, size in enumerate(NOISE)]
    assert growth(leaking) > 0.05
    assert growth([100.0] * 3 + [97.0] * 3) == pytest.approx(-0.03)


def test_too_few_say_nothing() -> None:
    with pytest.raises(ValueError, match="too few"):
        growth([100] * (FEWEST - 1))
    with pytest.raises(ValueError, match="too few"):
        grown([{"web": 100.0}], 0.02)


def test_each_program_is_named_that_grew_or_went_away() -> None:
    samples = [{"web": 100.0, "recorder": 100.0 + minute, "console": 5.0} for minute in range(9)]
    del samples[4]["console"]
    first, second = grown(samples, 0.02)
    assert first == "console is in 8 of 9 samples only"
    assert second.startswith("recorder grew by 5.9%")
    assert grown([{"web": 100.0}] * FEWEST, 0.02) == []
