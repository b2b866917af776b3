"""What the supervisor and the sandbox of a dissector say to each other, through this module. No I/O.

On a unix stream socket, which is the sandbox's standard input and output: a `Task` as a line of JSON, and
with its first byte the descriptor (SCM_RIGHTS, unix(7)) of the capture, open for reading. The answer is a
line of JSON, `Taken` or `Refusal`. After a `Taken` the socket is sharkd's, and speaks its JSON-RPC.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from allegro.errors import InvalidInput

PACKETS_FD = 3
"""Where sharkd has the packets that were taken: a file in memory."""

LONGEST = 1 << 20
"""Bytes of a line."""

_LONGEST_WORDS = 300


@dataclass(frozen=True)
class Task:
    """Leave out `skip` packets that pass `program` (empty: all), then take the first `most_packets`, of
    `most_bytes` together at most, and look no longer than `seconds` for them. Times within the details
    are those of `zone`."""

    program: bytes = b""
    most_packets: int = 1000
    most_bytes: int = 16 << 20
    seconds: float = 20.0
    zone: str = "UTC"
    skip: int = 0


@dataclass(frozen=True)
class Taken:
    """What is there to be dissected: so many `packets`; `digest` is one of them all. `more`: there are, or
    may be, further ones that pass. `searched` bytes of the file were looked through when the time was over
    (0: there was time enough). `broken`: what is wrong behind the last packet that could be read."""

    packets: int
    digest: str
    more: bool = False
    searched: int = 0
    broken: str = ""


@dataclass(frozen=True)
class Refusal:
    """There are no packets to be dissected; why, in plain words."""

    reason: str


def task_line(task: Task) -> bytes:
    """As `parse_task` reads it."""
    return json.dumps(asdict(task) | {"program": task.program.hex()}).encode() + b"\n"


def parse_task(line: bytes) -> Task:
    """Raises InvalidInput for what `task_line` did not make."""
    try:
        value = json.loads(line)
        return Task(
            bytes.fromhex(value["program"]),
            int(value["most_packets"]),
            int(value["most_bytes"]),
            float(value["seconds"]),
            str(value["zone"]),
            int(value["skip"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInput(f"This is no task for a dissector ({error!r}).") from None


def answer_line(answer: Taken | Refusal) -> bytes:
    """As `parse_answer` reads it."""
    return json.dumps(asdict(answer)).encode() + b"\n"


def parse_answer(line: bytes) -> Taken | Refusal | None:
    """None if it is none: the sandbox dissects nothing yet, but has read what strangers have sent."""
    try:
        value = json.loads(line)
        if "reason" in value:
            return Refusal(_words(value["reason"]))
        return Taken(
            int(value["packets"]),
            _words(value["digest"]),
            bool(value["more"]),
            int(value["searched"]),
            _words(value["broken"]),
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _words(value: object) -> str:
    """A text that controls no terminal and is no longer than any of ours."""
    return "".join(each if each.isprintable() else "·" for each in str(value)[:_LONGEST_WORDS])
