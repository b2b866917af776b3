"""Long actions of the device (installations, resets, downloads): what runs, how far it is, how it ended.

Shown by the status, so that console, page and command line tell the same.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from allegro.errors import AllegroError, Conflict

State = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class Action:
    """`name` is stable and names the kind, `text` says in plain words what happens or how it ended.

    `progress` is 0 to 1, or None if it cannot be known.
    """

    name: str
    text: str
    progress: float | None
    state: State


class Running:
    """The handle of an action while it runs: tells how far it is."""

    def __init__(self, actions: "Actions", name: str) -> None:
        self._actions = actions
        self._name = name

    def tell(self, text: str, progress: float | None = None) -> None:
        """Says what is being done now; `progress` is 0 to 1 or None."""
        self._actions._put(Action(self._name, text, progress, "running"))


class Actions:
    """All long actions since the start, the last one of each name. For use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._actions: dict[str, Action] = {}

    def all(self) -> tuple[Action, ...]:
        """In the order in which they began."""
        with self._lock:
            return tuple(self._actions.values())

    def start(self, name: str, text: str) -> Running:
        """Begins an action; `done` or `failed` must follow. Raises Conflict if one of this name runs."""
        with self._lock:
            before = self._actions.pop(name, None)
            if before is not None and before.state == "running":
                self._actions[name] = before
                raise Conflict(f"This is being done already: {before.text}", remedy="Wait for its end.")
            self._actions[name] = Action(name, text, None, "running")
        return Running(self, name)

    def done(self, name: str, text: str) -> None:
        """The action has ended well."""
        self._put(Action(name, text, 1.0, "done"))

    def failed(self, name: str, text: str) -> None:
        """The action has ended without success; its progress stays where it was."""
        with self._lock:
            self._actions[name] = replace(self._actions[name], text=text, state="failed")

    @contextmanager
    def running(self, name: str, text: str, done: str) -> Iterator[Running]:
        """Begins and ends an action around a block; an exception makes it failed and goes on."""
        handle = self.start(name, text)
        try:
            yield handle
        except BaseException as error:
            words = (
                str(error) if isinstance(error, AllegroError | OSError) else "Something unexpected happened."
            )
            self.failed(name, words)
            raise
        self.done(name, done)

    def _put(self, action: Action) -> None:
        with self._lock:
            self._actions[action.name] = action
