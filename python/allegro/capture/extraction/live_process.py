"""The live capture as a process: `live_request` says how to talk to it."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback

from allegro.capture.extraction.contract import Failure, message_line
from allegro.capture.extraction.following import follow
from allegro.capture.extraction.live_request import parse_live_request
from allegro.capture.extraction.packet_stream import PacketStream
from allegro.capture.extraction.yielding import Courtesy, lower_priority
from allegro.errors import AllegroError

_STDOUT = 1


def main() -> int:
    """The process; returns its exit code."""
    stream: PacketStream | None = None
    try:
        request = parse_live_request(sys.stdin.buffer.read())
        stream = PacketStream(_STDOUT, request.most_bytes)
        lower_priority()
        # Behind captures, which have the lowest priority of all others: a press does not wait for a look.
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        follow(request, stream, Courtesy(request.status_file))
    except BrokenPipeError:
        return 0
    except AllegroError as error:
        return _failed(Failure(error.message, error.remedy), stream)
    except Exception as error:
        traceback.print_exc()
        text = f"The live capture failed unexpectedly ({type(error).__name__}: {error})."
        return _failed(Failure(text, "Look into the log, and report this."), stream)
    return 0


def _failed(failure: Failure, stream: PacketStream | None) -> int:
    """Tells it in place of a stream; one that has begun breaks off, and the log says why."""
    print(failure.message, file=sys.stderr)
    if stream is None or not stream.begun:
        with contextlib.suppress(OSError):
            os.write(_STDOUT, message_line(failure).encode())
    return 1


if __name__ == "__main__":
    sys.exit(main())
