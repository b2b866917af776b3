"""The presenter: plugged in at any time, recognised, grabbed; one press is one capture.

That it is there at power-on is shown where machines are powered on: in test_power_cut.py.
"""

import time
from typing import Any

import pytest

from tests.conftest import Lab, Tell
from tests.harness.waiting import wait_for

# Tries to grab every input device of the receiver (EVIOCGRAB, linux/input.h); prints the outcome of each.
_GRAB = """
import fcntl, glob, os
for path in sorted(glob.glob("/sys/class/input/event*")):
    if open(path + "/device/id/product").read().strip() != "c52d":
        continue
    descriptor = os.open("/dev/input/" + os.path.basename(path), os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, 0x40044590, 1)
        print("free", open(path + "/device/name").read().strip())
    except OSError as error:
        print(error.strerror)
"""


@pytest.mark.spec("T1")
def test_recognised_however_often_it_is_plugged_in(lab: Lab, tell: Tell) -> None:
    """And its keys reach nothing else."""
    seconds: list[float] = []
    for again in (True, True, True, True, False):
        seconds.append(lab.device.plug_presenter())
        assert any("R400" in name for name in lab.device.status()["presenters"])
        if again:
            lab.machine.presenter.unplug()
            wait_for(lambda: lab.device.status()["presenters"] == [], "the end of the presenter", 10)
    # Told, not asserted: an emulated processor on a busy host takes any time.
    tell(f"the presenter is listened to {sorted(seconds)[2]:.1f} s after it is plugged in (median of 5)")
    outcomes = lab.machine.run(["python3", "-c", _GRAB]).stdout.splitlines()
    assert outcomes
    assert set(outcomes) == {"Device or resource busy"}


@pytest.mark.spec("T2")
def test_every_key_triggers_and_names_the_file(lab: Lab) -> None:
    lab.device.set({"trigger": {"debounce_ms": 0, "before_s": 1}})
    lab.device.plug_presenter()
    keys = ["next", "prev", "play", "stop", "black"]
    for key in keys:
        lab.machine.presenter.press(key)
        time.sleep(0.2)
    jobs = lab.device.wait_jobs(len(keys))
    assert [job["key"] for job in jobs] == ["next", "prev", "play", "play", "black"]
    assert [job["press_ns"] for job in jobs] == sorted(job["press_ns"] for job in jobs)
    names = [job["file"] for job in jobs]
    assert len(set(names)) == len(names)
    for job in jobs:
        assert f"_presenter_{job['key']}" in job["file"]


@pytest.mark.spec("T2", "T4")
def test_three_presses_in_a_second_without_debouncing_are_three_files(lab: Lab) -> None:
    lab.device.set({"trigger": {"debounce_ms": 0, "before_s": 5}})
    lab.device.plug_presenter()
    for _ in range(5):  # on a busy host they may come to the device further apart
        jobs = _three_presses(lab)
        assert [job["state"] for job in jobs] == ["complete"] * 3
        listed = lab.machine.run("ls /data/storage").stdout.split()
        assert {job["file"] for job in jobs} <= set(listed)
        assert len({job["file"] for job in jobs}) == 3
        if jobs[-1]["press_ns"] - jobs[0]["press_ns"] < 10**9:
            return
    pytest.fail("three presses never came within a second")


def _three_presses(lab: Lab) -> list[dict[str, Any]]:
    """Presses three times within a second by the host's clock; the captures."""
    before = lab.device.last_job()
    for _ in range(3):
        lab.machine.presenter.press("next", hold=0.05)
        time.sleep(0.2)
    return lab.device.wait_jobs(3, after=before)


@pytest.mark.spec("T2")
def test_contact_bounce_and_a_held_key_are_one_press(lab: Lab) -> None:
    presenter = lab.machine.presenter
    lab.device.plug_presenter()
    for _ in range(4):
        presenter.press("next", hold=0.01)
    time.sleep(3)
    assert len(lab.device.wait_jobs(1)) == 1
    for debounce_ms in (1000, 0):
        lab.device.set({"trigger": {"debounce_ms": debounce_ms}})
        before = lab.device.last_job()
        presenter.press("next", hold=4)
        time.sleep(2)
        assert len(lab.device.wait_jobs(1, after=before)) == 1


@pytest.mark.spec("T1", "T2")
def test_pulled_also_with_a_key_held_and_plugged_in_again_each_press_is_a_capture(lab: Lab) -> None:
    presenter = lab.machine.presenter
    lab.device.plug_presenter()
    presenter.press("next")
    wait_for(lab.device.jobs, "the first press", 20)
    presenter.unplug()
    time.sleep(2)
    lab.device.plug_presenter()
    presenter.press("prev")
    jobs = lab.device.wait_jobs(2)
    assert [(job["key"], job["state"]) for job in jobs] == [("next", "complete"), ("prev", "complete")]
    presenter.down("next")
    wait_for(lambda: len(lab.device.jobs()) > 2, "the press of the key that is held", 20)
    presenter.unplug()
    time.sleep(3)
    assert len(lab.device.wait_jobs(3)) == 3


@pytest.mark.spec("T8")
def test_an_unknown_presenter_is_learnt_by_a_key_and_triggers_from_then_on(lab: Lab) -> None:
    lab.device.set({"trigger": {"presenters": []}})
    lab.machine.presenter.plug()
    wait_for(lambda: lab.device.get("/presenters")["devices"], "the unknown device", 20)
    lab.device.post("/presenters/learn", {"seconds": 120})

    def heard() -> Any:
        lab.machine.presenter.press("next")
        return lab.device.get("/presenters")["heard"]

    found = wait_for(heard, "a key of the unknown device", 60)
    assert (found["vendor"], found["product"], found["key"]) == ("046d", "c52d", "next")
    assert lab.device.jobs() == []
    learnt = {name: found[name] for name in ("vendor", "product", "name")}
    lab.device.set({"trigger": {"presenters": [learnt]}})
    wait_for(lambda: lab.device.status()["presenters"], "the learnt presenter", 20)
    lab.machine.presenter.press("next")
    assert lab.device.wait_jobs(1)[0]["device"] == found["name"]
    assert lab.device.get("/presenters")["last_press"]["presenter"] == found["name"]
