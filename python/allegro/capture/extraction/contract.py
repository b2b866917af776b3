"""What the supervisor and the extraction say to each other; both sides speak through this module. No I/O.

    python3 -m allegro.capture.extraction < request.json

One `Request` as a JSON object on standard input, which then ends. Answer: JSON lines on standard output,
{"progress": {…}} at most five per second (`Progress`), then {"result": {…}} (`Result`) with exit code 0, or
{"error": {…}} (`Failure`) with code 1. Lines that are none of these are of no meaning.

Or an array of requests, which differ only in what is in their files: one pass makes all of them. Results and
errors then say of which request they are ({"result": {…}, "row": 2}, counted from 0); the exit code is 0 if
each has had its answer. A file that is removed while it is written is given up, the others go on.

Times are nanoseconds since 1970 (UTC).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from allegro.capture.extraction.shape import WHOLE, Shape
from allegro.errors import InvalidInput

LATEST_NS = (1 << 63) - 1


@dataclass(frozen=True)
class Request:
    """What to extract.

    `start_ns` and `end_ns` of the window are both included. `output` is the path of the file; `comment` the
    texts for the section comment; `ports` the names of all measuring ports, so that silent ones are described
    in the file too; `notes` are sentences for people that the caller knows and the file is to say. With the
    recorder's `status_file` the extraction keeps out of its way.

    A press carries the clock that nobody sets: at that moment, of the start of the kernel `boot_id` (32
    hexadecimal digits), the wall clock was `boot_offset_ns` ahead of CLOCK_BOOTTIME. Without it (empty) the
    window is one of dates.

    `program` is what `allegro.filters.program` made of the filter `filter`; without it (empty) every packet
    of the window is written. `shape` is what the file looks like.
    """

    ring_directory: Path
    start_ns: int
    end_ns: int
    output: Path
    comment: dict[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    status_file: Path | None = None
    boot_id: str = ""
    boot_offset_ns: int = 0
    filter: str = ""
    program: bytes = b""
    shape: Shape = WHOLE

    def to_json(self) -> bytes:
        """As `parse_request` reads it."""
        return json.dumps(asdict(self) | {"program": self.program.hex()}, default=str).encode()


@dataclass(frozen=True)
class Progress:
    """How far it is: `fraction` 0..1, packets and bytes on the wire so far, bytes of the ring read."""

    fraction: float
    packets: int
    bytes: int
    read: int = 0


@dataclass(frozen=True)
class PortResult:
    """Counts of one port: `packets` in the file, `drops` and `nic_missed` lost in the window, `rejected` in
    the window, but not matching the filter, about `discarded` by a slicing rule before the ring."""

    name: str
    packets: int
    drops: int
    nic_missed: int
    rejected: int = 0
    discarded: int = 0


@dataclass(frozen=True)
class Result:
    """What the file holds. `bytes` counts the packets' full length on the wire; times are those of the first
    and last packet (None: there is none), `drops` all packets that were lost in the window, `notes` sentences
    for people. Of the ring's `reached` bytes in the window `read` were read: a filter needs few. `limited`:
    the file ends at its size limit, before the window does. `text` is what the file would say of itself, if
    its format had a place for that (empty: it does)."""

    packets: int
    bytes: int
    file_size: int
    first_ns: int | None
    last_ns: int | None
    drops: int
    notes: list[str]
    ports: list[PortResult]
    read: int = 0
    reached: int = 0
    limited: bool = False
    text: str = ""


@dataclass(frozen=True)
class Failure:
    """There is no file; why, and what to do about it."""

    message: str
    remedy: str = ""


Message = Progress | Result | Failure

_KINDS = {Progress: "progress", Result: "result", Failure: "error"}


def message_line(message: Message, row: int | None = None) -> str:
    """One line, with its end; `row` says of which of several requests it is."""
    of_row = {} if row is None else {"row": row}
    return json.dumps({_KINDS[type(message)]: asdict(message), **of_row}) + "\n"


def parse_message(line: str | bytes) -> Message | None:
    """The message of a line; None if it holds none."""
    try:
        value = json.loads(line)
        if "progress" in value:
            return Progress(**value["progress"])
        if "error" in value:
            return Failure(**value["error"])
        result = dict(value["result"])
        return Result(ports=[PortResult(**port) for port in result.pop("ports")], **result)
    except (ValueError, TypeError, KeyError):
        return None


def row_of(line: str | bytes) -> int | None:
    """Of which of several requests a message is; None if it does not say."""
    row = json.loads(line).get("row")
    return row if isinstance(row, int) else None


def requests_json(requests: Sequence[Request]) -> bytes:
    """As `parse_requests` reads it."""
    if len(requests) == 1:
        return requests[0].to_json()
    return b"[" + b",".join(request.to_json() for request in requests) + b"]"


def parse_requests(text: str | bytes) -> tuple[Request, ...]:
    """Reads and checks one request or several; raises InvalidInput."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"The request is not JSON: {error}.") from None
    requests = tuple(_request(each) for each in (value if isinstance(value, list) else [value]))
    if not requests:
        raise InvalidInput("There is no request.")
    shared = {
        (one.ring_directory, one.start_ns, one.end_ns, one.boot_id, one.boot_offset_ns) for one in requests
    }
    if len(shared) > 1:
        raise InvalidInput("The requests are not of one ring and window.")
    return requests


def parse_request(text: str | bytes) -> Request:
    """Reads and checks one request; raises InvalidInput."""
    return parse_requests(text)[0]


def _request(value: Any) -> Request:
    if not isinstance(value, dict):
        raise InvalidInput("The request is not a JSON object.")
    start_ns, end_ns = (_time(value, key) for key in ("start_ns", "end_ns"))
    if end_ns < start_ns:
        raise InvalidInput("The window ends before it begins.", place="end_ns")
    comment = value.get("comment", {})
    if not isinstance(comment, dict):
        raise InvalidInput("Not an object of texts.", place="comment")
    ports, notes = (_strings(value, key) for key in ("ports", "notes"))
    status_file = value.get("status_file")
    return Request(
        ring_directory=Path(_string(value, "ring_directory")),
        start_ns=start_ns,
        end_ns=end_ns,
        output=Path(_string(value, "output")),
        comment={str(key): str(text) for key, text in comment.items()},
        ports=ports,
        notes=notes,
        status_file=Path(_string(value, "status_file")) if status_file is not None else None,
        boot_id=_boot_id(value),
        boot_offset_ns=_offset(value),
        filter=_text(value, "filter"),
        program=_bytes(value, "program"),
        shape=_shape(value.get("shape", {})),
    )


def _shape(value: Any) -> Shape:
    if not isinstance(value, dict) or value.get("format", "pcapng") not in ("pcapng", "pcap"):
        raise InvalidInput("The format of a file, and its limits, are expected here.", place="shape")
    lengths = [value.get(key, 0) for key in ("packet_length", "size_limit_mib")]
    for length in lengths:
        if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length < 1 << 32:
            raise InvalidInput("A number from 0 to 4294967295 is expected here.", place="shape")
    return Shape(value.get("format", "pcapng"), *lengths)


def _boot_id(value: dict[str, Any]) -> str:
    text = value.get("boot_id", "")
    if not isinstance(text, str) or not re.fullmatch(r"(?:[0-9a-f]{32})?", text):
        raise InvalidInput("32 hexadecimal digits are expected here.", place="boot_id")
    return text


def _offset(value: dict[str, Any]) -> int:
    number = value.get("boot_offset_ns", 0)
    if not isinstance(number, int) or isinstance(number, bool) or abs(number) > LATEST_NS:
        raise InvalidInput("A difference in nanoseconds is expected here.", place="boot_offset_ns")
    return number


def _text(value: dict[str, Any], key: str) -> str:
    text = value.get(key, "")
    if not isinstance(text, str):
        raise InvalidInput("A text is expected here.", place=key)
    return text


def _bytes(value: dict[str, Any], key: str) -> bytes:
    try:
        return bytes.fromhex(_text(value, key))
    except ValueError:
        raise InvalidInput("Hexadecimal digits are expected here.", place=key) from None


def _string(value: dict[str, Any], key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidInput("A path is expected here.", place=key)
    return text


def _strings(value: dict[str, Any], key: str) -> tuple[str, ...]:
    texts = value.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidInput("Not a list of texts.", place=key)
    return tuple(texts)


def _time(value: dict[str, Any], key: str) -> int:
    number = value.get(key)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= LATEST_NS:
        raise InvalidInput("A time in nanoseconds since 1970 is expected here.", place=key)
    return number
