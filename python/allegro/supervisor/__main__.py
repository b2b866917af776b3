"""The supervisor: `python -m allegro.supervisor`."""

import argparse
import logging
import os
import sys
from pathlib import Path

from allegro.errors import AllegroError
from allegro.paths import Paths
from allegro.supervisor.assembly import run

log = logging.getLogger("allegro.supervisor")

# Priorities of sd-daemon(3): journald takes them from the beginning of a line.
_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


class JournalFormatter(logging.Formatter):
    """Every line of a message, a traceback too, begins with its priority for journald."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as lines `<priority>text`."""
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def set_up_log() -> None:
    """What is told goes to stderr; libraries are kept from telling what is secret, or told elsewhere."""
    handler = logging.StreamHandler()
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(JournalFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # its failures reach us as exceptions
    for library in ("httpx", "httpcore"):  # the address of each request; a webhook's is a secret
        logging.getLogger(library).setLevel(logging.WARNING)


def main() -> int:
    """Runs the supervisor; returns the exit code."""
    defaults = Paths()
    parser = argparse.ArgumentParser(
        prog="allegro-supervisor", description="Controls the device; serves its API."
    )
    parser.add_argument("--data", type=Path, default=defaults.data, help="data partition (%(default)s)")
    parser.add_argument("--run", type=Path, default=defaults.run, help="runtime directory (%(default)s)")
    arguments = parser.parse_args()
    set_up_log()
    try:
        paths = Paths(arguments.data, arguments.run)
        # With other directories it is tried out on somebody's machine, whose network is not ours.
        run(paths, with_network=paths == defaults)
    except AllegroError as error:
        log.critical("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
