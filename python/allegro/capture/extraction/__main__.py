"""The extraction as a process: `contract` says how to talk to it."""

from __future__ import annotations

import signal
import sys
import time
import traceback

from allegro.capture.extraction.contract import Failure, Message, Progress, message_line, parse_request
from allegro.capture.extraction.cut import Report, extract
from allegro.capture.extraction.yielding import Courtesy, lower_priority
from allegro.errors import AllegroError

PROGRESS_S = 0.2


def _say(message: Message) -> None:
    sys.stdout.write(message_line(message))
    sys.stdout.flush()


def _reporter() -> Report:
    told = -PROGRESS_S

    def report(fraction: float, packets: int, count: int, read: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= PROGRESS_S:
            told = now
            _say(Progress(round(fraction, 4), packets, count, read))

    return report


def main() -> int:
    """The process; returns its exit code."""
    # An unwinding end, so that the unfinished file is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        request = parse_request(sys.stdin.buffer.read())
        lower_priority()
        result = extract(request, _reporter(), Courtesy(request.status_file))
    except AllegroError as error:
        place = f"{error.place}: " if error.place else ""
        _say(Failure(f"{place}{error.message}", error.remedy))
        return 1
    except BrokenPipeError:
        return 1
    except Exception as error:
        traceback.print_exc()
        _say(
            Failure(
                f"The extraction failed unexpectedly ({type(error).__name__}: {error}).",
                "Look into the log, and report this.",
            )
        )
        return 1
    _say(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
