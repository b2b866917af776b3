"""Changes of the network are taken back after a while unless they are confirmed; see network.unconfirmed."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from allegro.errors import Conflict, Unavailable
from allegro.network import unconfirmed
from allegro.network.unconfirmed import SECTIONS, Unconfirmed
from allegro.settings.model import Settings

RETRY_S = 5.0

log = logging.getLogger(__name__)


def boottime() -> float:
    """Seconds since the start of the device, also those asleep; nobody can set this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SafeChange:
    """Remembers the last confirmed state, and goes back to it when the time is over.

    `lock` is held by whoever changes settings or ports, and while a change is confirmed or taken back.
    `ports` tells the names of ports as they are kept; `go_back` puts the old sections and names in force;
    `wifi_in_use` tells whether there is a WiFi adapter by which somebody may be here.
    """

    def __init__(
        self,
        path: Path,
        ports: Callable[[], Mapping[str, str]],
        go_back: Callable[[Mapping[str, Any], Mapping[str, str]], None],
        wifi_in_use: Callable[[], bool],
        clock: Callable[[], float] = boottime,
    ) -> None:
        self.lock = threading.RLock()
        self.taken_back = ""
        """Why the last change was taken back by itself, for the user; empty after the next one."""
        self._path = path
        self._ports = ports
        self._go_back = go_back
        self._wifi_in_use = wifi_in_use
        self._clock = clock
        self._boot_id = unconfirmed.boot_id()
        self._waiting = unconfirmed.load(path)
        self._changed = threading.Condition(self.lock)
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="safe change", daemon=True)

    def start(self) -> None:
        """Begins to watch the time. What waited over a restart is taken back now."""
        self._thread.start()

    def stop(self) -> None:
        """A change that waits stays so: the next start takes care of it."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        self._thread.join()

    def before_saving(self, old: Settings, new: Settings) -> None:
        """To be called with the lock held. Raises Unavailable: then the change must not be made."""
        locks_out = unconfirmed.needs_confirmation(old, new, wifi_in_use=self._wifi_in_use())
        if not locks_out and self._waiting is None:
            return
        # While a change waits, others are kept as well: the old state has to fit together.
        changed = {
            name: getattr(old, name).model_dump(mode="json")
            for name in SECTIONS
            if getattr(old, name) != getattr(new, name)
        }
        if not changed:
            return
        self.expect(changed, new.management.confirm_s if locks_out else None)

    def after_saving(self, new: Settings) -> None:
        """To be called with the lock held: if it is the old state again, by hand, nothing waits any more.

        Not before it is saved: the power may go in between, and then the way back is needed.
        """
        waiting = self._waiting
        if waiting is None or waiting.ports != self._ports():
            return
        if unconfirmed.needs_confirmation(waiting.put_into(new), new, wifi_in_use=True):
            return
        try:
            self._forget()
        except Unavailable as error:  # then the same state is put in force once more, which is no harm
            log.warning("%s", error)

    def expect(self, sections: Mapping[str, Any], seconds: float | None) -> Unconfirmed:
        """From now on a confirmation is waited for, to be called with the lock held, before the change.

        `sections`: those that change, as they are. If a change waits already, that before it is what to go
        back to; without `seconds` its time goes on. Raises Unavailable.
        """
        old = self._waiting
        deadline = old.deadline_s if old and seconds is None else self._clock() + (seconds or 0.0)
        change = Unconfirmed(
            {**sections, **(old.sections if old else {})},
            old.ports if old else dict(self._ports()),
            self._boot_id,
            deadline,
        )
        try:
            unconfirmed.save(change, self._path)
        except OSError as error:
            raise Unavailable(
                f"The way back could not be kept ({error.strerror}), so nothing was changed.",
                remedy="Restart the device; if this message stays, replace the disk.",
            ) from error
        self._waiting = change
        self.taken_back = ""
        self._changed.notify_all()
        return change

    def undo(self, before: Unconfirmed | None) -> None:
        """The change was not made after all: what waited `before` waits again. Lock held."""
        try:
            if before is None:
                unconfirmed.forget(self._path)
            else:
                unconfirmed.save(before, self._path)
        except OSError as error:  # then the present state is put in force once more, which is no harm
            log.warning("A change that was not made may be taken back: %s", error)
        self._waiting = before
        self._changed.notify_all()

    @property
    def waiting(self) -> Unconfirmed | None:
        """The change that waits."""
        return self._waiting

    def remaining_s(self) -> float | None:
        """Seconds left to confirm, None if nothing waits."""
        waiting = self._waiting
        return None if waiting is None else waiting.remaining_s(self._clock(), self._boot_id)

    def confirm(self) -> None:
        """The present state stays. Raises Conflict if nothing waits, Unavailable if that cannot be kept."""
        with self.lock:
            self._require_waiting()
            self._forget()
            log.info("The changed network settings are confirmed")

    def take_back(self) -> None:
        """Goes back before the time is over. Raises Conflict if nothing waits, AllegroError."""
        with self.lock:
            self._back(self._require_waiting(), "on request")
            self.taken_back = ""  # whoever asked for it knows

    def _require_waiting(self) -> Unconfirmed:
        if self._waiting is None:
            raise Conflict(
                "No change of the network waits for confirmation.",
                remedy=f"The last one was taken back {self.taken_back}." if self.taken_back else "",
            )
        return self._waiting

    def _forget(self) -> None:
        try:
            unconfirmed.forget(self._path)
        except OSError as error:
            raise Unavailable(
                f"The confirmation could not be kept ({error.strerror}).",
                remedy="Restart the device; if this message stays, replace the disk.",
            ) from error
        self._waiting = None
        self._changed.notify_all()

    def _back(self, waiting: Unconfirmed, why: str) -> None:
        log.warning("The changed network settings are taken back %s", why)
        self._go_back(waiting.sections, waiting.ports)
        self._forget()
        self.taken_back = why

    def _run(self) -> None:
        with self._changed:
            while not self._stop:
                waiting, remaining = self._waiting, self.remaining_s()
                if waiting is None or remaining:
                    self._changed.wait(remaining)
                    continue
                restarted = waiting.boot_id != self._boot_id
                why = "because the device restarted" if restarted else "because nobody confirmed them in time"
                try:
                    self._back(waiting, why)
                except Exception:  # the old state is what makes the device reachable: try again
                    log.exception("The old network settings could not be put in force")
                    self._changed.wait(RETRY_S)
