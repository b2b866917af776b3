"""Traffic over time, of rings as the recorder leaves them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allegro.capture.extraction import traffic as traffics
from allegro.capture.extraction.timeline import present
from allegro.capture.extraction.traffic import Span, Step, Traffic, spread, traffic
from allegro.capture.ring.reader import RingReader
from allegro.errors import Unavailable
from allegro.system.boottime import Reading
from tests.unit.capture.blocks import NS
from tests.unit.capture.devices import Device
from tests.unit.capture.rings import RUN, Ring

BEGIN = RUN


@pytest.fixture
def device(tmp_path: Path) -> Device:
    device = Device(Ring(tmp_path / "ring"))
    device.start(BEGIN - NS)
    device.pass_time(NS)
    return device


def looked(
    device: Device, start_ns: int | None = None, end_ns: int | None = None, steps: int = 10
) -> Traffic:
    """The traffic as the device tells it now."""
    with RingReader(device.ring.directory) as reader:
        now = Reading(device.boot_ns, device.wall_ns)
        line = present(reader.runs(), device.boot_id.hex(), now)
        return traffic(reader, line, start_ns, end_ns, steps)


@pytest.mark.spec("W4")
def test_a_window_shows_what_each_port_received_and_lost(device: Device) -> None:
    device.record(20)
    device.miss(2, "drops")
    device.record(20)
    found = looked(device, BEGIN, BEGIN + 42 * NS, steps=21)
    assert found.oldest_ns == BEGIN
    assert set(found.packets) == set(found.lost) == {"port1", "port2"}
    assert sum(map(sum, found.packets.values())) == pytest.approx(4000, abs=0.1)
    together = [sum(counts) for counts in zip(*found.packets.values(), strict=True)]
    assert together[:10] == pytest.approx([200] * 10, rel=0.06)
    assert together[10] == pytest.approx(0, abs=11)
    lost = [sum(counts) for counts in zip(*found.lost.values(), strict=True)]
    assert sum(lost) == pytest.approx(200, abs=0.1)
    assert sum(lost[10:12]) == pytest.approx(200, abs=0.1)


@pytest.mark.spec("W4", "N7")
def test_steps_of_the_clock_are_told_where_they_were(device: Device) -> None:
    device.record(5)
    device.step(-3600 * NS)
    device.record(5)
    device.step(90 * NS)
    device.record(5)
    now_ns = device.wall_ns
    assert looked(device).steps == [Step(now_ns - 10 * NS, -3600 * NS), Step(now_ns - 5 * NS, 90 * NS)]
    assert looked(device, now_ns - 7 * NS, now_ns).steps == [Step(now_ns - 5 * NS, 90 * NS)]


@pytest.mark.spec("W4")
def test_of_much_only_the_summaries_are_read(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    device.record(40)
    exact = looked(device)
    monkeypatch.setattr(traffics, "MOST_RECORDS", 10)
    monkeypatch.setattr(RingReader, "records_of", lambda *_: pytest.fail("read"))
    found = looked(device)
    assert set(found.packets) == {""}
    assert found.lost == {}
    assert sum(found.packets[""]) == pytest.approx(sum(map(sum, exact.packets.values())), abs=0.1)
    assert found.packets[""] == pytest.approx([400] * 10, rel=0.25)
    assert found.window == exact.window


@pytest.mark.spec("W4", "R9")
def test_it_is_shown_where_a_window_of_these_dates_would_find_it(device: Device) -> None:
    """The clock was set: what came before has its place by the clock of now."""
    device.record(10)
    device.step(3600 * NS)
    device.record(10)
    found = looked(device)
    assert found.oldest_ns == BEGIN + 3600 * NS
    assert found.newest_ns - found.oldest_ns <= 20 * NS
    assert all(count > 0 for count in map(sum, zip(*found.packets.values(), strict=True)))


@pytest.mark.spec("W4", "R5")
def test_times_without_a_recorder_are_told(device: Device) -> None:
    device.record(10)
    stopped_ns = device.wall_ns
    device.pass_time(5 * NS)
    device.begin_run()
    device.record(10)
    found = looked(device)
    (away,) = found.away
    assert away == pytest.approx((stopped_ns, stopped_ns + 5 * NS), abs=1)
    assert looked(device, BEGIN, BEGIN + 5 * NS).away == []


@pytest.mark.spec("W4")
def test_an_empty_ring_shows_nothing(tmp_path: Path) -> None:
    found = traffics.of_ring(tmp_path / "none", None, None, 5)
    assert (found.packets, found.oldest_ns, found.newest_ns) == ({}, 0, 0)
    (tmp_path / "ring.index").mkdir()
    with pytest.raises(Unavailable):
        traffics.of_ring(Path("/proc/1/mem/none"), None, None, 5)


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 300), st.integers(0, 50)), max_size=30),
    st.integers(1, 40),
)
def test_nothing_is_lost_by_spreading(found: list[tuple[int, int, int]], steps: int) -> None:
    pieces = [(first, first + length, count) for first, length, count in found]
    counts = spread(pieces, Span(0, 1300), steps)
    assert len(counts) == steps
    assert sum(counts) == pytest.approx(sum(count for *_, count in pieces), abs=1e-6)
    assert all(count >= -1e-9 for count in counts)


def test_of_a_piece_that_reaches_out_of_the_window_only_its_part_counts() -> None:
    assert spread([(0, 100, 100)], Span(50, 150), 2) == pytest.approx([50, 0])
    assert spread([(0, 100, 100)], Span(25, 75), 2) == pytest.approx([25, 25])
    assert spread([(0, 10, 100), (200, 210, 100)], Span(20, 100), 2) == [0, 0]
    assert spread([(60, 60, 7)], Span(20, 60), 4) == [0, 0, 0, 7]


def test_a_packet_at_the_very_end_of_a_window_counts_in_its_last_step() -> None:
    """300 steps of this length are a little more than 300 in a processor's numbers."""
    length = 316_775_882_037_941
    assert length * (300 / length) > 300
    counts = spread([(length, length, 7), (length - 1, length, 2)], Span(0, length), 300)
    assert counts[:299] == [0] * 299
    assert counts[299] == pytest.approx(9)
