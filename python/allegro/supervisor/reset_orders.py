"""Resets from the running device: orders them, and tells what became of them after the start that did it."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from allegro.errors import AllegroError, Conflict, InvalidInput, Unavailable
from allegro.events.event import Note
from allegro.firmware import boot_state
from allegro.paths import Paths
from allegro.supervisor.reset_at_start import failure_path
from allegro.system import configuration_reset
from allegro.system.actions import Actions
from allegro.system.configuration_reset import KEEPS, Keep, Order
from allegro.system.power import Action as PowerAction

RESET = "reset"
"""Name of the action, as the status shows it."""

UPDATE = "reset-update"

PATIENCE_S = 90.0
ASK_AGAIN_S = 5.0
"""After a start, the update server may not be reached at once."""

_LOCAL = "this device"

log = logging.getLogger(__name__)


class Resets:
    """Orders resets, and carries out what Shift+R asks for."""

    def __init__(
        self,
        paths: Paths,
        actions: Actions,
        power: Callable[[PowerAction], None],
        update_to_newest: Callable[[], str],
        device: Path = boot_state.DEVICE,
        patience_s: float = PATIENCE_S,
        *,
        note: Note,
    ) -> None:
        """`update_to_newest` brings, installs and activates newer firmware, and answers with its version.

        It answers with "" if there is none, and raises AllegroError if it cannot be had.
        """
        self._paths = paths
        self._actions = actions
        self._power = power
        self._update_to_newest = update_to_newest
        self._device = device
        self._patience_s = patience_s
        self._note = note
        self._lock = threading.Lock()
        self._ordered = False

    def configuration(self, keep: Iterable[str], *, then_update: bool = False) -> None:
        """Orders a configuration reset and starts the device again.

        Raises InvalidInput, Conflict if one is ordered already, Unavailable if it cannot be noted.
        """
        order = Order(_checked(keep), then_update)
        with self._lock:
            if self._ordered:
                raise Conflict("A reset is on its way: the device starts again.")
            configuration_reset.write_order(self._paths, order)
            try:
                state = boot_state.read(self._device)
                boot_state.write(self._device, replace(state, request="configuration-reset"))
            except AllegroError:
                self._withdraw()
                raise
            self._ordered = True
        kept = f" Kept: {', '.join(sorted(order.keep))}." if order.keep else ""
        log.warning("Configuration reset ordered.%s", kept)
        self._actions.start(RESET, f"Configuration reset: the device starts again.{kept}")
        self._power("reboot")

    def by_shortcut(self) -> None:
        """Shift+R: reset, then update, then off. Nobody sees an exception there, so the status tells it."""
        try:
            self.configuration((), then_update=True)
        except AllegroError as error:
            text = f"Configuration reset: not done. {error}"
            log.error("%s", text)
            if not any(action.name == RESET for action in self._actions.all()):
                self._actions.start(RESET, text)
            self._actions.failed(RESET, text)

    def after_start(self) -> None:
        """Tells what a reset before this start has done; goes on with what was to follow. Never raises."""
        if not boot_state.read(self._device).request:
            self._withdraw()  # of a reset that was done, or of one that was never asked for
        failed = _text(failure_path(self._paths))
        if failed:
            self._actions.start(RESET, failed)
            self._actions.failed(RESET, failed)
        told = configuration_reset.take_outcome(self._paths)
        if told is None:
            return
        self._actions.start(RESET, "Configuration reset")
        if told.unknown:
            text = (
                "The configuration was reset. Whether all was removed, and whether newer firmware was to"
                f" follow, is not known: {configuration_reset.outcome_path(self._paths)}: {told.unknown}."
                " Look over the settings, and ask for firmware on the page Firmware."
            )
            self._actions.failed(RESET, text)
        elif told.failed:
            text = f"The configuration was reset, but not all could be removed: {', '.join(told.failed)}."
            self._actions.failed(RESET, text)
        else:
            self._actions.done(RESET, "The configuration was reset. Captures were kept.")
        log.info("The configuration was reset")
        self._note("reset", "The configuration was reset", source=_LOCAL)
        if told.then_update:
            threading.Thread(target=self._update, name="reset-update", daemon=True).start()

    def _update(self) -> None:
        """The second half of Shift+R: newer firmware, then off. If anything fails, the device stays on."""
        self._actions.start(UPDATE, "Reset and update: looking for newer firmware")
        try:
            version = self._updated()
            what = f"Firmware {version} starts next time" if version else "There is no newer firmware"
            self._actions.done(UPDATE, f"Reset and update: {what}. The device switches itself off.")
            log.info("Reset and update: %s; switching off", what)
            self._power("power-off")
        except AllegroError as error:
            self._actions.failed(UPDATE, f"Reset and update: no new firmware, the device stays on. {error}")
            log.error("No new firmware after the reset: %s", error)
        except Exception:
            self._actions.failed(
                UPDATE, "Reset and update: no new firmware, the device stays on; see the log."
            )
            log.exception("No new firmware after the reset")

    def _updated(self) -> str:
        """The network comes up while we begin: a server that cannot be reached is asked again for a while."""
        end = time.monotonic() + self._patience_s
        while True:
            try:
                return self._update_to_newest()
            except Unavailable:
                if time.monotonic() >= end:
                    raise
                time.sleep(ASK_AGAIN_S)

    def _withdraw(self) -> None:
        with contextlib.suppress(OSError):
            configuration_reset.withdraw_order(self._paths)


def _checked(keep: Iterable[str]) -> frozenset[Keep]:
    asked = frozenset(keep)
    if unknown := sorted(asked - set(KEEPS)):
        raise InvalidInput(
            f"{', '.join(unknown)} cannot be kept.", place="keep", remedy=f"Choose of: {', '.join(KEEPS)}."
        )
    return frozenset(each for each in KEEPS if each in asked)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
