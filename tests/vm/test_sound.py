"""The tones on a USB sound device: one short = accepted, two = file complete.

That nothing complains of a missing one is shown in test_capture_window.py.
"""

import time

import pytest

from tests.conftest import StartLab
from tests.harness.sound import tones_in, wait_tones
from tests.harness.waiting import wait_for


@pytest.mark.spec("T7")
def test_one_short_tone_then_two(start_lab: StartLab) -> None:
    lab = start_lab(sound=True)
    wait_for(lambda: lab.machine.run("ls /proc/asound/card0/usbid", check=False).returncode == 0, "sound", 30)
    lab.device.set({"trigger": {"after_s": 3}})
    lab.device.plug_presenter()
    lab.machine.presenter.press("next")
    lab.device.wait_jobs(1)
    assert lab.machine.sound_file is not None
    wait_tones(lab.machine.sound_file, 3)
    time.sleep(3)  # and no more
    lab.machine.quit()
    tones = tones_in(lab.machine.sound_file)
    assert len(tones) == 3, tones
    for tone in tones:
        assert 0.1 < tone.duration < 0.3, tones
        assert 600 < tone.frequency < 1500, tones
    assert 0.05 < tones[2].start - tones[1].start - tones[1].duration < 0.4, tones


@pytest.mark.spec("T7")
def test_tones_can_be_switched_off(start_lab: StartLab) -> None:
    lab = start_lab(sound=True)
    wait_for(lambda: lab.machine.run("ls /proc/asound/card0/usbid", check=False).returncode == 0, "sound", 30)
    lab.device.set({"trigger": {"beep": False}})
    assert lab.device.wait_job(lab.device.trigger(before_s=1)["id"])["state"] == "complete"
    time.sleep(2)
    lab.machine.quit()
    assert lab.machine.sound_file is not None
    assert tones_in(lab.machine.sound_file) == []
