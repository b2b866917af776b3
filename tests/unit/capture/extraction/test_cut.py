from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from allegro import words
from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.reading import ReadAhead
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring.record import Segment
from allegro.filters.translate import translated
from tests.unit.capture import pcapng_reader
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.rings import RUN, Ring

T = RUN + 1000 * NS
MS = 1_000_000


def frame(time_ns: int, number: int = 0, length: int = 60, **more: int | None) -> Frame:
    data = b"\x02" * 6 + b"\x04" * 6 + b"\x88\xb5" + number.to_bytes(4, "big") + bytes(1500)
    return Frame(time_ns, data[:length], **more)  # type: ignore[arg-type]


def number(packet: pcapng_reader.Packet) -> int:
    return int.from_bytes(packet.data[14:18])


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    ring = Ring(tmp_path / "ring")
    ring.runs((RUN, 2**62), ports=("port1", "port2"))
    return ring


@pytest.fixture
def cut(ring: Ring, tmp_path: Path) -> Callable[..., tuple[Result, pcapng_reader.File]]:
    def cut(start_ns: int, end_ns: int, **more: Any) -> tuple[Result, pcapng_reader.File]:
        output = tmp_path / "out.pcapng"
        request = Request(ring.directory, start_ns, end_ns, output, **more)
        result = extract(request, lambda *_: None, Courtesy(None))
        image = output.read_bytes()
        output.unlink()
        assert result.file_size == len(image)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["ring"]
        file = pcapng_reader.read(image)
        assert result.packets == len(file.packets)
        assert result.bytes == sum(packet.wire for packet in file.packets)
        assert [port.name for port in result.ports] == file.names
        assert [
            note.removeprefix("note: ") for note in file.comment.split("\n") if note.startswith("note: ")
        ] == list(result.notes)
        return result, file

    return cut


Cut = Callable[..., tuple[Result, pcapng_reader.File]]


@pytest.mark.spec("T3", "T6")
def test_exactly_the_packets_of_the_window_of_both_ports_in_order(ring: Ring, cut: Cut) -> None:
    for start in range(0, 100, 10):
        ring.add(1, [frame(T + at * MS, at) for at in range(start, start + 10, 2)])
        ring.add(2, [frame(T + at * MS, at) for at in range(start + 1, start + 11, 2)])
    result, file = cut(T + 23 * MS, T + 77 * MS)
    assert [number(packet) for packet in file.packets] == list(range(23, 78))
    assert [packet.time_ns for packet in file.packets] == [T + at * MS for at in range(23, 78)]
    assert [packet.interface for packet in file.packets] == [at % 2 for at in range(23, 78)]
    assert file.names == ["port1", "port2"]
    assert (result.first_ns, result.last_ns, result.drops, result.notes) == (T + 23 * MS, T + 77 * MS, 0, [])
    assert [(port.packets, file.counter(at, 8)) for at, port in enumerate(result.ports)] == [
        (27, 27),
        (28, 28),
    ]
    assert file.section_length > 0


@pytest.mark.spec("T6")
def test_the_comment_says_what_the_file_is(ring: Ring, cut: Cut) -> None:
    ring.add(1, [frame(T)])
    _, file = cut(
        T - 60 * NS,
        T + 1,
        comment={"device": "allegro-mm-1234", "trigger": "page\nmanual", "press_ns": str(T)},
    )
    assert file.comment.split("\n")[:6] == [
        "device: allegro-mm-1234",
        "trigger: page manual",
        "press: 2025-11-21T22:10:00.000000000Z",
        "window: 2025-11-21T22:09:00.000000000Z to 2025-11-21T22:10:00.000000001Z",
        "packets: 1",
        "packets lost in the window: 0",
    ]
    assert file.header[4][0].startswith(b"Allegro ")


@pytest.mark.spec("T4", "T6", "F7")
def test_with_a_filter_exactly_the_packets_that_match(ring: Ring, cut: Cut) -> None:
    frames = [frame(T + at * MS, at, tci=(at % 5) or None) for at in range(100)]
    ring.add(1, frames[:50])
    ring.add(2, frames[50:])
    text, program = translated("vlan == 3 or interface == port2 and vlan == none")
    result, file = cut(T + 10 * MS, T + 89 * MS, filter=text, program=program)
    expected = [at for at in range(10, 90) if at % 5 == 3 or (at >= 50 and at % 5 == 0)]
    assert [number_behind_tag(packet) for packet in file.packets] == expected
    assert [(port.packets, port.rejected) for port in result.ports] == [(8, 32), (16, 24)]
    assert file.comment.split("\n")[-5:] == [
        "packets: 24",
        "packets lost in the window: 0",
        "packets of the window that do not match the filter: 56",
        f"read of the ring: {words.size(result.read)} of {words.size(result.reached)}",
        "filter: vlan == 3 or (interface == port2 and vlan == none)",
    ]
    assert [file.counter(0, option) for option in (4, 6, 8)] == [40, 8, 8]
    assert result.notes == []


def number_behind_tag(packet: pcapng_reader.Packet) -> int:
    at = 18 if packet.data[12:14] == b"\x81\x00" else 14
    return int.from_bytes(packet.data[at : at + 4])


@pytest.mark.spec("T6", "F7")
def test_a_file_in_which_nothing_matched_says_so(ring: Ring, cut: Cut) -> None:
    ring.add(1, [frame(T), frame(T + 1)], drops=3)
    text, program = translated("ip == 10.0.0.1")
    result, file = cut(T - 1, T + 1, filter=text, program=program)
    assert (result.packets, result.first_ns) == (0, None)
    first, *others = result.notes
    assert first == (
        "No packet is in this file. None of the 2 packets that the ring holds of this window matches the"
        " filter."
    )
    assert len(others) == 1
    assert "3 packets were lost" in others[0]
    assert file.counter(0, 4) == 5
    result, _ = cut(T + 1, T + 1, filter=text, program=program)
    assert "The only packet that the ring holds of this window does not match the filter." in result.notes[0]
    result, _ = cut(T - 10 * NS, T - 9 * NS, filter=text, program=program)
    assert result.notes == [
        "No packet is in this file: nothing was received on any measuring port in this window."
    ]


@pytest.mark.spec("R5", "T6")
def test_what_the_caller_knows_is_told_first(ring: Ring, cut: Cut) -> None:
    ring.add(1, [frame(T)])
    result, _ = cut(T, T, notes=("The disk was behind.",))
    assert result.notes == ["The disk was behind."]


@pytest.mark.spec("T6")
def test_silent_ports_are_described_too_and_unknown_ones_when_they_come(ring: Ring, cut: Cut) -> None:
    ring.add(2, [frame(T, 1)])
    ring.add(11, [frame(T + 1, 2)])
    result, file = cut(T, T + 1, ports=("port10", "port9"))
    assert file.names == ["port1", "port2", "port9", "port10", "port11"]
    assert [packet.interface for packet in file.packets] == [1, 4]
    assert [port.packets for port in result.ports] == [0, 1, 0, 0, 1]
    assert sorted(file.statistics) == [0, 1, 2, 3, 4]


@pytest.mark.spec("T6")
def test_an_empty_result_is_a_file_that_says_why(ring: Ring, cut: Cut) -> None:
    result, file = cut(T, T + NS)
    assert result.notes == ["No packet is in this file.", "The ring holds no packets."]
    assert (result.first_ns, result.last_ns, result.packets) == (None, None, 0)
    assert file.names == ["port1", "port2"]
    ring.add(1, [frame(T + 5 * NS)])
    result, _ = cut(T, T + NS)
    assert result.notes == [
        "No packet is in this file: nothing was received on any measuring port in this window."
    ]


@pytest.mark.spec("T6")
def test_a_missing_ring_is_a_file_that_says_so(tmp_path: Path) -> None:
    request = Request(tmp_path / "none", T, T + NS, tmp_path / "out.pcapng")
    assert extract(request, lambda *_: None, Courtesy(None)).notes == [
        "No packet is in this file.",
        "The ring holds no packets.",
    ]


@pytest.mark.spec("R2", "T6")
def test_a_damaged_record_costs_only_itself(ring: Ring, cut: Cut) -> None:
    for at in range(4):
        ring.add(1, [frame(T + at * 100 * MS + one, at * 10 + one) for one in range(10)])
    ring.damage(1, 256 + 144, b"\xff" * 16)
    ring.damage(2, 60, b"\xff")
    ring.new_segment()
    ring.add(1, [frame(T + 2 * NS)])
    result, file = cut(T, T + NS)
    assert [number(packet) for packet in file.packets] == [*range(10), *range(30, 40)]
    when = f"at about {words.exact_moment(T + 100 * MS)}"
    assert result.notes == [
        f"Up to 10 packets of port1 {when} are missing: they are damaged on the disk.",
        f"1 piece of the recording between {words.exact_moment(T + 100 * MS)} and "
        f"{words.exact_moment(T + 300 * MS)} is missing: damaged or overwritten.",
    ]


@pytest.mark.spec("R7", "T6")
def test_records_overwritten_while_reading(ring: Ring, cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(4):
        ring.new_segment()
        ring.add(1, [frame(T + at * 100 * MS, at)])
    fill = ReadAhead._fill

    def overtaken(ahead: ReadAhead, segment: Segment, view: memoryview, offset: int) -> bool:
        oldest = ring.directory / f"{1:016x}.blocks"
        if oldest.exists():  # the recorder takes the oldest segment into use once more
            oldest.rename(ring.directory / f"{9:016x}.blocks")
        return fill(ahead, segment, view, offset)

    monkeypatch.setattr(ReadAhead, "_fill", overtaken)
    result, file = cut(T, T + NS)
    assert [number(packet) for packet in file.packets] == [1, 2, 3]
    assert any("were already overwritten" in note for note in result.notes)


@pytest.mark.spec("W5", "T6")
def test_what_lies_on_a_disk_that_is_pulled_meanwhile_is_not_told_as_overwritten(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring.add(1, [frame(T)])
    fill = ReadAhead._fill

    def pulled(ahead: ReadAhead, segment: Segment, view: memoryview, offset: int) -> bool:
        ring.directory.rename(ring.directory.with_name("pulled"))
        return fill(ahead, segment, view, offset)

    monkeypatch.setattr(ReadAhead, "_fill", pulled)
    request = Request(ring.directory, T, T + NS, tmp_path / "out.pcapng")
    result = extract(request, lambda *_: None, Courtesy(None))
    (note,) = (note for note in result.notes if "Up to 1 packet of port1" in note)
    assert note.endswith("they are on a disk that is not there any more.")


@pytest.mark.spec("T6", "T3")
def test_a_ring_that_reaches_back_too_little(ring: Ring, cut: Cut) -> None:
    ring.sequence = 1000
    ring.add(1, [frame(T)])
    result, _ = cut(T - 35 * NS, T)
    assert result.notes == [
        f"The ring reaches back only to {words.exact_moment(T)}: the first 35 s of the window are missing."
    ]


@pytest.mark.spec("R5", "T6")
def test_losses_are_counted_per_port(ring: Ring, cut: Cut) -> None:
    ring.add(1, [frame(T - 100 * NS)], drops=1000)
    ring.add(1, [frame(T)])
    ring.add(2, [frame(T + 1)], nic_missed=5)
    ring.add(1, [frame(T + 20 * MS)], drops=3)
    ring.add(1, [frame(T + 100 * NS)], drops=2000)
    result, file = cut(T, T + NS)
    assert result.drops == 8
    assert [(port.drops, port.nic_missed) for port in result.ports] == [(3, 0), (0, 5)]
    assert [(file.counter(at, 7), file.counter(at, 5), file.counter(at, 4)) for at in (0, 1)] == [
        (3, 0, 5),
        (0, 5, 1),
    ]
    assert "packets lost in the window: 8" in file.comment
    assert result.notes == [
        f"3 packets were lost on port1 between about {words.exact_moment(T - 250 * MS)} and "
        f"{words.exact_moment(T + 20 * MS)} because the recorder could not keep up.",
        f"5 packets were lost on port2 between about {words.exact_moment(T - 250 * MS)} and "
        f"{words.exact_moment(T)} in the network card.",
    ]


@pytest.mark.spec("R5")
def test_a_missing_sequence_number_is_told(ring: Ring, cut: Cut) -> None:
    ring.add(1, [frame(T)])
    ring.sequence += 2
    ring.add(1, [frame(T + 10 * MS)])
    result, _ = cut(T, T + NS)
    assert [note[:27] for note in result.notes] == ["2 pieces of the recording b"]


def test_records_on_disk_out_of_order_come_out_in_order(ring: Ring, cut: Cut) -> None:
    for start in (3, 0, 2, 1):
        ring.add(start + 1, [frame(T + start * NS + at * MS, start * 100 + at) for at in range(100)])
    result, file = cut(T, T + 9 * NS)
    assert [number(packet) for packet in file.packets] == list(range(400))
    assert result.notes == []


def test_packets_out_of_order_across_records_come_out_in_order(ring: Ring, cut: Cut) -> None:
    ring.add(1, [frame(T, 0), frame(T + 30 * MS, 3), frame(T + 20 * MS, 2)])
    ring.add(1, [frame(T + 31 * MS, 4), frame(T + 10 * MS, 1)])
    result, file = cut(T, T + NS)
    assert [number(packet) for packet in file.packets] == [0, 1, 2, 3, 4]
    assert result.notes == []


def test_a_clock_that_was_set_back_is_told(ring: Ring, cut: Cut) -> None:
    for at in (0, 10, 20, 30, 8, 9):
        ring.add(1, [frame(T + at * NS, at)])
    result, file = cut(T, T + 30 * NS)
    assert sorted(number(packet) for packet in file.packets) == [0, 8, 9, 10, 20, 30]
    assert any("clock was set back" in note for note in result.notes)


@pytest.mark.spec("R1")
def test_stripped_tags_and_cut_packets(ring: Ring, cut: Cut) -> None:
    sent = [frame(T, 1, tci=7), frame(T + 1, 2, tci=100, tpid=0x88A8), frame(T + 2, 3, 60, wire=1500)]
    ring.add(1, sent)
    result, file = cut(T, T + 2)
    assert [packet.data for packet in file.packets] == [one.sent for one in sent]
    assert [packet.wire for packet in file.packets] == [64, 64, 1500]
    assert result.bytes == 64 + 64 + 1500


def test_memory_does_not_grow_with_the_window(ring: Ring, tmp_path: Path) -> None:
    for at in range(60):
        ring.add(1, [frame(T + at * 100 * MS + one, one, 1500) for one in range(600)])
    request = Request(ring.directory, T, T + 100 * NS, tmp_path / "out.pcapng")
    tracemalloc.start()
    result = extract(request, lambda *_: None, Courtesy(None))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.packets == 36_000
    assert result.file_size > 50e6
    assert peak < 12e6


@pytest.mark.spec("R7")
def test_progress_rises(ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allegro.capture.extraction.reading.GROUP_RECORDS", 1)
    for at in range(20):
        ring.add(1, [frame(T + at * NS)])
    told: list[tuple[float, int, int]] = []
    request = Request(ring.directory, T - 100 * NS, T + 100 * NS, tmp_path / "out.pcapng")
    extract(request, lambda *one: told.append(one), Courtesy(None))
    assert told == sorted(told)
    assert told[0][0] == 0
    assert told[-1][0] == 1
    assert 0.4 < told[len(told) // 2][0] < 0.6
