"""The extraction as a process: `contract` says how to talk to it."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback

from allegro.capture.extraction.contract import (
    Failure,
    Message,
    Progress,
    Result,
    message_line,
    parse_requests,
)
from allegro.capture.extraction.cut import Report, extract, extract_all
from allegro.capture.extraction.yielding import Courtesy, lower_priority
from allegro.errors import AllegroError

PROGRESS_S = 0.2


def _say(message: Message, row: int | None = None) -> None:
    sys.stdout.write(message_line(message, row))
    sys.stdout.flush()


def _answer(row: int, answer: Result | AllegroError) -> None:
    _say(answer if isinstance(answer, Result) else _failure(answer), row)


def _failure(error: AllegroError) -> Failure:
    place = f"{error.place}: " if error.place else ""
    return Failure(f"{place}{error.message}", error.remedy)


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
        requests = parse_requests(sys.stdin.buffer.read())
        lower_priority()
        courtesy = Courtesy(requests[0].status_file)
        if len(requests) > 1:
            extract_all(requests, _reporter(), _answer, courtesy)
            return 0
        result = extract(requests[0], _reporter(), courtesy)
    except AllegroError as error:
        _say(_failure(error))
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
    code = main()
    # All is said and written. A press would wait for the interpreter to take itself apart as well.
    sys.stderr.flush()
    os._exit(code)
