"""What a way out has to do, and what may go wrong on it, in plain words."""

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from allegro.connecting import explained
from allegro.errors import Unavailable
from allegro.events.event import visible
from allegro.notify.notice import Notice
from allegro.settings.masks import MASK

STEP_TIMEOUT_S = 20.0
"""For the connection, and for each answer."""

_ANSWER = 200
"""Characters of an answer that are shown."""


class Undelivered(Unavailable):
    """A message did not get through. `of_message`: others may; else all have to wait.

    `pause_s`: how long the server asks to be left alone; None: it says nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        place: str = "",
        remedy: str = "",
        of_message: bool = False,
        pause_s: float | None = None,
    ) -> None:
        super().__init__(message, place=place, remedy=remedy)
        self.of_message = of_message
        self.pause_s = pause_s


@dataclass(frozen=True)
class Taken:
    """The server has it. `words`: what it said; `complaint`: what it refused of it, may be empty."""

    words: str
    complaint: str = ""


Send = Callable[[Notice], Taken]
"""Hands one message over. Raises Undelivered."""


class Way(Protocol):
    """One way out, as the settings have it."""

    @property
    def target(self) -> str:
        """Where it leads, without secrets."""

    def connection(self) -> AbstractContextManager[Send]:
        """Connects, and logs in. Raises Undelivered, also for what breaks in the block."""


def said(answer: str, secrets: Iterable[str] = ()) -> str:
    """What a server said, on one line. Servers repeat what they were asked for: `secrets` are masked."""
    longest_first = sorted(filter(None, secrets), key=len, reverse=True)
    if longest_first:
        answer = re.sub("|".join(map(re.escape, longest_first)), MASK, answer)
    return visible(" ".join(answer.split()), _ANSWER).rstrip(".") or "nothing"


def explain(error: BaseException, place: str) -> Undelivered:
    """Plain words for a connection that fails or breaks off."""
    message, remedy = explained(error)
    return Undelivered(message, place=place, remedy=remedy)
