"""When a newly started version counts as working: rules only; the program is `allegro.supervisor.confirm`."""

from dataclasses import dataclass
from typing import Literal

STABLE_S = 15.0
"""So long everything must be well without a restart of one of the programs."""

LIMIT_S = 300.0
"""So long a version has for that."""


@dataclass(frozen=True)
class Look:
    """How things are: what is not well, in words that follow "because"; restarts of all programs so far."""

    problems: tuple[str, ...]
    restarts: int


class Judge:
    """Takes a look now and then, and says whether the version works. Times in seconds, monotonic."""

    def __init__(self, start_s: float, limit_s: float = LIMIT_S, stable_s: float = STABLE_S) -> None:
        self._end_s = start_s + limit_s
        self._stable_s = stable_s
        self._well_since: tuple[float, int] | None = None
        self.reason = ""

    def see(self, now_s: float, look: Look) -> Literal["waiting", "works", "fails"]:
        """What the look means; with "fails", `reason` says why."""
        if look.problems:
            self._well_since = None
            self.reason = look.problems[0]
        elif self._well_since is None or self._well_since[1] != look.restarts:
            if self._well_since is not None:
                self.reason = "one of its programs ends again and again"
            self._well_since = (now_s, look.restarts)
        elif now_s - self._well_since[0] >= self._stable_s:
            return "works"
        return "fails" if now_s >= self._end_s else "waiting"
