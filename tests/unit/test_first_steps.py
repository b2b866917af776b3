from typing import get_args

import pytest

from allegro import first_steps
from allegro.first_steps import STEPS, TITLES, Place

pytestmark = pytest.mark.spec("W11")


def test_the_steps_follow_each_other_to_the_end() -> None:
    assert set(get_args(Place)) == {"not-begun", *STEPS, "finished"}
    assert [first_steps.after(step) for step in STEPS] == [*STEPS[1:], "finished"]
    assert [first_steps.before(step) for step in STEPS] == [None, *STEPS[:-1]]


def test_they_are_five_with_the_door_and_without_the_press() -> None:
    assert len(TITLES) == 5
    assert [first_steps.number(step) for step in STEPS] == [2, 3, 4, 5, 6]


def test_it_goes_on_where_one_was_and_begins_anew_at_its_ends() -> None:
    assert [first_steps.shown(place) for place in STEPS] == list(STEPS)
    assert first_steps.shown("not-begun") == first_steps.shown("finished") == "clock"
