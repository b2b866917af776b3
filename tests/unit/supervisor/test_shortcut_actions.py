import threading

import pytest

from allegro.errors import Conflict
from allegro.supervisor.shortcut_actions import Shortcuts
from allegro.trigger.chords import Shortcut


class Work:
    """Something that a shortcut does."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.done = threading.Semaphore(0)

    def __call__(self) -> None:
        self.done.release()
        if self.error:
            raise self.error


@pytest.mark.spec("U5", "N3")
@pytest.mark.parametrize("shortcut", ["reset", "temporary-address"])
def test_each_shortcut_does_what_it_stands_for(shortcut: Shortcut) -> None:
    works: dict[Shortcut, Work] = {"reset": Work(), "temporary-address": Work()}
    Shortcuts(works).begin(shortcut)
    assert works.pop(shortcut).done.acquire(timeout=20)
    assert not any(work.done.acquire(timeout=0.1) for work in works.values())


@pytest.mark.parametrize("error", [Conflict("Twice."), ValueError("odd")])
def test_a_failure_does_no_harm_to_the_next_one(error: Exception) -> None:
    work = Work(error)
    shortcuts = Shortcuts({"reset": work})
    for _ in range(2):
        shortcuts.begin("reset")
        assert work.done.acquire(timeout=20)


def test_a_shortcut_without_a_meaning_does_nothing() -> None:
    work = Work()
    Shortcuts({"reset": work}).begin("temporary-address")
    assert not work.done.acquire(timeout=0.1)
