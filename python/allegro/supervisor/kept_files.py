"""The small files that the supervisor keeps on the data partition, looked at once, before they are written.

What is wrong with one is told until the next start, also where its last good copy has taken its place.
Settings and list of captures tell that themselves; users and certificate belong to the web page.
"""

import logging
from dataclasses import dataclass
from typing import Any

from allegro.events import event_list
from allegro.events.event import Event, event
from allegro.events.event_list import EventList
from allegro.export import key_file
from allegro.firmware.events import Events
from allegro.firmware.trial import TrialNote
from allegro.keeping import KeptFile, Value, trouble
from allegro.network import configure, unconfirmed
from allegro.paths import Paths
from allegro.settings import past_changes
from allegro.storage import known_disks
from allegro.system import identity
from allegro.system.health import KeptFileProblem

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Kept:
    """`id` is stable; `name` begins a sentence; `without`: what follows without file and copy."""

    id: str
    name: str
    file: KeptFile[Any]
    without: str


def kept_files(paths: Paths) -> tuple[_Kept, ...]:
    """All of them."""
    return (
        _Kept(
            "port-names",
            "The list of the names of the ports",
            configure.kept_names(configure.memory(paths.state)),
            "Ports have the names that a new device would give them: look whether the cables still fit.",
        ),
        _Kept(
            "network-change",
            "The note of a network change that waits for confirmation",
            unconfirmed.kept(paths.unconfirmed_change),
            "The present settings of the network stay in force: nothing is taken back.",
        ),
        _Kept(
            "firmware-trial",
            "The note of a new firmware version on trial",
            TrialNote(paths.firmware / "trial.json").kept,
            "Whether a version fell back cannot be told.",
        ),
        _Kept(
            "firmware-events",
            "The list of firmware events",
            Events(paths.firmware / "events.json").kept,
            "Earlier events are not shown.",
        ),
        _Kept(
            "events",
            "The list of who came in and what was changed",
            event_list.kept(paths.events),
            "Earlier events are not shown.",
        ),
        _Kept(
            "settings-changes",
            "The list of the last changes of the settings",
            past_changes.kept(paths.past_changes),
            "There is no way back to earlier settings.",
        ),
        _Kept(
            "known-disks",
            "The list of known disks",
            known_disks.kept(paths.known_disks),
            "What disks that are not plugged in were called is not shown; what each is for holds.",
        ),
        _Kept(
            "system-id",
            "The file of the system id",
            identity.kept(paths.system_id),
            "Captures made now may bear another system id, or none.",
        ),
        *(
            _Kept(
                "device-key" if kind == "ed25519" else f"device-key-{kind}",
                "The device's own SSH key" if kind == "ed25519" else f"The device's own SSH key ({kind})",
                key_file.kept(paths.ssh, kind),
                "Uploads that log in with it wait.",
            )
            for kind in key_file.KINDS
        ),
    )


class KeptFiles:
    """What was found at the start."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._problems: tuple[KeptFileProblem, ...] = ()

    def look(self) -> None:
        """Looks at all of them, and makes files of good copies and copies of good files. Raises nothing."""
        self._problems = tuple(
            problem for each in kept_files(self._paths) if (problem := _looked_at(each)) is not None
        )

    def problems(self) -> tuple[KeptFileProblem, ...]:
        """What was wrong then."""
        return self._problems


def firmware_events(paths: Paths) -> list[Event]:
    """What the programs of the firmware have written, for the list of all events."""
    own = Events(paths.firmware / "events.json").all()
    return [event(each.time_ns, "firmware", each.text, source="firmware") for each in own]


def event_problems(events: EventList) -> tuple[KeptFileProblem, ...]:
    """What keeps the list of events from being written at the moment."""
    return (KeptFileProblem("events-unwritten", events.problem, False),) if events.problem else ()


def _looked_at(kept: _Kept) -> KeptFileProblem | None:
    if not kept.file.path.parent.is_dir():  # the data partition is missing, or nothing was ever kept there
        return None
    found = kept.file.read()
    kept.file.mend()
    wrong = trouble(found)
    if not wrong:
        return None
    backed = isinstance(found, Value)
    text = f"{kept.name} {wrong}." if backed else f"{kept.name} {wrong}. {kept.without}"
    log.error("%s", text)
    return KeptFileProblem(kept.id, text, backed)
