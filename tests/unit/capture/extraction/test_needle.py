"""A filter that few records can match reads few of them, and finds what it finds without summaries."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest

from allegro import words
from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract, extract_all
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring.record_summaries import SUFFIX
from allegro.errors import AllegroError
from allegro.filters import libpcap
from allegro.filters.program import compiled
from allegro.filters.translate import translated
from tests.harness import random_packets
from tests.harness.layers import ethernet, ipv4, tcp
from tests.unit.capture import pcapng_reader
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.devices import Device
from tests.unit.capture.rings import RUN, Ring

pytestmark = pytest.mark.spec("R13")

T = RUN + 1000 * NS
MS = 1_000_000
RECORD = 4096
RECORDS = 100
WHOLE = (T, T + RECORDS * 100 * MS - 1)
EDGE = 5
"""Records at each end of the window whose packets may lie outside of it: half a second."""


def conversation(client: int, at_ns: int) -> Frame:
    packet = ipv4(6, tcp(40_000 + client, 443), source=f"10.0.0.{client}", destination="192.0.2.1")
    return Frame(at_ns, ethernet(0x0800, packet))


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    """Ten seconds in records of 100 ms with five packets of one client each, 20 clients in turn."""
    ring = Ring(tmp_path / "ring")
    ring.runs((RUN, 2**62), ports=("port1", "port2"))
    for number in range(RECORDS):
        frames = [conversation(number % 20, T + (number * 100 + at * 20) * MS) for at in range(5)]
        ring.add(1 + number % 2, frames, drops=number == 50)
    ring.summarize()
    return ring


def cut(ring: Ring, text: str, window: tuple[int, int] = WHOLE) -> tuple[Result, pcapng_reader.File]:
    text, program = translated(text)
    output = ring.directory.parent / "out.pcapng"
    request = Request(ring.directory, *window, output, filter=text, program=program)
    result = extract(request, lambda *_: None, Courtesy(None))
    file = pcapng_reader.read(output.read_bytes())
    output.unlink()
    return result, file


def without_summaries(ring: Ring) -> None:
    for path in ring.directory.glob(f"*{SUFFIX}"):
        path.unlink()


def test_the_needle(ring: Ring) -> None:
    found, file = cut(ring, "ip == 10.0.0.9 && tcpPort == 443")
    assert found.packets == 25
    assert f"read of the ring: {words.size(found.read)} of {words.size(RECORDS * RECORD)}" in file.comment
    assert found.reached == RECORDS * RECORD
    assert found.read == (5 + 2 * EDGE) * RECORD
    without_summaries(ring)
    plain, same = cut(ring, "ip == 10.0.0.9 && tcpPort == 443")
    assert plain.read == RECORDS * RECORD
    assert file.packets == same.packets
    assert dataclasses.replace(plain, read=found.read) == found
    assert found.drops == 1  # told by a record that nobody had to read


def test_nothing_anywhere(ring: Ring) -> None:
    result, _ = cut(ring, "ip == 10.99.0.0/16")
    assert "None of the 500 packets" in result.notes[0]
    assert [port.rejected for port in result.ports] == [250, 250]
    assert result.read == 2 * EDGE * RECORD


def test_a_port_needs_no_summaries(ring: Ring) -> None:
    without_summaries(ring)
    result, _ = cut(ring, "interface == port2")
    assert result.packets == 250
    assert result.read == (RECORDS // 2 + EDGE) * RECORD


@pytest.mark.spec("T3")
@pytest.mark.parametrize("begin", [0, 1, 19, 21, 55, 499, 501])
def test_records_partly_in_the_window_are_counted_packet_by_packet(ring: Ring, begin: int) -> None:
    window = T + 1000 * MS + begin * MS, T + 8000 * MS - begin * MS
    found, _ = cut(ring, "ip == 10.0.0.9", window)
    within = [at for at in range(0, RECORDS * 100, 20) if window[0] <= T + at * MS <= window[1]]
    assert found.packets == sum(at // 100 % 20 == 9 for at in within)
    assert found.packets + sum(port.rejected for port in found.ports) == len(within)


def test_random_filters_find_the_same_with_and_without(tmp_path: Path) -> None:
    chance = random.Random(11)
    ring = Ring(tmp_path / "ring")
    ring.runs((RUN, 2**62), ports=random_packets.INTERFACES)
    at_ns = T
    for number in range(120):
        name = chance.choice(random_packets.INTERFACES)
        frames = []
        for _ in range(chance.choice((1, 2, 8))):
            at_ns += chance.choice((MS, 40 * MS))
            frames.append(Frame(at_ns, random_packets.frame(chance)))
        ring.add(number % 4, frames, name=name)
    ring.summarize()
    requests = [
        Request(ring.directory, T, at_ns, tmp_path / f"{number}.pcapng", program=program, filter="some")
        for number in range(40)
        if (program := compiled(random_packets.tree(chance), (), libpcap.compiled))
    ]

    def all_of() -> list[tuple[Result, bytes]]:
        """Each by itself, so that none is read for another one's sake."""
        found = []
        for request in requests:
            result = extract(request, lambda *_: None, Courtesy(None))
            packets = repr(pcapng_reader.read(request.output.read_bytes()).packets).encode()
            found.append((result, packets))
            request.output.unlink()
        return found

    with_summaries = all_of()
    without_summaries(ring)
    plain = all_of()
    assert [
        (dataclasses.replace(result, read=0, file_size=0), packets) for result, packets in with_summaries
    ] == [(dataclasses.replace(result, read=0, file_size=0), packets) for result, packets in plain]
    assert sum(result.read for result, _ in with_summaries) < sum(result.read for result, _ in plain)


@pytest.mark.spec("T4")
def test_of_several_files_each_record_is_read_that_one_of_them_may_want(ring: Ring, tmp_path: Path) -> None:
    def reads(*texts: str) -> dict[str, Result]:
        requests = [
            Request(
                ring.directory,
                *WHOLE,
                tmp_path / f"{number}",
                filter=text,
                program=translated(text)[1] if text else b"",
            )
            for number, text in enumerate(texts)
        ]
        answers: dict[str, Result] = {}

        def answer(number: int, told: Result | AllegroError) -> None:
            assert isinstance(told, Result)
            answers[texts[number]] = told
            requests[number].output.unlink()

        extract_all(requests, lambda *_: None, answer, Courtesy(None))
        return answers

    found = reads("ip == 10.0.0.9", "ip == 10.0.0.10")
    assert [one.packets for one in found.values()] == [25, 25]
    assert [sum(port.rejected for port in one.ports) for one in found.values()] == [475, 475]
    assert {one.read for one in found.values()} == {(10 + 2 * EDGE) * RECORD}
    found = reads("ip == 10.0.0.9", "")
    assert [one.packets for one in found.values()] == [25, 500]
    assert {one.read for one in found.values()} == {RECORDS * RECORD}


@pytest.mark.spec("T6")
def test_steps_of_the_clock_and_news_are_told_as_ever(tmp_path: Path) -> None:
    device = Device(Ring(tmp_path / "ring"), pause_ms=20)
    device.start(T)
    device.record(3)
    device.step(-2 * NS)
    device.record(3)
    device.ring.summarize()
    press = dataclasses.replace(
        device.press(6), filter="ip == 10.0.0.1", program=translated("ip == 10.0.0.1")[1]
    )
    found = extract(press, lambda *_: None, Courtesy(None))
    press.output.unlink()
    without_summaries(device.ring)
    plain = extract(press, lambda *_: None, Courtesy(None))
    assert found.notes == plain.notes
    assert any("clock" in note for note in found.notes)
    assert sum(port.rejected for port in found.ports) == sum(port.rejected for port in plain.ports) == 300
    assert found.read < plain.read / 2


def test_others_get_their_turn_however_much_is_passed_over(ring: Ring, tmp_path: Path) -> None:
    for number in range(RECORDS, 8 * RECORDS):
        ring.add(1, [conversation(1, T + number * 100 * MS)])
    ring.summarize()
    text, program = translated("ip == 10.0.0.99")
    window = T, T + 8 * RECORDS * 100 * MS
    request = Request(ring.directory, *window, tmp_path / "out", filter=text, program=program)
    told: list[float] = []
    extract(request, lambda fraction, *_: told.append(fraction), Courtesy(None))
    assert any(0.2 < fraction < 0.8 for fraction in told)
