"""Shorter packets, smaller files, and the classic format."""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from allegro.capture.extraction import reading
from allegro.capture.extraction.contract import Request, Result, parse_request
from allegro.capture.extraction.cut import extract, extract_all
from allegro.capture.extraction.reading import ReadAhead
from allegro.capture.extraction.shape import Format, Shape
from allegro.capture.extraction.yielding import Courtesy
from allegro.errors import AllegroError, InvalidInput
from allegro.filters.translate import translated
from tests.unit.capture import pcapng_reader
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.rings import RUN, Ring

pytestmark = pytest.mark.spec("T5")

T = RUN + 1000 * NS
MS = 1_000_000
MIB = 1 << 20

Cut = Callable[..., tuple[Result, bytes]]


def _frame(at: int, length: int) -> Frame:
    data = b"\x02" * 6 + b"\x04" * 6 + b"\x88\xb5" + bytes([at % 251]) * (length - 14)
    return Frame(T + at * MS + at, data, tci=at % 3 or None)


FRAMES = [_frame(at, 44 + 7 * at) for at in range(100)]
LARGE = [_frame(at, 30_000 + at) for at in range(100, 160)]
"""Those of 1.8 MB."""


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    ring = Ring(tmp_path / "ring")
    ring.runs((RUN, 2**62), ports=("port1", "port2"))
    ring.add(1, FRAMES[:50])
    ring.add(2, FRAMES[50:])
    for start in range(0, 60, 10):
        ring.add(1 + start // 10 % 2, LARGE[start : start + 10])
    return ring


@pytest.fixture
def cut(ring: Ring, tmp_path: Path) -> Cut:
    """Cuts the first 100 ms, or `ms` of them."""

    def cut(*, ms: int = 100, filter_text: str = "", **shape: Any) -> tuple[Result, bytes]:
        output = tmp_path / "out"
        text, program = translated(filter_text)
        request = Request(
            ring.directory,
            T,
            T + ms * MS - 1,
            output,
            comment={"device": "x"},
            filter=text,
            program=program if filter_text else b"",
            shape=Shape(**shape),
        )
        result = extract(parse_request(request.to_json()), lambda *_: None, Courtesy(None))
        image = output.read_bytes()
        output.unlink()
        assert result.file_size == len(image)
        return result, image

    return cut


def classic_packets(image: bytes) -> list[tuple[int, bytes, int]]:
    """Time, bytes and length on the wire of each packet of a pcap file with nanoseconds."""
    found = []
    offset = 24
    while offset < len(image):
        seconds, rest, captured, wire = struct.unpack_from("<IIII", image, offset)
        found.append((seconds * NS + rest, image[offset + 16 : offset + 16 + captured], wire))
        offset += 16 + captured
    assert offset == len(image)
    return found


def test_a_classic_file_has_the_same_packets_and_its_words_come_apart(cut: Cut) -> None:
    result, image = cut(format="pcap")
    assert struct.unpack("<IHHiIII", image[:24]) == (0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    assert classic_packets(image) == [(one.time_ns, one.sent, len(one.sent)) for one in FRAMES]
    assert (result.packets, [port.packets for port in result.ports]) == (100, [50, 50])
    other, image = cut()
    assert (pcapng_reader.read(image).comment, other.text) == (result.text, "")
    assert "device: x\n" in result.text


@pytest.mark.parametrize("format_", ["pcapng", "pcap"])
@pytest.mark.parametrize("most", [1, 13, 64, 65, 66, 67, 200, 2000])
def test_packets_are_kept_up_to_a_length_and_say_how_long_they_were(
    cut: Cut, most: int, format_: Format
) -> None:
    result, image = cut(packet_length=most, format=format_)
    if format_ == "pcap":
        packets = [(data, wire) for _, data, wire in classic_packets(image)]
        assert struct.unpack_from("<I", image, 16) == (most,)
    else:
        packets = [(one.data, one.wire) for one in pcapng_reader.read(image).packets]
    assert packets == [(one.sent[:most], len(one.sent)) for one in FRAMES]
    assert result.bytes == sum(len(one.sent) for one in FRAMES)
    kept = "the first byte is" if most == 1 else f"{most} bytes are"
    assert result.notes[0] == f"Of each packet no more than {kept} kept, as was asked for."
    shorter = [sum(len(one.sent) > most for one in part) for part in (FRAMES[:50], FRAMES[50:])]
    told = [f"{count} packets of port{port} are shorter in this file than on the wire." for port, count in
            enumerate(shorter, 1) if count]  # fmt: skip
    assert result.notes[1:] == told
    assert not result.limited


@pytest.mark.parametrize("format_", ["pcapng", "pcap"])
def test_a_file_ends_before_its_limit_and_says_since_when(cut: Cut, format_: Format) -> None:
    result, image = cut(ms=160, size_limit_mib=1, format=format_)
    assert MIB - 31_000 - 16384 < len(image) <= MIB
    sent = [one.sent for one in [*FRAMES, *LARGE]]
    if format_ == "pcap":
        kept = [data for _, data, _ in classic_packets(image)]
    else:
        kept = [one.data for one in pcapng_reader.read(image).packets]
    assert kept == sent[: len(kept)]
    assert 100 < len(kept) < 160
    first_missing = f"{LARGE[len(kept) - 100].time_ns % NS:09d}Z"
    (note,) = result.notes
    assert note.startswith("This file ends at its size limit of 1 MiB (1.0 MB): what came in from ")
    assert note.endswith(f"{first_missing} on is not in it.")
    assert result.limited


def test_the_statistics_of_a_file_that_its_limit_ended_do_not_say_what_came_in(cut: Cut) -> None:
    result, image = cut(ms=160, size_limit_mib=1, filter_text="length > 60")
    read = pcapng_reader.read(image)
    assert [set(one) - {2, 3} for one in read.statistics.values()] == [{5, 7, 8}] * 2
    assert read.counter(0, 8) + read.counter(1, 8) == result.packets
    assert "do not match" not in read.comment


def test_what_a_limit_leaves_out_is_not_read_and_losses_after_it_are_told(
    ring: Ring, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "GROUP_BYTES", 1 << 17)
    for second in range(10, 250, 10):
        frames = [_frame(second * 1000 + at, 30_000) for at in range(10)]
        ring.add(1, frames, drops=int(second == 240))
    read: list[int] = []
    plain = ReadAhead._read_run

    def counted(ahead: ReadAhead, run: list, buffer: mmap.mmap, at: int) -> object:  # type: ignore[type-arg]
        read.extend(one.sequence for one in run)
        return plain(ahead, run, buffer, at)

    monkeypatch.setattr(ReadAhead, "_read_run", counted)
    result, _ = cut(ms=250_000, size_limit_mib=1)
    assert result.limited
    assert result.drops == 1
    assert any("1 packet was lost on port1" in note for note in result.notes)
    assert result.read < result.reached
    assert len(read) < 32


def test_a_limit_that_is_not_reached_changes_nothing(cut: Cut) -> None:
    result, image = cut(size_limit_mib=1)
    assert (result.packets, result.notes, result.limited) == (100, [], False)
    assert pcapng_reader.read(image).counter(0, 4) == 50


def test_the_limit_of_one_file_leaves_the_others_alone(ring: Ring, tmp_path: Path) -> None:
    requests = [
        Request(ring.directory, T, T + NS, tmp_path / name, shape=shape)
        for name, shape in (
            ("small", Shape(size_limit_mib=1)),
            ("whole", Shape("pcap")),
            ("short", Shape(packet_length=60, size_limit_mib=1)),
        )
    ]
    told: dict[int, Result | AllegroError] = {}
    extract_all(requests, lambda *_: None, told.__setitem__, Courtesy(None))
    small, whole, short = (told[number] for number in range(3))
    assert isinstance(small, Result)
    assert isinstance(whole, Result)
    assert isinstance(short, Result)
    assert (small.limited, whole.limited, short.limited) == (True, False, False)
    assert small.packets < whole.packets == short.packets == 160


def test_a_packet_larger_than_the_limit_is_not_called_silence(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "other")
    ring.runs((RUN, 2**62), ports=("port1",))
    ring.add(1, [_frame(0, MIB - 10_000)])
    output = tmp_path / "out"
    request = Request(ring.directory, T, T + MS, output, shape=Shape(size_limit_mib=1))
    result = extract(request, lambda *_: None, Courtesy(None))
    assert (result.packets, result.limited, len(result.notes)) == (0, True, 1)
    assert "size limit" in result.notes[0]


def test_a_checksum_is_completed_before_the_packet_is_cut(ring: Ring, cut: Cut) -> None:
    udp = struct.pack(">HHHH", 1, 2, 8 + 200, 0xABCD) + bytes(range(200))
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + 208, 1, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
    )
    whole = bytes(12) + b"\x08\x00" + header + udp
    ring.add(1, [Frame(T + 99 * MS + 500, whole, status=1 << 3)])

    def one(**shape: Any) -> bytes:
        packets = pcapng_reader.read(cut(**shape)[1]).packets
        (found,) = [packet.data for packet in packets if packet.time_ns == T + 99 * MS + 500]
        return found

    assert one()[40:42] != b"\xab\xcd"
    assert one(packet_length=64) == one()[:64]


@pytest.mark.parametrize(
    "shape", [[], {"format": "erf"}, {"packet_length": -1}, {"size_limit_mib": "1"}, {"packet_length": True}]
)
def test_a_shape_that_is_none_is_refused(tmp_path: Path, shape: object) -> None:
    asked = json.loads(Request(tmp_path, 0, 1, tmp_path / "out").to_json()) | {"shape": shape}
    with pytest.raises(InvalidInput):
        parse_request(json.dumps(asked))
