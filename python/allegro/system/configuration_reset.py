"""Configuration reset: what a user has set is removed, captures and ring stay.

It is ordered while the device runs (`write_order`), and done at the next start before anything uses the data
partition (`remove_settings`, called by allegro.supervisor.reset_at_start). The request itself lies in the
boot state; what to keep lies beside the settings, because only a start that was requested here may keep
anything.

Everything on the data partition that is not named here goes: a new part of the device that keeps something of
the user's is covered without a further thought.
"""

import contextlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from allegro.atomic import sync_directory
from allegro.errors import Unavailable
from allegro.keeping import Absent, KeptFile, Value, copy_of, trouble
from allegro.paths import Paths

Keep = Literal["management", "users", "storage", "keys"]
KEEPS: tuple[Keep, ...] = get_args(Keep)

ALWAYS_KEPT = (
    "ring",
    "storage",
    "firmware",
    "lost+found",
    "state/allegro.sqlite",
    "state/allegro.sqlite-wal",
    "state/allegro.sqlite-shm",
    "state/events.json",
    "state/system-id",
    "state/time",
    "reset-order.json",
)
"""No settings, relative to the data partition: packets, captures and their list, events, bundles,
identity, time.

The list of events stays because a reset must not wipe out the traces of who ordered it.
What is kept is kept with its last good copy (`allegro.keeping`)."""

KEPT_FILES: dict[Keep, tuple[str, ...]] = {
    "management": ("state/ports.json", "state/unconfirmed-network.json", "state/wifi-own-password"),
    "users": ("web/users.json", "web/tokens.json", "had-users"),
    "storage": ("state/disks.json",),
    "keys": ("state/ssh", "web/certificate.pem", "web/uploaded-certificate.pem"),
}
KEPT_SECTIONS: dict[Keep, tuple[str, ...]] = {
    "management": ("management", "wifi"),
    "users": (),
    "storage": ("storage", "recording"),
    "keys": (),
}
"""Sections of the settings file."""

KEPT_FOR_UPDATE = ("firmware",)
"""Kept if newer firmware is to be looked for afterwards: the section that says where."""


@dataclass(frozen=True)
class Order:
    """What to keep, and whether to look for newer firmware, install it and switch off then (Shift+R)."""

    keep: frozenset[Keep] = frozenset()
    then_update: bool = False


@dataclass
class Outcome:
    """What was removed, and what could not be (path and reason); paths are relative to the data partition."""

    removed: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


def order_path(paths: Paths) -> Path:
    """Where the order waits for the start that carries it out."""
    return paths.data / "reset-order.json"


def outcome_path(paths: Paths) -> Path:
    """What the reset leaves for the supervisor to tell; taken by `take_outcome`."""
    return paths.state / "reset-outcome.json"


def write_order(paths: Paths, order: Order) -> None:
    """Raises Unavailable if it cannot be kept."""
    content = {"keep": sorted(order.keep), "then_update": order.then_update}
    try:
        _order_file(paths).write(json.dumps(content).encode() + b"\n")
    except OSError as error:
        raise Unavailable(
            f"The reset could not be prepared: {error.strerror}.",
            remedy="Choose the configuration reset in the menu that is shown when the device starts.",
        ) from error


def read_order(paths: Paths) -> Order:
    """The order; one that keeps nothing if there is none, as from the boot menu.

    Raises Unavailable if there is one that cannot be read: what it was to keep would be lost.
    """
    found = _order_file(paths).read()
    if isinstance(found, Absent):
        return Order()
    if not isinstance(found, Value):
        raise Unavailable(
            f"The order of what to keep {trouble(found)}.",
            remedy="Order the reset again, or choose it in the boot menu, which keeps nothing.",
        )
    raw = found.value
    keep = raw.get("keep")
    known = frozenset(each for each in KEEPS if isinstance(keep, list) and each in keep)
    return Order(known, raw.get("then_update") is True)


def withdraw_order(paths: Paths) -> None:
    """Forgets the order; raises OSError."""
    _order_file(paths).remove()


def remove_settings(paths: Paths, order: Order) -> Outcome:
    """Removes what the user has set, but for what the order says. May be cut short and done again.

    Raises OSError only if the data partition cannot be looked at; what cannot be removed is in the answer.
    """
    outcome = Outcome()
    sections = [name for each in KEEPS if each in order.keep for name in KEPT_SECTIONS[each]]
    keep_sections(paths.settings, [*sections, *(KEPT_FOR_UPDATE if order.then_update else ())])
    untouched = {*ALWAYS_KEPT, *(name for each in order.keep for name in KEPT_FILES[each])}
    if paths.settings.exists():
        untouched.add(paths.settings.name)
    untouched |= {str(copy_of(Path(name))) for name in untouched}
    for path in _to_remove(paths.data, "", untouched):
        _remove(paths.data, path, outcome)
    return outcome


def keep_sections(settings: Path, sections: Sequence[str]) -> None:
    """Leaves these sections in the settings file, and no file if none of them is in it. Raises OSError."""
    file = KeptFile(settings, _parsed, passing=True)
    file.mend()
    found = file.read()
    raw = found.value if isinstance(found, Value) else {}
    kept = {name: raw[name] for name in ("schema_version", *sections) if name in raw}
    if kept.keys() - {"schema_version"}:
        if kept != raw:
            file.write(json.dumps(kept, indent=2).encode() + b"\n")
    else:
        file.remove()


def write_outcome(paths: Paths, outcome: Outcome, order: Order) -> None:
    """Leaves word for the supervisor. Raises OSError."""
    paths.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = {"failed": [list(each) for each in outcome.failed], "then_update": order.then_update}
    KeptFile(outcome_path(paths), _parsed, passing=True).write(json.dumps(content).encode() + b"\n")


@dataclass(frozen=True)
class Told:
    """What the supervisor finds after a reset: files that could not be removed, and what is to follow."""

    failed: tuple[str, ...]
    then_update: bool
    unknown: str = ""
    """Why nothing is known of either, in plain words; empty if it is."""


def take_outcome(paths: Paths) -> Told | None:
    """Word of a reset that was done before this start; it is told once. None without one."""
    file = KeptFile(outcome_path(paths), _parsed, passing=True)
    found = file.read()
    if isinstance(found, Absent):
        return None
    with contextlib.suppress(OSError):
        file.remove()
    if not isinstance(found, Value):
        return Told((), False, unknown=found.reason)
    raw = found.value
    failed = raw.get("failed")
    names = tuple(str(each[0]) for each in failed if each) if isinstance(failed, list) else ()
    return Told(names, raw.get("then_update") is True)


def _order_file(paths: Paths) -> KeptFile[dict[str, Any]]:
    return KeptFile(order_path(paths), _parsed, passing=True)


def _parsed(content: bytes) -> dict[str, Any]:
    raw = json.loads(content)
    if not isinstance(raw, dict):
        raise ValueError("not an object")
    return raw


def _to_remove(data: Path, folder: str, untouched: set[str]) -> list[str]:
    """Relative paths of all that is neither untouched nor on the way to something untouched."""
    found: list[str] = []
    for entry in sorted((data / folder).iterdir()):
        name = f"{folder}{entry.name}"
        if name in untouched:
            continue
        if (
            any(each.startswith(f"{name}/") for each in untouched)
            and entry.is_dir()
            and not entry.is_symlink()
        ):
            found += _to_remove(data, f"{name}/", untouched)
        else:
            found.append(name)
    return found


def _remove(data: Path, name: str, outcome: Outcome) -> None:
    path = data / name
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        sync_directory(path.parent)
    except OSError as error:
        outcome.failed.append((name, error.strerror or str(error)))
    else:
        outcome.removed.append(name)
