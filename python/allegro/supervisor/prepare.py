"""The first program of Allegro at every start: folders, names of ports, network files, the recorder's orders.

Runs once, as root, before the network and the recorder (allegro-prepare.service). Every step stands alone:
one that fails is told in the log, and the others still run, because half a device is better than none.
"""

import logging
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from allegro.capture import config
from allegro.network import configure, unconfirmed
from allegro.network.configure import Interfaces
from allegro.network.networkd_files import DIRECTORY as NETWORKD_DIRECTORY
from allegro.network.unconfirmed import Unconfirmed
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.settings.settings_file import SettingsStore
from allegro.supervisor.recorder_process import RECORDER_USER, wanted_config
from allegro.supervisor.ring_size import state_ring_size
from allegro.system import clock, kept_time
from allegro.system.identity import host_name, set_host_name, system_id

WEB_USER = "allegro-web"

T = TypeVar("T")
log = logging.getLogger("allegro.prepare")


@dataclass(frozen=True)
class Folder:
    """A directory that has to exist. `user` also is the name of its group."""

    path: Path
    mode: int
    user: str = "root"


def folders(paths: Paths) -> list[Folder]:
    """All directories of the device, parents first. Those with packets are nobody else's business."""
    return [
        Folder(paths.run, 0o755),
        Folder(paths.state, 0o700),
        Folder(paths.ssh, 0o700),
        Folder(paths.ring, 0o750, RECORDER_USER),
        Folder(paths.ring_disk, 0o755),
        Folder(paths.memory_ring, 0o750, RECORDER_USER),
        Folder(paths.web, 0o700, WEB_USER),
        Folder(paths.storage, 0o750),
        Folder(paths.upload, 0o750),
    ]


def make_folder(folder: Folder) -> None:
    """Makes it, or puts owner and mode right. Raises OSError, or LookupError if there is no such user."""
    folder.path.mkdir(parents=True, exist_ok=True)
    shutil.chown(folder.path, folder.user, folder.user)
    folder.path.chmod(folder.mode)


class Steps:
    """Runs one step after the other and counts those that failed."""

    def __init__(self) -> None:
        self.failed = 0

    def run(self, what: str, step: Callable[[], T]) -> T | None:
        """The result of the step; None, and a line in the log, if it failed."""
        try:
            return step()
        except Exception as error:
            self.failed += 1
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            log.error("%s: failed: %s", what, reason or type(error).__name__)
            return None


def prepare(
    paths: Paths,
    networkd_directory: Path = NETWORKD_DIRECTORY,
) -> int:
    """Does everything; returns how many steps failed."""
    steps = Steps()
    for folder in folders(paths):
        steps.run(f"Folder {folder.path}", lambda folder=folder: make_folder(folder))  # type: ignore[misc]
    behind_s = steps.run("Clock", lambda: kept_time.restore(paths.kept_time))
    if behind_s:
        log.info("The clock was %.0f s behind the last time known, and is set to that", behind_s)
        steps.run("Mark of a late clock", paths.clock_was_behind.touch)
    store = steps.run("Settings", lambda: _settings(paths))
    settings = store.current if store is not None else Settings()
    if store is not None:
        settings = steps.run("Size of the ring", lambda: state_ring_size(store, paths.ring)) or settings
    waiting = steps.run("Unconfirmed change", lambda: unconfirmed.load(paths.unconfirmed_change))
    if waiting is not None:
        settings = _without(waiting, settings, paths, steps)
    interfaces = steps.run("Ports", lambda: configure.name_ports(configure.memory(paths.state)))
    interfaces = interfaces or Interfaces((), (), "")
    steps.run("Network files", lambda: configure.write_files(settings, interfaces, networkd_directory))
    # Now, while the ports are down: later, each would stop sending for a moment.
    steps.run("Links", lambda: configure.wire_links(settings, interfaces))
    wanted, mac = settings.management.host_name, interfaces.management_mac
    steps.run("Host name", lambda: set_host_name(wanted, mac))
    steps.run("Time zone", lambda: clock.set_zone(settings.time.zone, paths.localtime))
    steps.run("System id", lambda: system_id(paths.system_id))
    steps.run(
        "Configuration of the recorder",
        lambda: config.dump(wanted_config(settings, paths), paths.recorder_config),
    )
    log.info(
        "%s: management %s, measuring %s",
        wanted or host_name(mac),
        ", ".join(interfaces.management) or "none",
        ", ".join(interfaces.measuring) or "none",
    )
    return steps.failed


def _without(waiting: Unconfirmed, settings: Settings, paths: Paths, steps: Steps) -> Settings:
    """A change of the network that nobody confirmed does not count. The supervisor then takes it back."""
    log.warning("A change of the network was not confirmed before the device restarted: the old one counts")
    steps.run("Names of ports", lambda: configure.keep_names(configure.memory(paths.state), waiting.ports))
    return waiting.put_into(settings)


def _settings(paths: Paths) -> SettingsStore:
    store = SettingsStore(paths.settings, read_only=True)
    if store.problem:
        log.error("%s", store.problem)
    return store


def main() -> int:
    """Exit code 1 if a step failed: systemd then shows the unit as failed, and goes on."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.umask(0o022)
    return 1 if prepare(Paths()) else 0


if __name__ == "__main__":
    sys.exit(main())
