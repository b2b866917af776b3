"""Gathers what the rules of `allegro.system.problems` look at, and writes to the log what they find."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from allegro.capture.status import RecorderStatus
from allegro.errors import AllegroError
from allegro.events.event import Note
from allegro.export.uploads import ExportService
from allegro.paths import Paths
from allegro.settings.export_ways import EXPORT_WAYS
from allegro.settings.settings_file import SettingsStore
from allegro.storage.room import Room
from allegro.supervisor.data import data_problem
from allegro.supervisor.parts import Parts
from allegro.supervisor.recorder_process import age_s, last_status
from allegro.system.health import (
    DROPS_WINDOW_S,
    Facts,
    KeptFileProblem,
    Problem,
    RecentIncrease,
    full_reach_s,
)
from allegro.system.problems import problems
from allegro.trigger.input_reader import ConnectedPresenter
from allegro.trigger.jobs import JobStore

LOOK_EVERY_S = 10.0

log = logging.getLogger(__name__)


class Watch:
    """Looks at all parts when asked, and every few seconds by itself, so that no loss goes unseen."""

    def __init__(
        self,
        paths: Paths,
        parts: Parts,
        settings: SettingsStore,
        jobs: JobStore,
        export: ExportService,
        presenters: Callable[[], Sequence[ConnectedPresenter]],
        fall_back: Callable[[], str],
        wifi: Callable[[], Problem | None],
        network_taken_back: Callable[[], str],
        network_waits_s: Callable[[], float | None],
        kept_files: Callable[[], Sequence[KeptFileProblem]],
        ring_waits_for: Callable[[], int],
        first_passwords: Callable[[], Sequence[str]],
        notifications: Callable[[], Sequence[Problem]],
        note: Note,
        *,
        room: Room,
        told_before: Callable[[], Mapping[str, str]] = dict,
        capture_disk: Callable[[], str] = str,
        ring_disk: Callable[[], str] = str,
        failing_disks: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """`told_before`: id and text of the problems that were noted before the start, and are not over."""
        self._paths = paths
        self._parts = parts
        self._settings = settings
        self._jobs = jobs
        self._export = export
        self._presenters = presenters
        self._fall_back = fall_back
        self._wifi = wifi
        self._network_taken_back = network_taken_back
        self._network_waits_s = network_waits_s
        self._kept_files = kept_files
        self._ring_waits_for = ring_waits_for
        self._first_passwords = first_passwords
        self._notifications = notifications
        self._note = note
        self._room = room
        self._told_before = told_before
        self._capture_disk = capture_disk
        self._ring_disk = ring_disk
        self._failing_disks = failing_disks
        self._drops = RecentIncrease(DROPS_WINDOW_S)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Starts looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stops looking."""
        self._stop.set()
        self._thread.join()

    def problems(self) -> list[Problem]:
        """What is wrong at the moment."""
        return problems(self.facts())

    def facts(self) -> Facts:
        """How things are now."""
        status = last_status(self._paths.recorder_status)
        storage_size, storage_free, storage_error = self._storage()
        upload_failures, export_problem = self._uploads()
        failed = self._parts.failed()
        if export_problem:
            way = EXPORT_WAYS[self._settings.current.export.protocol]
            failed = (*failed, (f"{way} export", export_problem))
        return Facts(
            recorder_age_s=None if status is None else age_s(status, time.time_ns()),
            recorder_state=status.state if status else "",
            recorder_message=status.message if status else "",
            memory_reason=status.memory_reason if status else "",
            ring_on_chosen_disk=_has_ring_in(status, self._paths.ring_disk),
            reach_back_s=status.reach_back_s if status else 0,
            write_errors=status.ring_write_errors if status else 0,
            write_waits_s=status.write_waits_s if status else 0,
            ports=tuple((port.name, port.link_up) for port in status.ports) if status else (),
            recent_drops=self._recent_drops(status.drops + status.nic_missed if status else None),
            storage_size=storage_size,
            storage_free=storage_free,
            storage_error=storage_error,
            storage_refuses=self._room.refusal(),
            capture_disk=self._capture_disk(),
            ring_disk=self._ring_disk(),
            failing_disks=tuple(self._failing_disks()),
            capture_limit=self._room.limit_problem(),
            data_problem=data_problem(self._paths.data),
            upload_failures=upload_failures,
            settings_problem=self._settings.problem,
            settings_refused=tuple(map(str, self._settings.refused)),
            kept_files=tuple(self._kept_files()),
            jobs_problem=self._jobs.problem,
            jobs_refused=self._jobs.refuses,
            presenter_problems=tuple(
                (each.name, each.problem) for each in self._presenters() if each.problem
            ),
            firmware_fell_back=self._fall_back(),
            wifi_problem=self._wifi(),
            notifications=tuple(self._notifications()),
            first_passwords=tuple(self._first_passwords()),
            failed_parts=failed,
            network_taken_back=self._network_taken_back(),
            network_waits_s=self._network_waits_s(),
            ring_waits_for=self._ring_waits_for(),
            window_s=self._window_s(),
            full_reach_s=_full_reach_s(status),
        )

    def _window_s(self) -> int:
        trigger = self._settings.current.trigger
        return trigger.before_s + trigger.after_s

    def _run(self) -> None:
        noted = dict(self._told_before())
        logged: set[str] = set()
        while not self._stop.wait(LOOK_EVERY_S):
            try:
                found = self.problems()
            except Exception:  # the next look may succeed
                log.exception("The state of the device cannot be seen")
                continue
            for problem in found:
                if problem.id not in logged:
                    level = logging.ERROR if problem.severity == "error" else logging.WARNING
                    log.log(level, "%s %s", problem.text, problem.remedy)
                if problem.id not in noted:
                    self._note("problem", problem.text, source=problem.id)
            now = {problem.id: problem.text for problem in found}
            for gone in sorted(noted.keys() - now.keys()):
                log.info("No longer a problem: %s", gone)
                self._note("problem-over", f"No longer a problem: {noted[gone]}", source=gone)
            noted, logged = now, set(now)

    def _recent_drops(self, total: int | None) -> int:
        with self._lock:
            return self._drops.update(time.monotonic(), total)

    def _storage(self) -> tuple[int, int, str]:
        try:
            return self._room.total(), self._room.free(), ""
        except OSError as error:
            return 0, 0, f"{error.strerror}."

    def _uploads(self) -> tuple[tuple[tuple[str, str], ...], str]:
        try:
            status = self._export.status()
        except AllegroError as error:
            return (), str(error)
        failures = tuple((each.file.name, each.tries.error) for each in status.queue if each.tries.error)
        return failures, "" if failures else status.problem


def _full_reach_s(status: RecorderStatus | None) -> float | None:
    if status is None or status.ring is None:
        return None
    return full_reach_s(status.reach_back_s, status.ring.used, status.ring.size)


def _has_ring_in(status: RecorderStatus | None, place: Path) -> bool:
    """Whether the recorder has a ring there."""
    ring = status.ring if status is not None else None
    return ring is not None and Path(ring.directory).is_relative_to(place)
