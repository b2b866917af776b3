"""Decides after the start of a new version whether it works: run once, by allegro-confirm.service.

A version that is on trial, or has never been confirmed, becomes good when recorder, supervisor and web page
have been well for a while. If that does not happen in time, it is marked bad and the device restarts, so that
the boot loader takes the version that worked before. A version without one to fall back to goes on running.
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from allegro.errors import AllegroError
from allegro.firmware import boot_state
from allegro.firmware.boot_state import SLOTS, Slot, other_slot
from allegro.firmware.confirmation import LIMIT_S, Judge, Look
from allegro.firmware.events import Events
from allegro.firmware.rauc import Rauc
from allegro.firmware.trial import Trial, TrialNote, begun
from allegro.paths import Paths
from allegro.version import own_version

LOOK_EVERY_S = 2.0

log = logging.getLogger("allegro.confirm")


def confirm(
    paths: Paths,
    version: str,
    slot: Slot,
    limit_s: float,
    installer: Rauc,
    see: Callable[[bool], Look],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Carries the trial out; answers whether the device has to restart.

    `see` takes a look; its argument says whether the recorder must record.
    """
    note = TrialNote(paths.firmware / "trial.json")
    events = Events(paths.firmware / "events.json")
    state = boot_state.read()
    trial = begun(note.read(), slot)
    if trial is not None:
        _keep(note, trial)
    elif state.slot(slot).good:
        return False
    judge = Judge(clock(), limit_s)
    must_record = trial is not None and trial.was_recording
    while (said := judge.see(clock(), see(must_record))) == "waiting":
        pause(LOOK_EVERY_S)
    if said == "works":
        try:
            installer.mark("good", "booted")
        except AllegroError as error:  # a restart would not make it better: it works
            events.add("failed", f"{version} works, but that cannot be noted: {error}")
            return False
        events.add("confirmed", f"{version} in {slot} works; it is confirmed.")
        try:
            note.remove()
        except OSError as error:
            log.error("The trial cannot be ended in the notes: %s", error.strerror)
        return False
    reason = judge.reason or "it did not become healthy in time"
    if not state.slot(other_slot(slot)).good:
        events.add("failed", f"{version} does not work: {reason}. There is no other version to go back to.")
        return False
    log.error("Version %s does not work: %s. The device restarts with the version before.", version, reason)
    if trial is not None:
        _keep(note, replace(trial, reason=reason))
    try:
        installer.mark("bad", "booted")
    except AllegroError as error:
        log.error("%s Falling back takes some more restarts.", error)
        return not state.slot(slot).good  # a good one would start again and again
    return True


def _keep(note: TrialNote, trial: Trial) -> None:
    try:
        note.write(trial)
    except OSError as error:
        log.error("What becomes of this version cannot be kept: %s", error.strerror)


def main() -> int:
    """Runs the confirmation; returns the exit code."""
    parser = argparse.ArgumentParser(prog="allegro-confirm", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--limit", type=float, default=LIMIT_S, help="seconds until it gives up (%(default)s)"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    running = boot_state.running()
    slot = next((each for each in SLOTS if each == running), None)
    if slot is None:
        log.info("Not started from slot A or B; there is nothing to confirm.")
        return 0
    # A version that is good already is not watched; what that would need takes long to load.
    paths = Paths()
    if TrialNote(paths.firmware / "trial.json").read() is None and boot_state.read().slot(slot).good:
        log.info("This version has been confirmed.")
        return 0
    from allegro.supervisor.programs import look, systemctl

    def see(must_record: bool) -> Look:
        try:
            return look(paths, must_record=must_record)
        except AllegroError as error:
            return Look((error.message.rstrip("."),), 0)

    if confirm(paths, own_version(), slot, arguments.limit, Rauc(), see):
        systemctl("reboot")
    return 0


if __name__ == "__main__":
    sys.exit(main())
