"""Power cuts: what was accepted is finished after the next start, what was recorded is still there."""

import random
import time
from pathlib import Path

import pytest

from tests.conftest import Lab
from tests.harness.frames import number_of
from tests.harness.sending import FrameStream
from tests.harness.waiting import wait_for

SECOND = 10**9


@pytest.mark.spec("T3", "R2")
@pytest.mark.parametrize("after_s", [0, 3600], ids=["just accepted", "still waiting for the window's end"])
def test_press_then_power_cut_then_boot_makes_the_file(lab: Lab, tmp_path: Path, after_s: int) -> None:
    device = lab.device
    device.set({"trigger": {"before_s": 60, "after_s": after_s}})
    device.plug_presenter()
    with FrameStream(lab.ports[0], series=1) as stream:
        time.sleep(4)
        lab.machine.presenter.press("next")
        job = wait_for(device.jobs, "the accepted press", 10, 0.02)[0]
        lab.machine.cut_power()
        cut_ns = time.time_ns()
        stream_was_at = stream.abandon()
    lab.machine.start()
    device.wait_ready()
    if after_s:
        # The window reaches far beyond the cut: it is waited for, and can be ended early.
        assert device.get(f"/jobs/{job['id']}")["state"] == "waiting"
        device.post(f"/jobs/{job['id']}/cancel")
        job = device.wait_job(device.trigger(before_s=600, after_s=0)["id"], 180)
    else:
        job = device.wait_job(job["id"], 180)
    capture = device.fetch_checked(job, tmp_path)
    found = [number for number in (number_of(packet.data) for packet in capture.packets) if number]
    assert found == [(1, number) for number in range(len(found))], "frames are missing in between or twice"
    # At most the last second before the cut is lost: 50 frames per second were sent.
    if after_s:
        assert len(found) >= stream_was_at - 60
        assert cut_ns - capture.packets[-1].time_ns < 1.5 * SECOND
    else:
        assert capture.packets[-1].time_ns <= job["press_ns"]
        assert job["press_ns"] - capture.packets[-1].time_ns < 1.2 * SECOND
    assert not [name for name in lab.machine.run("ls -A /data/storage").stdout.split() if "partial" in name]


@pytest.mark.spec("R2", "T3")
def test_cuts_at_random_moments_leave_captures_whole_and_the_ring_going_on(lab: Lab, tmp_path: Path) -> None:
    """Cuts while frames come in and captures are cut; each start must find files whole and record again."""
    device = lab.device
    whole: dict[str, bytes] = {}
    moments = random.Random(20261121)
    for round_number in range(3):
        with FrameStream(lab.ports[0], series=round_number, rate=400, size=600) as stream:
            time.sleep(2)
            job = device.wait_job(device.trigger(before_s=10)["id"])
            whole[job["file"]] = lab.machine.pull(f"/data/storage/{job['file']}")
            device.trigger(before_s=10)  # is being cut, or just done, when the power goes
            time.sleep(moments.uniform(0, 1.5))
            lab.machine.cut_power()
            stream.abandon()
        lab.machine.start()
        device.wait_ready()
        for name, content in whole.items():
            assert lab.machine.pull(f"/data/storage/{name}") == content
        for left in device.wait_jobs(1, after=job["id"]):
            device.fetch_checked(left, tmp_path)
    assert device.status()["problems"] == []
