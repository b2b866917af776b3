"""Decides after the start of a new version whether it works: run once, by allegro-confirm.service.

A version that is on trial, or has never been confirmed, becomes good when recorder, supervisor and web page
have been well for a while. If that does not happen in time, it is marked bad and the device restarts, so that
the boot loader takes the version that worked before. A version without one to fall back to goes on running.
"""

import argparse
import http.client
import logging
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from allegro import __version__
from allegro.api.client import Client
from allegro.errors import AllegroError, Unavailable
from allegro.firmware import boot_state
from allegro.firmware.boot_state import SLOTS, Slot, other_slot
from allegro.firmware.confirm import LIMIT_S, Judge, Look
from allegro.firmware.events import Events
from allegro.firmware.rauc import Rauc
from allegro.firmware.releases import own_version
from allegro.firmware.trial import Trial, TrialNote, begun
from allegro.paths import Paths
from allegro.supervisor.data import data_problem
from allegro.supervisor.recorder import age_s, last_status
from allegro.system.health import RECORDER_SILENT_S

UNITS = {
    "allegro-recorder.service": "recorder",
    "allegro-supervisor.service": "supervisor",
    "allegro-web.service": "web page",
}
LOOK_EVERY_S = 2.0
WEB_PORT = 443
_ANSWER_S = 20.0

log = logging.getLogger("allegro.confirm")


def look(paths: Paths, *, must_record: bool) -> Look:
    """How the three programs are."""
    states = unit_states(_systemctl("show", "--property=Id,ActiveState,NRestarts", *UNITS))
    problems = [
        f"the {name} does not run" for unit, name in UNITS.items() if states.get(unit, ("", 0))[0] != "active"
    ]
    problems += _recorder(paths, must_record)
    try:
        Client(paths.api_socket, _ANSWER_S).get("/status")
    except AllegroError:
        problems.append("the supervisor does not answer")
    if not web_answers():
        problems.append("the web page does not answer")
    return Look(tuple(problems), sum(restarts for _, restarts in states.values()))


def unit_states(text: str) -> dict[str, tuple[str, int]]:
    """ActiveState and NRestarts of each unit, from what `systemctl show` prints."""
    found = {}
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        restarts = values.get("NRestarts", "")
        found[values.get("Id", "")] = (
            values.get("ActiveState", ""),
            int(restarts) if re.fullmatch(r"\d{1,9}", restarts) else 0,
        )
    return found


def _recorder(paths: Paths, must_record: bool) -> list[str]:
    status = last_status(paths.recorder_status)
    if status is None or age_s(status, time.time_ns()) > RECORDER_SILENT_S:
        return ["the recorder does not answer"]
    # A disk that is broken is not the fault of the new version: another one would not record either.
    if status.state != "recording" and must_record and not data_problem(paths.data):
        return ["the recorder does not record"]
    return []


def web_answers(port: int = WEB_PORT) -> bool:
    """Whether the web page's own program answers on this device."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is our own, made by itself, and asked on the loopback
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=_ANSWER_S, context=context)
    try:
        connection.request("GET", "/login")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


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
        log.info("Version %s in %s is good.", version, slot)
        return False
    judge = Judge(clock(), limit_s)
    must_record = trial is not None and trial.was_recording
    while (said := judge.see(clock(), see(must_record))) == "waiting":
        pause(LOOK_EVERY_S)
    if said == "works":
        installer.mark("good", "booted")
        events.add("confirmed", f"{version} in {slot} works; it is confirmed.")
        if trial is not None:
            note.remove()
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
    return True


def _keep(note: TrialNote, trial: Trial) -> None:
    try:
        note.write(trial)
    except OSError as error:
        log.error("What becomes of this version cannot be kept: %s", error.strerror)


def _systemctl(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["systemctl", *arguments], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"systemd does not answer ({error}).") from error
    return done.stdout


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
    try:
        paths = Paths()
        version = own_version(__version__)
        restart = confirm(
            paths, version, slot, arguments.limit, Rauc(), lambda must: look(paths, must_record=must)
        )
    except AllegroError as error:
        log.error("The version could not be confirmed: %s", error)
        return 1
    if restart:
        _systemctl("reboot")
    return 0


if __name__ == "__main__":
    sys.exit(main())
