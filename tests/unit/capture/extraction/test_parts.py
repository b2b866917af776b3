"""Of large records no more than parts are read, and what comes of it is what comes of reading all."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring import record_summaries
from allegro.capture.ring.reader import RingReader
from allegro.capture.ring.record_summaries import SUFFIX, RecordSummaries
from allegro.filters import libpcap
from allegro.filters.program import compiled
from allegro.filters.translate import translated
from tests.harness import random_packets
from tests.harness.layers import ethernet, ipv4, tcp
from tests.unit.capture import pcapng_reader
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.rings import RUN, Ring
from tests.unit.filters.test_program import as_received

pytestmark = pytest.mark.spec("R13")

T = RUN + 1000 * NS
MS = 1_000_000
PAGE = 4096
PACKETS = 500
"""Of a record, which they make 450,000 bytes long."""

RECORDS = 6
SPAN = PACKETS * 2 * MS
WHOLE = T - NS, T + RECORDS * SPAN + NS
NEEDLE = "10.9.9.9"


def conversation(address: str, at_ns: int) -> Frame:
    return Frame(at_ns, ethernet(0x0800, ipv4(6, tcp(40_000, 443, bytes(760)), source=address)))


def needles(number: int) -> Sequence[int]:
    """Where in a record there is one."""
    return (70 * number + 13,) if number < RECORDS - 1 else ()


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    """Large records of one port after the other; in each but the last one a packet that is rare."""
    ring = Ring(tmp_path / "ring")
    ring.runs((RUN, 2**62), ports=("port1",))
    for number in range(RECORDS):
        at_ns = T + number * SPAN
        frames = [
            conversation(NEEDLE if at in needles(number) else f"10.0.0.{at % 40}", at_ns + 2 * MS * at)
            for at in range(PACKETS)
        ]
        ring.add(1, frames)
    ring.summarize()
    return ring


def cut(ring: Ring, text: str, window: tuple[int, int] = WHOLE) -> tuple[Result, pcapng_reader.File]:
    text, program = translated(text)
    request = Request(
        ring.directory, *window, ring.directory.parent / "out.pcapng", filter=text, program=program
    )
    return _cut(request)


def _cut(request: Request) -> tuple[Result, pcapng_reader.File]:
    result = extract(request, lambda *_: None, Courtesy(None))
    file = pcapng_reader.read(request.output.read_bytes())
    request.output.unlink()
    return result, file


def without_summaries(ring: Ring) -> None:
    for path in ring.directory.glob(f"*{SUFFIX}"):
        path.unlink()


def alike(found: tuple[Result, pcapng_reader.File], plain: tuple[Result, pcapng_reader.File]) -> bool:
    results = [dataclasses.replace(result, read=0, file_size=0) for result, _ in (found, plain)]
    return results[0] == results[1] and found[1].packets == plain[1].packets


def test_a_packet_in_each_record_needs_a_part_of_each(ring: Ring) -> None:
    found = cut(ring, f"ip == {NEEDLE}")
    assert found[0].packets == RECORDS - 1
    assert found[0].ports[0].rejected == RECORDS * (PACKETS - 1) + 1
    most = PAGE + (1 << 15) + 2 * PAGE  # the head of a record, and one of its parts
    assert found[0].read <= (RECORDS - 1) * most < found[0].reached / 8
    assert record_summaries.size_on_disk(ring.places[0][0]) <= 0.004 * (1 << 20) * 2
    without_summaries(ring)
    assert alike(found, cut(ring, f"ip == {NEEDLE}"))


@pytest.mark.spec("T3")
@pytest.mark.parametrize("begin", [0, 14, 26, 27, 400, 990, 1013])
def test_a_window_that_begins_or_ends_within_a_record(ring: Ring, begin: int) -> None:
    window = T + begin * MS, T + RECORDS * SPAN - 2 * begin * MS
    found = cut(ring, f"ip == {NEEDLE}", window)
    without_summaries(ring)
    assert alike(found, cut(ring, f"ip == {NEEDLE}", window))


def test_a_filter_of_two_values_needs_the_parts_with_both(ring: Ring) -> None:
    frames = [
        conversation("10.8.0.1" if at < 250 else "10.8.0.2", T + RECORDS * SPAN + 2 * MS * at)
        for at in range(PACKETS)
    ]
    rare = Frame(frames[400].time_ns, frames[0].data)
    ring.add(1, [*frames[:400], rare, *frames[401:]])
    ring.summarize()
    found = cut(ring, "ip == 10.8.0.1 && ip == 10.8.0.2", (WHOLE[0], WHOLE[1] + SPAN))
    assert found[0].packets == 0
    assert (
        0 < found[0].read <= PAGE + 2 * ((1 << 15) + 2 * PAGE)
    )  # there, and where the one follows the other


def some_traffic(chance: random.Random, begin_ns: int) -> Iterator[Frame]:
    """What comes in bursts: for a while few kinds of packets, then others."""
    at_ns = begin_ns
    for _ in range(chance.choice((1, 8, 20))):
        kinds = [random_packets.frame(chance) for _ in range(3)]
        for _ in range(chance.choice((1, 30, 60))):
            at_ns += chance.choice((MS // 10, MS))
            whole = chance.choice(kinds) + bytes(chance.choice((0, 500, 900)))
            yield dataclasses.replace(as_received(0, whole, chance), time_ns=at_ns)


def test_random_filters_over_random_traffic_find_the_same_with_and_without(tmp_path: Path) -> None:
    chance = random.Random(14)
    ring = Ring(tmp_path / "ring")
    ring.runs((RUN, 2**62), ports=random_packets.INTERFACES)
    ends = [T]
    for number in range(10):
        name = chance.choice(random_packets.INTERFACES)
        frames = list(some_traffic(chance, ends[-1]))
        if chance.random() < 0.3:  # as two processors may put them there
            frames[1:3] = frames[2:0:-1]
        ring.add(number % 4, frames, name=name)
        ends.append(frames[-1].time_ns)
    ring.summarize()
    requests: list[Request] = []
    while len(requests) < 24:
        program = compiled(random_packets.tree(chance), (), libpcap.compiled)
        window = (T - NS, ends[-1] + NS) if chance.random() < 0.5 else sorted(chance.choices(ends, k=2))
        start_ns, end_ns = (one + chance.choice((0, 50 * MS, -MS)) for one in window)
        if program and start_ns < end_ns:
            output = tmp_path / f"{len(requests)}.pcapng"
            requests.append(Request(ring.directory, start_ns, end_ns, output, program=program, filter="some"))
    found = [_cut(request) for request in requests]
    without_summaries(ring)
    plain = [_cut(request) for request in requests]
    assert all(alike(*pair) for pair in zip(found, plain, strict=True))
    assert sum(result.read for result, _ in found) < sum(result.read for result, _ in plain)


def replaced(ring: Ring, number: int, first: int, old: int) -> None:
    """A page of a record holds what lay there before: of a record of the same lengths, but another time."""
    (path, start), (older, from_there) = ring.places[number], ring.places[old]
    with older.open("rb") as file:
        file.seek(from_there + first)
        page = file.read(PAGE)
    with path.open("r+b") as file:
        file.seek(start + first)
        file.write(page)


def page_of_needle(number: int) -> int:
    length = 82 + 14 + 20 + 20 + 760
    at = 256 + needles(number)[0] * ((length + 7) & -8)
    return at & -PAGE


@pytest.mark.spec("R2")
@pytest.mark.parametrize("where", ["head", "part"])
def test_damage_in_what_is_read_is_noticed(ring: Ring, where: str) -> None:
    replaced(ring, 2, 0 if where == "head" else page_of_needle(2), 0)
    found = cut(ring, f"ip == {NEEDLE}")
    assert found[0].packets == RECORDS - 2
    assert any("damaged" in note for note in found[0].notes)
    without_summaries(ring)
    assert alike(found, cut(ring, f"ip == {NEEDLE}"))


def test_damage_elsewhere_costs_nothing(ring: Ring) -> None:
    """Like that of a record which nobody had to read."""
    replaced(ring, 2, page_of_needle(2) + 20 * PAGE, 0)
    found = cut(ring, f"ip == {NEEDLE}")
    assert found[0].packets == RECORDS - 1
    assert not any("damaged" in note for note in found[0].notes)


@pytest.mark.spec("R2")
def test_the_end_of_a_record_is_looked_at_with_its_last_packets(ring: Ring) -> None:
    last = [conversation(NEEDLE if at == PACKETS - 1 else "10.0.0.1", 2 * MS * at) for at in range(PACKETS)]
    ring.add(1, [dataclasses.replace(one, time_ns=one.time_ns + WHOLE[1] - NS) for one in last])
    ring.summarize()
    ring.finish()
    window = WHOLE[0], WHOLE[1] + 2 * SPAN
    assert cut(ring, f"ip == {NEEDLE}", window)[0].packets == RECORDS
    with RingReader(ring.directory) as reader:
        length = list(reader.iterate(0, 2**62))[-1].length
    ring.damage(RECORDS, length - 16, bytes(16))
    found = cut(ring, f"ip == {NEEDLE}", window)
    assert found[0].packets == RECORDS - 1
    assert any("damaged" in note for note in found[0].notes)


@pytest.mark.spec("R2")
def test_damaged_summaries_lose_no_packet(ring: Ring) -> None:
    plain = cut(ring, "")[1].packets
    wanted = [one for one in plain if bytes.fromhex("0a090909") in one.data]
    (path,) = [one for one in ring.directory.glob(f"*{SUFFIX}") if one.stat().st_size][:1]
    whole, chance = path.read_bytes(), random.Random(2)
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 4, 200))):
            damaged[chance.randrange(len(damaged))] = chance.getrandbits(8)
        path.write_bytes(damaged[: chance.choice((len(whole), chance.randrange(len(whole))))])
        assert cut(ring, f"ip == {NEEDLE}")[1].packets == wanted


@pytest.mark.spec("R2")
def test_parts_that_are_none_of_the_record_are_read_whole(ring: Ring) -> None:
    """Whatever the summary says of where its parts are: what is there tells."""
    wanted = cut(ring, f"ip == {NEEDLE}")[0].packets
    with RingReader(ring.directory) as reader:
        records = list(reader.iterate(0, 2**62))
    summaries, chance = RecordSummaries(), random.Random(3)
    known = [(record, summaries.of(record)) for record in records]
    path = record_summaries.summary_path(ring.places[0][0])
    for _ in range(30):
        entries = []
        for record, summary in known:
            changed, place = bytearray(summary), chance.randrange(8, 8 + 4 * 20)
            changed[place] ^= 1 << chance.randrange(8)
            if record.segment.path == ring.places[0][0]:
                entries.append(record_summaries.pack(record, bytes(changed)))
        path.write_bytes(b"".join(entries))
        assert cut(ring, f"ip == {NEEDLE}")[0].packets == wanted
