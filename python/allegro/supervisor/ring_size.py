"""How large the packet ring is: on a new device, and while captures need what a smaller one would lose."""

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from allegro.atomic import write_atomically
from allegro.capture import config, space
from allegro.capture.ring.segments import SMALLEST_RING
from allegro.errors import AllegroError, InvalidInput
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.settings.settings_file import SettingsStore
from allegro.supervisor.recorder_process import apply_settings, wanted_rules
from allegro.system.health import MIB
from allegro.trigger.jobs import Job

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
    """Tells the recorder its settings. A ring that is made smaller waits for captures accepted before: what
    they need would be the first to go.

    `unfinished` are the captures that have not ended. What waits survives a restart of the supervisor, not
    one of the device.
    """

    def __init__(
        self,
        paths: Paths,
        unfinished: Callable[[], Sequence[Job]],
        tell: Callable[[Settings, Paths], None] = apply_settings,
    ) -> None:
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
            self._waits_for = {job.id for job in self._unfinished()} if self._smaller(settings) else set()
            if self._waits_for:
                log.info("The packet ring buffer becomes smaller after %d captures", len(self._waits_for))
                with contextlib.suppress(OSError):
                    write_atomically(self._mark, b"", sync=False)
                self._wake.set()
                self._tell_rules(settings)
            else:
                self._now(settings)

    def waits_for(self) -> int:
        """How many captures a smaller ring waits for."""
        return len(self._waits_for)

    def _smaller(self, settings: Settings) -> bool:
        try:
            present = config.load(self._paths.recorder_config).ring_size
        except InvalidInput:
            return False
        return settings.recording.ring_size_mib * MIB < present

    def _tell_rules(self, settings: Settings) -> None:
        """Only the size waits: rules may keep what nobody should see."""
        present = config.load(self._paths.recorder_config)
        if wanted_rules(settings) != present.rules:
            recording = settings.recording.model_copy(update={"ring_size_mib": present.ring_size // MIB})
            self._tell(settings.model_copy(update={"recording": recording}), self._paths)

    def _now(self, settings: Settings) -> None:
        self._settings = None
        self._mark.unlink(missing_ok=True)
        self._tell(settings, self._paths)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(_LOOK_EVERY_S if self._waits_for else None)
            self._wake.clear()
            try:
                with self._lock:
                    if self._settings is not None:
                        self._waits_for &= {job.id for job in self._unfinished()}
                        if not self._waits_for:
                            self._now(self._settings)
            except (AllegroError, OSError) as error:
                log.warning("The size of the packet ring buffer: %s", error)
