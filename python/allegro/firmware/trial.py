"""A version on trial: activated, but not yet confirmed. What is noted survives restarts; rules at the end.

The note is made at the activation, completed by the new version's own confirmation program, and judged by the
next supervisor that starts: either the new version runs, or the device fell back; then the note says how far
it came.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from allegro.atomic import sync_directory, write_atomically


@dataclass(frozen=True)
class Trial:
    """`to_slot` was activated; `starts`: how often its programs have begun to run; `reason`: why it gave up.

    `boot_id` names the run of the kernel in which it was activated: until the next one, nothing is decided.
    `was_recording`: whether packets were recorded then.
    """

    from_version: str
    from_slot: str
    to_version: str
    to_slot: str
    boot_id: str
    was_recording: bool = True
    starts: int = 0
    reason: str = ""


class TrialNote:
    """The note in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Trial | None:
        """None if nothing is on trial, also if the note cannot be read."""
        try:
            return Trial(**json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, trial: Trial) -> None:
        """Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, json.dumps(asdict(trial)).encode() + b"\n")

    def remove(self) -> None:
        """A note that is not there is no mistake. Raises OSError."""
        if self._path.exists():
            self._path.unlink()
            sync_directory(self._path.parent)


def begun(trial: Trial | None, running_slot: str) -> Trial | None:
    """The note with one more start, if `running_slot` is on trial; else None."""
    if trial is None or trial.to_slot != running_slot:
        return None
    return replace(trial, starts=trial.starts + 1)


def fell_back(trial: Trial, running_version: str) -> str:
    """The sentence about a trial that ended in another slot, where `running_version` runs."""
    if trial.reason:
        why = trial.reason
    elif trial.starts:
        times = "once" if trial.starts == 1 else f"{trial.starts} times"
        why = f"it started {times}, but stopped before it was seen to work"
    else:
        why = "it did not start"
    return f"Fell back from {trial.to_version} to {running_version}, because {why}."
