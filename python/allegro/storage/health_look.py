"""Asks every disk for its health, once, and writes down what it says. A program of its own.

Because ATA disks tell it only to who may send them any command (CAP_SYS_RAWIO), and one that is broken may
keep whoever asks it waiting for ever.
"""

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from allegro.atomic import write_atomically
from allegro.storage.disk_health import present_disks, read
from allegro.storage.smart import ASLEEP, NO_ANSWER, Health, command, heard, sleeps

_FILE: Final = Path("/run/allegro/disk-health.json")
_ANSWERS_WITHIN_S: Final = 30.0
_ALL_WITHIN_S: Final = 40.0

log = logging.getLogger(__name__)


def ask(path: str) -> str:
    """What smartctl says of the disk; empty if it says nothing."""
    try:
        return subprocess.run(
            command(path), capture_output=True, text=True, timeout=_ANSWERS_WITHIN_S, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("%s cannot be asked for its health: %s", path, error)
        return ""


def look(
    present: Mapping[str, int], before: Mapping[str, Health], say: Callable[[str], str] = ask
) -> dict[str, Health]:
    """What each disk says, all asked at the same time.

    One that sleeps is left alone: what it said `before` holds. That it fails holds until it says otherwise:
    one that gets no answer out any more has not become well.
    """
    kept = {name: each for name, each in before.items() if each.sequence == present.get(name)}
    failing = {name: each for name, each in kept.items() if each.state == "failing"}
    silent = {name: Health("unknown", NO_ANSWER, sequence=number) for name, number in present.items()}
    found = {**silent, **failing}

    def one(name: str, number: int) -> None:
        try:
            said = say(f"/dev/{name}")
            if sleeps(said):
                found[name] = kept.get(name, Health("unknown", ASLEEP, sequence=number))
            elif (new := heard(said, number)).state != "unknown" or name not in failing:
                found[name] = new
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            log.warning("What /dev/%s says about its health cannot be read: %s", name, error)

    threads = [threading.Thread(target=one, args=each, daemon=True) for each in present.items()]
    for thread in threads:
        thread.start()
    until = time.monotonic() + _ALL_WITHIN_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(found)


def main(file: Path = _FILE) -> int:
    """Looks and writes `file`. Returns an exit code."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    found = look(present_disks(), read(file))
    write_atomically(
        file, json.dumps({name: asdict(each) for name, each in found.items()}).encode(), sync=False
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
