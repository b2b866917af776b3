"""How large the packet ring is, and where: on a new device, and while captures need what would be lost."""

import contextlib
import dataclasses
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from allegro.atomic import write_atomically
from allegro.capture import config, space
from allegro.capture.config import RecorderConfig
from allegro.capture.port_rules import PortRules
from allegro.capture.ring.segments import SMALLEST_RING
from allegro.capture.status import ring_in_force
from allegro.errors import AllegroError, InvalidInput
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.settings.settings_file import SettingsStore
from allegro.supervisor.recorder_process import apply_config, wanted_config
from allegro.system.health import MIB
from allegro.trigger.job import Job
from allegro.trigger.kept_in import may_lie_in

GIB = 1 << 30
_LOOK_EVERY_S = 1.0

log = logging.getLogger(__name__)


def default_ring(disk: int, largest: int, present: int) -> int:
    """The size where no setting says one. All are bytes: of the disk, of the largest ring that fits on it, of
    the ring that is there already (0: none).

    Half of the disk, at least 1 GiB, as far as that fits. A ring that is there stays as it is within these
    bounds: it may be full of packets, and the rest of the disk of captures.
    """
    wanted = max(disk // 2, GIB)
    if present:
        wanted = min(max(present, GIB), wanted)
    return max(min(wanted, largest) // MIB * MIB, SMALLEST_RING)


def state_ring_size(settings: SettingsStore, ring: Path) -> Settings:
    """The settings with the size of the ring in them; where it was not stated it is from now on.

    Settings that cannot be read are not written. Raises OSError if the disk does not say how large it is, and
    Unavailable if the settings cannot be saved.
    """
    if settings.states("recording", "ring_size_mib"):
        return settings.current
    present = sum(path.stat().st_size for path in ring.glob("*.blocks"))
    size = default_ring(space.disk_size(ring), space.largest_ring(ring), present) // MIB
    stated = {"recording": {"ring_size_mib": size}}
    if not settings.problem:
        log.info("The packet ring buffer gets %d MiB", size)
        return settings.state(stated)
    return settings.current.model_copy(
        update={"recording": settings.current.recording.model_copy(update=stated["recording"])}
    )


class RingSize:
    """Tells the recorder its settings. A ring that is made smaller, or goes to another disk, waits for
    captures accepted before: what they need would be the first to go.

    `unfinished` are the captures that have not ended, `on_disk` is where the ring is to be on the disk that
    was chosen for it (None: on the device's own). What waits survives a restart of the supervisor, not one of
    the device.
    """

    def __init__(
        self,
        paths: Paths,
        unfinished: Callable[[], Sequence[Job]],
        tell: Callable[[RecorderConfig, Paths], None] = apply_config,
        on_disk: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self._on_disk = on_disk
        self._paths = paths
        self._unfinished = unfinished
        self._tell = tell
        self._mark = paths.run / "smaller-ring-waits"
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._waits_for: set[int] = set()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ring size", daemon=True)

    def start(self, settings: Settings) -> None:
        """Goes on waiting where the supervisor was restarted."""
        if self._mark.exists():
            with contextlib.suppress(AllegroError):  # told in the log, and again at the next change
                self.apply(settings)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def apply(self, settings: Settings) -> None:
        """Tells the recorder now, or when the captures of this moment have ended. Raises Unavailable."""
        with self._lock:
            self._settings = settings
            wanted = self._wanted(settings)
            lost = self._lost(wanted)
            needed = [job for job in self._unfinished() if may_lie_in(job, lost)] if lost else []
            self._waits_for = {job.id for job in needed}
            if self._waits_for:
                log.info("The packet ring buffer is changed after %d captures", len(self._waits_for))
                with contextlib.suppress(OSError):
                    write_atomically(self._mark, b"", sync=False)
                self._wake.set()
                self._tell_rules(wanted.rules)
            else:
                self._now(wanted)

    def waits_for(self) -> int:
        """How many captures a smaller ring waits for."""
        return len(self._waits_for)

    def _wanted(self, settings: Settings) -> RecorderConfig:
        return wanted_config(settings, self._paths, self._on_disk())

    def _lost(self, wanted: RecorderConfig) -> Path | None:
        """The directory of the present ring, if packets of it cannot be read then."""
        try:
            present = config.load(self._paths.recorder_config)
        except InvalidInput:
            return None
        if wanted.ring_directory == present.ring_directory:
            return present.ring_directory if wanted.ring_size < present.ring_size else None
        in_force = ring_in_force(self._paths.recorder_status, self._paths.ring)
        return in_force if in_force == present.ring_directory and in_force.is_dir() else None

    def _tell_rules(self, rules: PortRules) -> None:
        """Only size and disk wait: rules may keep what nobody should see."""
        present = config.load(self._paths.recorder_config)
        if rules != present.rules:
            self._tell(dataclasses.replace(present, rules=rules), self._paths)

    def _now(self, wanted: RecorderConfig) -> None:
        self._settings = None
        self._mark.unlink(missing_ok=True)
        self._tell(wanted, self._paths)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(_LOOK_EVERY_S if self._waits_for else None)
            self._wake.clear()
            try:
                with self._lock:
                    if self._settings is not None:
                        self._waits_for &= {job.id for job in self._unfinished()}
                        if not self._waits_for:
                            self._now(self._wanted(self._settings))
            except (AllegroError, OSError) as error:
                log.warning("The size of the packet ring buffer: %s", error)
