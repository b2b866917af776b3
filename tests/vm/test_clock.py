"""The clock is set, or has stopped: no window loses a packet by it, and no start goes back in time."""

import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import Lab
from tests.harness.captures import Capture, check
from tests.harness.frames import number_of, series, udp_frame
from tests.harness.sending import FrameStream
from tests.harness.waiting import PATIENCE

AFTER_S = 12


def set_clock(lab: Lab, by: timedelta) -> datetime:
    """Set the device's clock by hand, as the page does; returns what it says then."""
    wanted = datetime.fromisoformat(lab.device.get("/time")["time"]) + by
    lab.device.api("PUT", "/time", {"time": wanted.isoformat()})
    return wanted


def numbers(capture: Capture) -> list[tuple[int, int]]:
    return [found for packet in capture.packets if (found := number_of(packet.data))]


@pytest.mark.spec("R9", "T3", "T6")
@pytest.mark.parametrize(
    ("step", "words"), [(timedelta(hours=-1), "was set back by"), (timedelta(days=366), "was set forward by")]
)
def test_a_press_gets_its_seconds_whatever_the_clock_is_set_to(
    lab: Lab, tmp_path: Path, step: timedelta, words: str
) -> None:
    device = lab.device
    device.set({"trigger": {"before_s": 600, "after_s": AFTER_S}})
    device.plug_presenter()
    with FrameStream(lab.ports[0], series=1, rate=50) as stream:
        time.sleep(3)
        lab.machine.presenter.press("next")
        pressed = time.monotonic()
        set_clock(lab, step)
        time.sleep(max(0.0, pressed + AFTER_S / 2 - time.monotonic()))
        due = stream.sent  # a busy host may be seconds late in handing over frames, and the press
        time.sleep(3 * PATIENCE)
    (job,) = device.wait_jobs(1)
    assert job["state"] == "complete", job
    capture = check(device.fetch(job, tmp_path), clock_set_back=step < timedelta())
    found = numbers(capture)
    assert found == [(1, number) for number in range(len(found))], "lost, twice, or out of order"
    assert due <= len(found) < stream.sent
    assert words in capture.comment


@pytest.mark.spec("R9", "N5")
def test_a_clock_without_battery_goes_on_from_the_last_time_known(lab: Lab, tmp_path: Path) -> None:
    device, machine = lab.device, lab.machine
    lab.ports[0].send_all(series(200))
    device.wait_recorded(200)
    known = set_clock(lab, timedelta(days=3))
    machines_own = int(machine.run("cat /sys/class/rtc/rtc0/since_epoch").stdout)
    assert abs(machines_own - known.timestamp()) < 60 * PATIENCE
    time.sleep(3 * PATIENCE)  # until the ring has it, too
    machine.run("sync")
    machine.cut_power()

    machine.clock = "2000-01-01T00:00:00"
    machine.start()
    device.wait_ready()
    now = datetime.fromisoformat(device.get("/time")["time"])
    assert known <= now < known + timedelta(hours=1)
    later = [udp_frame(number, series=2) for number in range(100)]
    lab.ports[0].send_all(later)
    device.wait_recorded(100)
    # For how long it was off nobody knows: what was before has no place in a window of now.
    capture = device.capture(tmp_path, before_s=3600)
    assert numbers(capture) == [(2, number) for number in range(100)]
    assert "Once the clock is set, it can be captured by its time" in capture.comment
    set_clock(lab, timedelta(hours=1))
    found = device.capture(tmp_path, time=known.isoformat(), before_s=1800, after_s=600)
    assert numbers(found) == [(0, number) for number in range(200)]
