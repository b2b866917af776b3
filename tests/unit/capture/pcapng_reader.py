"""A strict pcapng reader for tests, independent of the code under test."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field


@dataclass
class Packet:
    interface: int
    time_ns: int
    data: bytes
    wire: int
    comment: str = ""


@dataclass
class File:
    comment: str = ""
    header: dict[int, list[bytes]] = field(default_factory=dict)
    section_length: int = -1
    interfaces: list[dict[int, list[bytes]]] = field(default_factory=list)
    packets: list[Packet] = field(default_factory=list)
    statistics: dict[int, dict[int, list[bytes]]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [one[2][0].decode() for one in self.interfaces]

    def counter(self, interface: int, option: int) -> int:
        value: int = struct.unpack("<Q", self.statistics[interface][option][0])[0]
        return value


def options(body: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    offset = 0
    while offset < len(body):
        code, length = struct.unpack_from("<HH", body, offset)
        value = body[offset + 4 : offset + 4 + length]
        assert len(value) == length
        assert not any(body[offset + 4 + length : offset + 4 + length + -length % 4])
        offset += 4 + length + -length % 4
        if code == 0:
            assert length == 0
            assert offset == len(body), "bytes after the end of the options"
            return found
        found.setdefault(code, []).append(value)
    assert not found, "options without an end"
    return found


def read(image: bytes) -> File:
    file = File()
    offset = 0
    while offset < len(image):
        kind, length = struct.unpack_from("<II", image, offset)
        assert length % 4 == 0
        assert length >= 12
        assert offset + length <= len(image), "a block is cut off"
        assert struct.unpack_from("<I", image, offset + length - 4)[0] == length
        body = image[offset + 8 : offset + length - 4]
        if offset == 0:
            assert kind == 0x0A0D0D0A
            magic, major, minor, file.section_length = struct.unpack_from("<IHHq", body)
            assert (magic, major, minor) == (0x1A2B3C4D, 1, 0)
            file.header = options(body[16:])
            file.comment = file.header.get(1, [b""])[0].decode()
            assert file.section_length in (-1, len(image) - length)
        elif kind == 1:
            assert struct.unpack_from("<HHI", body) == (1, 0, 0)
            file.interfaces.append(options(body[8:]))
            assert file.interfaces[-1][9] == [b"\x09"]
        elif kind == 6:
            interface, high, low, captured, wire = struct.unpack_from("<IIIII", body)
            assert interface < len(file.interfaces)
            more = options(body[20 + captured + -captured % 4 :])
            assert set(more) <= {1}
            comment = more[1][0].decode() if more else ""
            file.packets.append(Packet(interface, high << 32 | low, body[20 : 20 + captured], wire, comment))
        else:
            assert kind == 5, f"unexpected block {kind:#x}"
            interface = struct.unpack_from("<I", body)[0]
            file.statistics[interface] = options(body[12:])
        offset += length
    return file
