"""The bench's own reader of pcapng notices what breaks the format."""

import struct
from pathlib import Path

import pytest

from tests.harness.bench_errors import BenchError
from tests.harness.captures import Packet, comment_fields, read_capture


def block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


SECTION = block(
    0x0A0D0D0A,
    struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option(1, b"device: a\nnote: b: c") + option(0, b""),
)
INTERFACE = block(1, struct.pack("<HHI", 1, 0, 0) + option(2, b"port1") + option(9, b"\x09") + option(0, b""))
TIME = 1_795_299_590_123_456_789
PACKET = block(6, struct.pack("<IIIII", 0, TIME >> 32, TIME & 0xFFFFFFFF, 5, 1500) + b"abcde")
STATISTICS = block(5, struct.pack("<III", 0, 0, 0) + option(7, struct.pack("<Q", 3)) + option(0, b""))


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "x.pcapng"
    path.write_bytes(content)
    return path


def test_everything_is_read_to_the_nanosecond(tmp_path: Path) -> None:
    capture = read_capture(write(tmp_path, SECTION + INTERFACE + PACKET + STATISTICS))
    assert capture.packets == [Packet(TIME, "port1", b"abcde", 1500)]
    assert capture.ports == ["port1"]
    assert capture.statistics["port1"].os_drops == 3
    assert comment_fields(capture) == {"device": "a", "note": "b: c"}


@pytest.mark.parametrize(
    "content",
    [
        SECTION + INTERFACE + PACKET[:-4],
        SECTION + INTERFACE + PACKET[:-4] + b"\x20\0\0\0",
        SECTION + INTERFACE + PACKET + b"\0",
        SECTION + SECTION,
    ],
    ids=["cut", "lengths differ", "stray byte", "second section"],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BenchError):
        read_capture(write(tmp_path, content))
