"""A version on trial: activated, but not yet confirmed. What is noted survives restarts; rules at the end.

The note is made at the activation, completed by the new version's own confirmation program, and judged by the
next supervisor that starts: either the new version runs, or the device fell back; then the note says how far
it came.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from allegro.keeping import KeptFile, Value


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
        self.kept = KeptFile(path, _parsed, passing=True)

    def read(self) -> Trial | None:
        """None if nothing is on trial, also if the note cannot be read (`kept` tells the two apart)."""
        found = self.kept.read()
        return found.value if isinstance(found, Value) else None

    def write(self, trial: Trial) -> None:
        """Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.kept.write(json.dumps(asdict(trial)).encode() + b"\n")

    def remove(self) -> None:
        """A note that is not there is no mistake. Raises OSError."""
        self.kept.remove()


def _parsed(content: bytes) -> Trial:
    """A version that falls back may have noted more than this one knows."""
    raw = json.loads(content)
    return Trial(**{field.name: raw[field.name] for field in fields(Trial) if field.name in raw})


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
