"""Windows are measured by the clock that nobody sets; all times of the wall clock may be anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring.news import PortOpened, RulesHeld
from allegro.capture.ring.record import Times
from allegro.capture.ring.segments import Run
from allegro.system import boottime
from allegro.words import exact_moment
from tests.unit.capture import pcapng_reader
from tests.unit.capture.blocks import NS
from tests.unit.capture.devices import MS, Device
from tests.unit.capture.rings import RUN, Ring

EPOCH = RUN - 200 * 86400 * NS
"""Where a clock without battery begins."""


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(Ring(tmp_path / "ring"))


def cut(request: Request) -> tuple[list[int], Result]:
    result = extract(request, lambda *_: None, Courtesy(None))
    packets = pcapng_reader.read(request.output.read_bytes()).packets
    request.output.unlink()
    return [int.from_bytes(packet.data[14:22]) for packet in packets], result


HOUR = 3600 * NS


@pytest.mark.spec("R9")
@pytest.mark.parametrize(
    "step_ns",
    [400 * MS, 500 * MS, NS, 2 * NS, 4900 * MS, 6 * NS, 20 * NS, HOUR, 86400 * NS, 365 * 86400 * NS],
)
@pytest.mark.parametrize("direction", [1, -1])
def test_a_step_loses_nothing_and_mixes_nothing(device: Device, step_ns: int, direction: int) -> None:
    device.start(RUN)
    device.record(50)
    device.step(direction * step_ns)
    device.record(20)
    numbers, result = cut(device.press(60))
    assert numbers == list(range(1000, 7000))
    assert len(result.notes) == 1
    word = "forward" if direction > 0 else "back"
    assert f"clock was set {word} by" in result.notes[0]


@pytest.mark.spec("R9")
@pytest.mark.parametrize("step_ns", [-HOUR, -2 * NS, 2 * NS, HOUR])
def test_a_step_after_the_press_moves_no_window(device: Device, step_ns: int) -> None:
    device.start(RUN)
    device.record(70)
    request = device.press(60, after_s=10)
    device.record(4)
    device.step(step_ns)
    device.record(20)
    numbers, result = cut(request)
    assert numbers == list(range(1000, 8001))
    assert len(result.notes) == 1


@pytest.mark.spec("R9")
@pytest.mark.parametrize("step_ns", [-HOUR, -2 * NS, -600 * MS, 600 * MS, 2 * NS, HOUR])
def test_a_step_within_a_record(device: Device, step_ns: int) -> None:
    device.start(RUN)
    device.record(5)
    first, offset = device.boot_ns, device.wall_ns - device.boot_ns
    frames = []
    for number in range(10):
        if number == 4:
            device.step(step_ns, told=False)
        frames.append(device.frame())
    times = Times(device.boot_id, first, first + 90 * MS, offset, step_ns)
    device.ring.add(1, frames, times=times)
    device.record(5)
    numbers, _ = cut(device.press(60))
    # The slack of a torn page is less than such a step: the recorder lets no block last so long.
    assert numbers == list(range(1010))


@pytest.mark.spec("R9")
def test_many_steps_are_told_and_change_no_order(device: Device) -> None:
    device.start(EPOCH)
    for size_ns in (5 * 365 * 86400 * NS, -2 * NS, 700 * MS, -HOUR):
        device.record(10)
        device.step(size_ns)
    device.record(10)
    numbers, result = cut(device.press(45))
    assert numbers == list(range(500, 5000))
    assert sum("clock was set" in note for note in result.notes) == 4


@pytest.mark.spec("R9")
def test_of_two_power_ons_without_battery_only_the_last_is_in_the_minute(device: Device) -> None:
    device.start(EPOCH)
    device.record(90)
    device.start(EPOCH)
    device.record(80)
    numbers, result = cut(device.press(60))
    assert numbers == list(range(9000 + 2000, 9000 + 8000))
    assert result.notes == []


@pytest.mark.spec("R9")
def test_by_its_time_the_first_is_found_as_soon_as_the_clock_is_set(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ring does not say yet that it was."""
    device.start(RUN)
    device.record(90)
    device.start(RUN + 80 * NS)  # from the last time that was kept
    device.record(20)
    device.step(HOUR, told=False)
    monkeypatch.setattr(boottime, "boot_id", device.boot_id.hex)
    monkeypatch.setattr(boottime, "read_clocks", lambda: boottime.Reading(device.boot_ns, device.wall_ns))
    dates = Request(device.ring.directory, RUN, RUN + 600 * NS, device.ring.directory.parent / "out.pcapng")
    numbers, result = cut(dates)
    assert numbers == list(range(9000))
    assert not any("What was recorded before" in note for note in result.notes), result.notes


@pytest.mark.spec("R9", "T3")
@pytest.mark.parametrize("late_ns", [-900_000, 900_000])
def test_between_two_dates_is_what_was_stamped_between_them_however_the_clocks_are_read(
    device: Device, monkeypatch: pytest.MonkeyPatch, late_ns: int
) -> None:
    """A busy machine reads one clock a little later than the other."""
    device.start(RUN)
    device.record(20)
    monkeypatch.setattr(boottime, "boot_id", device.boot_id.hex)
    now = boottime.Reading(device.boot_ns, device.wall_ns + late_ns)
    monkeypatch.setattr(boottime, "read_clocks", lambda: now)
    output = device.ring.directory.parent / "out.pcapng"
    extract(Request(device.ring.directory, RUN, RUN + 600 * NS, output), lambda *_: None, Courtesy(None))
    whole = pcapng_reader.read(output.read_bytes()).packets
    output.unlink()
    window = whole[500].time_ns, whole[700].time_ns
    numbers, _ = cut(Request(device.ring.directory, *window, output))
    assert numbers == [int.from_bytes(packet.data[14:22]) for packet in whole[500:701]]


@pytest.mark.spec("R9")
def test_a_press_before_the_recorder_has_run_in_this_start_gets_what_was_recorded_before_it(
    device: Device,
) -> None:
    device.start(RUN)
    device.record(90)
    device.start(RUN + 100 * NS)
    numbers, result = cut(device.press(60))
    assert numbers == list(range(4000, 9000))
    assert any("not running" in note for note in result.notes), result.notes


@pytest.mark.spec("R9")
def test_what_came_before_a_start_whose_distance_is_not_known_is_left_out_and_told(device: Device) -> None:
    device.start(EPOCH)
    device.record(90)
    device.start(EPOCH)
    device.record(20)
    numbers, result = cut(device.press(60))
    assert numbers == list(range(9000, 11000))
    assert any("how long ago that was is not known" in note for note in result.notes)


@pytest.mark.spec("R9")
def test_an_earlier_power_on_comes_in_where_the_window_really_reaches_it(device: Device) -> None:
    device.start(RUN)
    device.record(90)
    device.start(RUN + 100 * NS)
    device.record(20)
    numbers, result = cut(device.press(60))
    assert numbers == list(range(9000 - 3000, 11000))
    assert result.notes == [
        "The recorder was not running from 2025-11-21 21:54:50.000 UTC to 2025-11-21 21:55:00.000 UTC (10 s),"
        " or had not written yet what came in."
    ]


@pytest.mark.spec("R9")
def test_it_is_placed_by_the_clock_of_its_end(device: Device) -> None:
    """Without battery, but with a time server: the clock is set some seconds after each start."""
    device.start(EPOCH)
    device.record(10)
    device.step(RUN - EPOCH)
    device.record(30)
    device.start(EPOCH)
    device.record(10)
    device.step(RUN - EPOCH + 45 * NS)  # five seconds after the end of the first
    device.record(5)
    numbers, _ = cut(device.press(30))
    assert numbers == list(range(4000 - 1000, 5500))


@pytest.mark.spec("R9", "T3")
def test_a_press_of_an_earlier_start_is_finished_after_the_restart(device: Device) -> None:
    device.start(EPOCH)
    device.record(70)
    request = device.press(60)
    device.start(RUN)
    device.record(10)
    numbers, result = cut(request)
    assert numbers == list(range(1000, 7000))
    assert result.notes == []


@pytest.mark.spec("R9")
def test_a_window_of_dates_is_placed_by_the_clock_of_the_end(device: Device) -> None:
    device.start(RUN)
    device.record(30)
    device.step(2 * NS)
    device.record(30)
    request = Request(device.ring.directory, RUN, RUN + 100 * NS, device.ring.directory.parent / "out.pcapng")
    numbers, _ = cut(request)
    assert numbers == list(range(6000))


@pytest.mark.spec("R2", "R9")
def test_without_the_list_of_runs_stamps_must_do(device: Device) -> None:
    device.start(RUN)
    device.record(70)
    request = device.press(60)
    (device.ring.directory / "runs.json").unlink()
    assert cut(request)[0] == list(range(1000, 7000))
    by_date = Request(request.ring_directory, request.start_ns, request.end_ns, request.output)
    assert cut(by_date)[0] == list(range(1000, 7000))


@pytest.mark.spec("R10", "T6")
def test_while_version_0_1_0_was_recording_no_rules_held(device: Device) -> None:
    device.start(RUN)
    told = RulesHeld(device.boot_ns, device.wall_ns, "1. a: discard vlan == 7", "port1, port2")
    device.tell(told)
    device.record(10)
    for _ in range(10):  # rolled back
        device.ring.add(1, [device.frame() for _ in range(100)])
    own = Run(device.ring.run + 1, RUN + 10 * NS, device.wall_ns)
    device.runs[:] = [Run(*run[:4]) for run in (*device.runs, own)]  # as it writes all of them
    device.start(device.wall_ns)  # and on again
    device.tell(
        PortOpened(device.boot_ns, device.wall_ns, "port1"),
        replace(told, boot_ns=device.boot_ns, wall_ns=device.wall_ns, ports="port1"),
    )
    device.record(10)
    _, result = cut(device.press(40))
    assert [note for note in result.notes if " port1 " in note or "port1:" in note] == [
        "Rules for what is kept of packets of port1: 1. a: discard vlan == 7.",
        f"From {exact_moment(RUN + 10 * NS)} on, packets of port1 were kept whole.",
        f"From {exact_moment(RUN + 20 * NS)} on, the rules for port1 were: 1. a: discard vlan == 7.",
    ]
