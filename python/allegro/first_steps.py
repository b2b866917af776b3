"""Set-up of a new device: its steps, in order. The first, the passwords, is the door: nobody gets past it."""

from typing import Final, Literal, get_args

Step = Literal["clock", "links", "presenter", "captures", "press"]
Place = Literal["not-begun", "clock", "links", "presenter", "captures", "press", "finished"]
"""Where the set-up is: at a step, or at neither of its ends. One that has not begun is not offered."""

STEPS: Final[tuple[Step, ...]] = get_args(Step)
TITLES: Final = ("Passwords", "Clock", "Links", "Presenter", "Captures")
"""What the five steps are called; the press at the end is the proof, and no step."""


def shown(place: Place) -> Step:
    """The step with which somebody goes on who opens the set-up."""
    return STEPS[0] if place == "not-begun" or place == "finished" else place


def number(step: Step) -> int:
    """Which of `TITLES` it is, from 2; 6 of the press."""
    return STEPS.index(step) + 2


def after(step: Step) -> Place:
    """What comes next."""
    following = STEPS.index(step) + 1
    return STEPS[following] if following < len(STEPS) else "finished"


def before(step: Step) -> Step | None:
    """What it came from; None of the first behind the door."""
    index = STEPS.index(step)
    return STEPS[index - 1] if index else None
