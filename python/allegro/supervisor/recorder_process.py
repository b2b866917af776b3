"""The recorder as the supervisor sees it: another process, known by the status file it writes."""

import dataclasses
import logging
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from allegro.capture import config, space
from allegro.capture.config import RecorderConfig
from allegro.capture.port_rules import NO_RULES, PortRules
from allegro.capture.status import RecorderStatus, from_json
from allegro.errors import InvalidInput, Unavailable
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.system import boottime
from allegro.system.health import MIB, RECORDER_SILENT_S

UNIT = "allegro-recorder.service"
RECORDER_USER = "allegro-recorder"
"""Its group has the same name."""
_SYSTEMCTL_TIMEOUT_S = 20.0

log = logging.getLogger(__name__)


def last_status(path: Path) -> RecorderStatus | None:
    """What the recorder said last, however long ago; None if nothing can be read."""
    try:
        return from_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def age_s(status: RecorderStatus, now_ns: int) -> float:
    """Seconds since the status was written, by the clock that nobody sets.

    One that does not know it is of another start, or of release 0.1.0: then a clock that was set counts as
    age, too.
    """
    if status.boot_id == boottime.boot_id():
        return (boottime.now_ns() - status.time_boot_ns) / 1e9
    return abs(now_ns - status.time_ns) / 1e9


def live_status(path: Path) -> RecorderStatus | None:
    """What the recorder says; None if it has been silent for too long."""
    status = last_status(path)
    return status if status is not None and age_s(status, time.time_ns()) <= RECORDER_SILENT_S else None


def wanted_config(settings: Settings, paths: Paths, on_disk: Path | None = None) -> RecorderConfig:
    """What the recorder is to be told; what is no setting stays as it is in the present file.

    `on_disk` is the folder on the disk that was chosen for the ring, if it can be used.
    """
    recording = settings.recording
    size = (recording.ring_disk_mib if on_disk else recording.ring_size_mib) * MIB
    ring, rules = on_disk or paths.ring, wanted_rules(settings)
    try:
        present = config.load(paths.recorder_config)
    except InvalidInput:
        return RecorderConfig(
            ring,
            size,
            paths.recorder_status,
            rules=rules,
            memory_directory=paths.memory_ring,
            memory_size=space.ring_in_memory(paths.run),
        )
    return dataclasses.replace(present, ring_directory=ring, ring_size=size, rules=rules)


def wanted_rules(settings: Settings) -> PortRules:
    """The slicing rules as programs; those of settings are checked already."""
    texts = settings.recording.rules_in_force()
    if not texts:
        return NO_RULES
    from allegro.filters.rule_texts import rule_set  # with the first rule: a start does not need it

    made = rule_set(texts, settings.groups.texts)
    programs = tuple(dict.fromkeys(made.programs.values()))
    return PortRules(
        made.described, programs, {port: programs.index(code) for port, code in made.programs.items()}
    )


def check_ring_size(old: Settings, new: Settings, ring: Path) -> None:
    """Raises InvalidInput for a new ring that its disk could not hold even if nothing else lay on it."""
    wanted = new.recording.ring_size_mib
    if wanted <= old.recording.ring_size_mib:
        return
    try:
        largest = space.largest_ring(ring) // MIB
    except OSError:  # the disk is missing, which the status tells; the size may be right for the next one
        return
    if wanted > largest:
        raise InvalidInput(
            f"The packet ring buffer cannot be larger than its storage device (got {wanted} MiB).",
            place="recording.ring_size_mib",
            remedy=f"At most {largest} MiB fit there.",
        )


def apply_config(wanted: RecorderConfig, paths: Paths) -> None:
    """Tells the recorder. Raises Unavailable in plain words."""
    try:
        config.dump(wanted, paths.recorder_config)
    except OSError as error:
        raise Unavailable(
            f"The recorder could not be told ({error.strerror}).", remedy="It applies after a restart."
        ) from error
    _reload()


def restart() -> None:
    """Starts the recorder's program anew. Raises Unavailable."""
    _systemctl(["restart", UNIT], "The recorder could not be restarted.", "Restart the device.")


def _reload() -> None:
    """SIGHUP through systemd, which knows the process: the id in the status file is only a claim."""
    command = ["kill", "--kill-whom=main", "--signal=HUP", UNIT]
    _systemctl(command, "The recorder could not be told.", "It applies after a restart.")


def _systemctl(command: Sequence[str], failure: str, remedy: str) -> None:
    try:
        done = subprocess.run(
            ["systemctl", *command], capture_output=True, timeout=_SYSTEMCTL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("systemctl: %s", error)
        raise Unavailable(failure, remedy=remedy) from error
    if done.returncode != 0:
        log.warning("systemctl: %s", done.stderr.decode(errors="replace").strip())
        raise Unavailable(failure, remedy=remedy)
