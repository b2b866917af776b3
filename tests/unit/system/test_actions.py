import pytest

from allegro.errors import Conflict, Unavailable
from allegro.system.actions import Action, Actions


def test_an_action_tells_how_far_it_is_and_how_it_ended() -> None:
    actions = Actions()
    with actions.running("install", "Copying.", "Copied.") as running:
        assert actions.all() == (Action("install", "Copying.", None, "running"),)
        running.tell("Checking.", 0.5)
        assert actions.all() == (Action("install", "Checking.", 0.5, "running"),)
    assert actions.all() == (Action("install", "Copied.", 1.0, "done"),)


def test_a_failure_is_told_in_its_own_words_and_keeps_the_progress() -> None:
    actions = Actions()

    def install() -> None:
        with actions.running("install", "Copying.", "Copied.") as running:
            running.tell("Copying.", 0.25)
            raise Unavailable("The disk does not answer.")

    with pytest.raises(Unavailable):
        install()
    assert actions.all() == (Action("install", "The disk does not answer.", 0.25, "failed"),)


def test_an_unexpected_failure_shows_no_internals() -> None:
    actions = Actions()
    with pytest.raises(KeyError), actions.running("install", "Copying.", "Copied."):
        raise KeyError("secret")
    assert actions.all()[0].state == "failed"
    assert "secret" not in actions.all()[0].text


def test_the_same_action_runs_only_once_at_a_time_and_begins_anew_afterwards() -> None:
    actions = Actions()
    actions.start("install", "Copying.")
    actions.start("download", "Loading.")
    with pytest.raises(Conflict, match="being done already: Copying"):
        actions.start("install", "Copying.")
    actions.done("install", "Copied.")
    actions.start("install", "Copying again.")
    assert [action.name for action in actions.all()] == ["download", "install"]
