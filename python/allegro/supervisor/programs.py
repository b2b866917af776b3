"""How the three programs of the device are: for the confirmation of a new version."""

import http.client
import re
import subprocess
import time
from pathlib import Path

from allegro.api.client import Client, UnixConnection
from allegro.errors import AllegroError, Unavailable
from allegro.firmware.confirmation import Look
from allegro.paths import Paths
from allegro.supervisor.data import data_problem
from allegro.supervisor.recorder_process import age_s, last_status
from allegro.system.health import RECORDER_SILENT_S

UNITS = {
    "allegro-recorder.service": "recorder",
    "allegro-supervisor.service": "supervisor",
    "allegro-web.service": "web page",
}
_ANSWER_S = 20.0


def look(paths: Paths, *, must_record: bool) -> Look:
    """How the three programs are."""
    states = unit_states(systemctl("show", "--property=Id,ActiveState,NRestarts", *UNITS))
    problems = [
        f"the {name} does not run" for unit, name in UNITS.items() if states.get(unit, ("", 0))[0] != "active"
    ]
    problems += _recorder(paths, must_record)
    try:
        Client(paths.api_socket, _ANSWER_S).get("/status")
    except AllegroError:
        problems.append("the supervisor does not answer")
    if not web_answers(paths.page_socket):
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
    records = status.state == "recording" and not status.in_memory_since_ns
    if not records and must_record and not data_problem(paths.data):
        return ["the recorder does not record"]
    return []


def web_answers(inside: Path) -> bool:
    """Whether the web page's own program answers, on its way for the device itself.

    Not on port 443: who keeps that busy must not make a good version fall back.
    """
    connection = UnixConnection(inside, _ANSWER_S)
    try:
        connection.request("GET", "/login")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def systemctl(*arguments: str) -> str:
    """What systemctl(1) prints. Raises Unavailable."""
    try:
        done = subprocess.run(
            ["systemctl", *arguments], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"systemd does not answer ({error}).") from error
    return done.stdout
