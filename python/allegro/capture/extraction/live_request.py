"""What the supervisor asks of a live capture. No I/O.

    python3 -m allegro.capture.extraction.live_process < request.json

One `LiveRequest` as a JSON object on standard input, which then ends. The answer on standard output is
pcapng, or, if there is nothing to stream, a line of JSON (`contract.Failure`): no pcapng begins with `{`.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from allegro.errors import InvalidInput

NS = 1_000_000_000


@dataclass(frozen=True)
class LiveRequest:
    """From `past_ns` ago on, or from the moment `start_ns`; for `length_ns` from now, to the moment
    `end_ns`, which may lie in the past, or until `most_bytes` of packets are streamed (0: without end).
    `comment` are the texts for the section comment, `ports` the names of all measuring ports, `program`
    what `allegro.filters.program` made of the filter `filter` (empty: every packet)."""

    ring_directory: Path
    status_file: Path
    past_ns: int = 0
    length_ns: int = 0
    most_bytes: int = 0
    comment: dict[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    filter: str = ""
    program: bytes = b""
    start_ns: int = 0
    end_ns: int = 0

    def to_json(self) -> bytes:
        """As `parse_live_request` reads it."""
        return json.dumps(dataclasses.asdict(self) | {"program": self.program.hex()}, default=str).encode()


def parse_live_request(text: bytes) -> LiveRequest:
    """Reads a request; raises InvalidInput for what `to_json` did not make."""
    try:
        value = json.loads(text)
        return LiveRequest(
            ring_directory=Path(value["ring_directory"]),
            status_file=Path(value["status_file"]),
            past_ns=int(value["past_ns"]),
            length_ns=int(value["length_ns"]),
            start_ns=int(value["start_ns"]),
            end_ns=int(value["end_ns"]),
            most_bytes=int(value["most_bytes"]),
            comment={str(key): str(text) for key, text in value["comment"].items()},
            ports=tuple(str(port) for port in value["ports"]),
            filter=str(value["filter"]),
            program=bytes.fromhex(value["program"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput(f"This is no request for a live capture ({error!r}).") from None
