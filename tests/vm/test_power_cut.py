"""Power cuts: what was accepted is finished after the next start, what was recorded is still there."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Lab
from tests.harness.captures import Capture
from tests.harness.frames import number_of
from tests.harness.sending import FrameStream
from tests.harness.waiting import wait_for

SECOND = 10**9
RATE = 100
"""Frames per second. At most the last second before a cut is lost, and a fifth for what is on its way."""


def frames_of(capture: Capture, series: int) -> list[int]:
    """Numbers of the frames of a series; fails if one is missing in between or there twice."""
    numbers = [number_of(packet.data) for packet in capture.packets]
    found = [number[1] for number in numbers if number and number[0] == series]
    assert found == list(range(len(found))), "frames are missing in between or twice"
    return found


def press(lab: Lab) -> dict[str, Any]:
    """Press the presenter's key; the accepted press."""
    last = lab.device.last_job()
    lab.machine.presenter.press("next")
    accepted: list[dict[str, Any]] = wait_for(
        lambda: [job for job in lab.device.jobs() if job["id"] > last], "the accepted press", 20, 0.02
    )
    return accepted[0]


def start_with_presenter(lab: Lab) -> None:
    """Power on with the presenter plugged in; it is recognised."""
    lab.machine.start()
    lab.machine.presenter.plug()
    lab.device.wait_ready()
    wait_for(lambda: lab.device.status()["presenters"], "the presenter", 30)


@pytest.mark.spec("T1", "T3", "R2")
def test_cuts_leave_captures_whole_finish_accepted_presses_and_the_ring_goes_on(
    lab: Lab, tmp_path: Path
) -> None:
    """Cuts while frames come in and captures are cut. Each start is asked for all that a cut may have spoilt.

    The first two cuts come right after a press: it is just accepted, or waits for the end of its window. The
    last one comes at any moment.
    """
    device = lab.device
    device.plug_presenter()
    whole: dict[str, bytes] = {}
    moments = random.Random(20261121)
    for series, after_s in enumerate((0, 3600, None)):
        device.set({"trigger": {"before_s": 600, "after_s": after_s or 0}})
        with FrameStream(lab.ports[0], series=series, rate=RATE, size=600) as stream:
            time.sleep(2)
            done = device.wait_job(device.trigger(before_s=10, after_s=0)["id"])
            whole[done["file"]] = lab.machine.pull(f"/data/storage/{done['file']}")
            under_way = device.trigger(before_s=10, after_s=0)  # or just done, when the power goes
            time.sleep(moments.uniform(0, 1.5))
            pressed = None if after_s is None else press(lab)
            lab.machine.cut_power()
            cut_ns = time.time_ns()
            stream_was_at = stream.abandon()
        start_with_presenter(lab)

        for name, content in whole.items():
            assert lab.machine.pull(f"/data/storage/{name}") == content
        device.fetch_checked(device.wait_job(under_way["id"], 180), tmp_path)
        if pressed and after_s:
            # The window reaches far beyond the cut: it is waited for, and can be ended early.
            assert device.get(f"/jobs/{pressed['id']}")["state"] == "waiting"
            device.post(f"/jobs/{pressed['id']}/cancel")
            job = device.wait_job(device.trigger(before_s=600, after_s=0)["id"], 180)
            capture = device.fetch_checked(job, tmp_path)
            assert len(frames_of(capture, series)) >= stream_was_at - 1.2 * RATE
            assert cut_ns - capture.packets[-1].time_ns < 1.5 * SECOND
        elif pressed:
            job = device.wait_job(pressed["id"], 180)
            capture = device.fetch_checked(job, tmp_path)
            assert frames_of(capture, series)
            assert capture.packets[-1].time_ns <= job["press_ns"]
            assert job["press_ns"] - capture.packets[-1].time_ns < 1.2 * SECOND
        left = lab.machine.run("ls -A /data/storage").stdout.split()
        assert not [name for name in left if "partial" in name]

    # The presenter that was there at power-on works.
    device.set({"trigger": {"before_s": 1}})
    job = device.wait_job(press(lab)["id"], 180)
    assert (job["state"], job["key"], job["source"]) == ("complete", "next", "presenter")
    assert device.problems() == []
