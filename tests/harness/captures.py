"""Judging capture files: Wireshark's own tools, and a reader of our own for the bytes of every packet.

pcapng: draft-ietf-opsawg-pcapng. The reader shares no code with the product on purpose.
"""

import csv
import io
import json
import struct
import subprocess
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.harness.bench_errors import BenchError

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_COMMENT, _IF_NAME, _IF_RESOLUTION = 1, 2, 9
_RECEIVED, _INTERFACE_DROPS, _OS_DROPS = 4, 5, 7


@dataclass(frozen=True)
class Packet:
    """One packet: Unix time in ns, the port's name, its bytes, its length on the wire."""

    time_ns: int
    port: str
    data: bytes
    length: int


@dataclass
class PortStatistics:
    """What the interface statistics block says."""

    received: int | None = None
    interface_drops: int | None = None
    os_drops: int | None = None


@dataclass
class Capture:
    """A pcapng file with one section."""

    comment: str = ""
    ports: list[str] = field(default_factory=list)
    packets: list[Packet] = field(default_factory=list)
    statistics: dict[str, PortStatistics] = field(default_factory=dict)


def _options(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    position = 0
    while position + 4 <= len(data):
        code, length = struct.unpack_from("<HH", data, position)
        if code == 0:
            break
        found.append((code, data[position + 4 : position + 4 + length]))
        position += 4 + (length + 3) // 4 * 4
    return found


def _integer(options: dict[int, bytes], code: int) -> int | None:
    return int.from_bytes(options[code], "little") if code in options else None


def read_capture(path: Path) -> Capture:
    """Read a little-endian pcapng file with one section; raises BenchError where it breaks the format."""
    content = path.read_bytes()
    capture = Capture()
    units: list[int] = []  # ns per unit of each interface
    position = 0
    while position < len(content):
        if position + 12 > len(content):
            raise BenchError(f"{path}: {len(content) - position} stray bytes at the end")
        kind, length = struct.unpack_from("<II", content, position)
        if length < 12 or length % 4 or position + length > len(content):
            raise BenchError(f"{path}: block of length {length} at {position} does not fit")
        if struct.unpack_from("<I", content, position + length - 4)[0] != length:
            raise BenchError(f"{path}: the two lengths of the block at {position} differ")
        body = content[position + 8 : position + length - 4]
        if kind == _SECTION:
            if position or body[:4] != b"\x4d\x3c\x2b\x1a":
                raise BenchError(f"{path}: not one little-endian section")
            capture.comment = "\n".join(v.decode() for c, v in _options(body[16:]) if c == _COMMENT)
        elif kind == _INTERFACE:
            options = dict(_options(body[8:]))
            resolution = options.get(_IF_RESOLUTION, b"\x06")[0]
            if resolution > 9:
                raise BenchError(f"{path}: resolution {resolution} is not a power of ten up to ns")
            units.append(10 ** (9 - resolution))
            capture.ports.append(options.get(_IF_NAME, b"").decode())
        elif kind == _PACKET:
            number, high, low, captured, original = struct.unpack_from("<IIIII", body)
            time_ns = (high << 32 | low) * units[number]
            capture.packets.append(Packet(time_ns, capture.ports[number], body[20 : 20 + captured], original))
        elif kind == _STATISTICS:
            (number,) = struct.unpack_from("<I", body)
            options = dict(_options(body[12:]))
            capture.statistics[capture.ports[number]] = PortStatistics(
                _integer(options, _RECEIVED),
                _integer(options, _INTERFACE_DROPS),
                _integer(options, _OS_DROPS),
            )
        position += length
    return capture


def _tool(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    # tshark says so, and goes on, when it is started by root.
    complaints = [
        line for line in done.stderr.splitlines() if line and not line.startswith("Running as user")
    ]
    if done.returncode or complaints:
        raise BenchError(f"{' '.join(command)}: exit code {done.returncode}\n" + "\n".join(complaints))
    return done.stdout


def capinfos(path: Path) -> dict[str, str]:
    """Return what capinfos says about a file, by its own short names; BenchError when it rejects the file."""
    text = _tool("capinfos", "-T", "-M", "-Q", str(path))
    (row,) = csv.DictReader(io.StringIO(text), delimiter="\t")
    return row


def tshark_fields(path: Path, *fields: str, display_filter: str = "") -> list[list[str]]:
    """Return tshark's values of these fields for each packet (several of one field joined by commas)."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields"]
    for name in fields:
        command += ["-e", name]
    if display_filter:
        command += ["-Y", display_filter]
    return [line.split("\t") for line in _tool(*command).splitlines()]


def check(path: Path, *, clock_set_back: bool | None = False) -> Capture:
    """Read a file and make sure of what holds for all: the tools accept it and agree with us, times rise.

    `clock_set_back`: but for one that says that the clock was set back; packets keep their order then. None:
    it may have been, perhaps by less than lies between two packets.
    """
    capture = read_capture(path)
    facts = capinfos(path)
    counted = int(facts["Number of packets"])
    disorder = facts["Strict time order"] != "True"
    if counted > 1 and clock_set_back not in (None, disorder):
        raise BenchError(f"{path}: capinfos says of the order of time: {facts['Strict time order']}")
    if counted != len(capture.packets):
        raise BenchError(f"{path}: capinfos counts {counted} packets, our reader {len(capture.packets)}")
    seen = [
        (_nanoseconds(epoch), int(length))
        for epoch, length in tshark_fields(path, "frame.time_epoch", "frame.len")
    ]
    ours = [(packet.time_ns, packet.length) for packet in capture.packets]
    if seen != ours:
        raise BenchError(f"{path}: times or lengths that tshark sees differ from those in the file")
    for before, after in pairwise(capture.packets):
        if after.time_ns < before.time_ns and clock_set_back is False:
            raise BenchError(f"{path}: a packet at {after.time_ns} follows one at {before.time_ns}")
    return capture


def _nanoseconds(epoch: str) -> int:
    """Exact: a float of today's time has only about 200 ns of resolution."""
    seconds, _, fraction = epoch.partition(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0")[:9] or 0)


@dataclass(frozen=True)
class ProtocolLine:
    """Packets of one protocol: how many, bytes, Unix time in ns of the first and the last."""

    protocol: str
    packets: int
    size: int
    first_ns: int
    last_ns: int


def protocol_table(path: Path) -> list[ProtocolLine]:
    """Return a line for each protocol that tshark names (highest layer it knows), most packets first."""
    lines: dict[str, ProtocolLine] = {}
    for epoch, name, length in tshark_fields(path, "frame.time_epoch", "_ws.col.Protocol", "frame.len"):
        at = _nanoseconds(epoch)
        old = lines.get(name) or ProtocolLine(name, 0, 0, at, at)
        lines[name] = ProtocolLine(name, old.packets + 1, old.size + int(length), old.first_ns, at)
    return sorted(lines.values(), key=lambda line: -line.packets)


def comment_fields(capture: Capture) -> dict[str, str]:
    """Return the "key: value" lines of the section comment."""
    pairs = (line.partition(": ") for line in capture.comment.splitlines())
    return {key: value for key, _, value in pairs}


def as_json(table: list[ProtocolLine]) -> str:
    """Return a protocol table as JSON text, for a report."""
    return json.dumps([line.__dict__ for line in table], indent=1)
