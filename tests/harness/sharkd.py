"""Wireshark's own judgement of packets by display filters: sharkd (wireshark-common) reads a file once.

Asked by JSON-RPC on its standard input, a line each (https://wiki.wireshark.org/sharkd-JSON-RPC-Request-Syntax).
"""

import json
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness.bench_errors import BenchError

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_ETHERNET, _IF_NAME = 1, 2
_PATIENCE_S = 240

Frame = tuple[str, bytes, int]
"""Name of the port, bytes, length on the wire."""


def verdicts(
    folder: Path,
    frames: Sequence[Frame],
    filters: Sequence[str],
    preferences: Mapping[str, str] | None = None,
) -> list[set[int]]:
    """For each display filter the numbers (from 0) of the frames that pass it.

    Raises BenchError for a filter that Wireshark does not accept.
    """
    file = folder / "judged.pcapng"
    file.write_bytes(pcapng_file(frames))
    asked: list[tuple[str, dict[str, str]]] = [
        *(("setconf", {"name": name, "value": value}) for name, value in (preferences or {}).items()),
        ("load", {"file": str(file)}),
        *(("frames", {"filter": text, "column0": "frame.number:1"}) for text in filters),
    ]
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters})
        for number, (method, parameters) in enumerate(asked, 1)
    ]
    done = subprocess.run(
        ["sharkd", "-"], input="\n".join([*lines, ""]), capture_output=True, text=True, timeout=_PATIENCE_S
    )
    answers = {answer.get("id"): answer for answer in map(json.loads, done.stdout.splitlines())}
    found = []
    for number, (method, parameters) in enumerate(asked, 1):
        answer = answers.get(number, {})
        if "result" not in answer:
            raise BenchError(f"sharkd does not take {method} {parameters}: {answer or done.stderr[-500:]}")
        if method == "frames":
            found.append({frame["num"] - 1 for frame in answer["result"]})
    return found


def pcapng_file(frames: Sequence[Frame]) -> bytes:
    """draft-ietf-opsawg-pcapng: a section, an interface for each port, the frames a millisecond apart."""
    ports = sorted({port for port, _, _ in frames})
    blocks = [_block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    for port in ports:
        name = port.encode()
        option = struct.pack("<HH", _IF_NAME, len(name)) + _padded(name) + bytes(4)
        blocks.append(_block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, 0) + option))
    for number, (port, data, length) in enumerate(frames):
        head = struct.pack("<IIIII", ports.index(port), 0, number * 1000, len(data), length)
        blocks.append(_block(_PACKET, head + _padded(data)))
    return b"".join(blocks)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
