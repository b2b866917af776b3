"""No space for captures: a low tone, a clear state, and the recorder goes on."""

import time

import pytest

from tests.conftest import StartLab
from tests.harness.device import ApiRefusedError
from tests.harness.frames import series
from tests.harness.sound import tones_in, wait_tones
from tests.harness.waiting import wait_for

# Leaves this much of the data partition; root may use what ext4 keeps in reserve, too.
_LEAVE = "fallocate -l $(( $(df --output=avail -B1 /data | tail -1) - %d )) /data/fill"
_FILL_WHOLLY = "dd if=/dev/zero of=/data/fill2 bs=64k; sync; true"
MIB = 1 << 20


@pytest.mark.spec("T7", "R1", "W3")
def test_full_storage_refuses_in_plain_words_and_recording_goes_on(start_lab: StartLab) -> None:
    lab = start_lab(sound=True)
    device = lab.device
    wait_for(lambda: lab.machine.run("ls /proc/asound/card0/usbid", check=False).returncode == 0, "sound", 30)
    device.plug_presenter()
    lab.ports[0].send_all(series(2000, size=1000))
    lab.machine.run(_LEAVE % (4 * MIB))
    recorded = device.get("/ring")["packets"]
    lab.machine.presenter.press("next")
    (job,) = device.wait_jobs(1)
    assert job["state"] == "refused"
    assert "space" in job["message"]
    problems = {problem["id"]: problem for problem in device.status()["problems"]}
    assert "storage-full" in problems
    assert problems["storage-full"]["remedy"]
    # To the last byte: not even the press can be written down.
    lab.machine.run(_FILL_WHOLLY, timeout=180)
    time.sleep(1)
    lab.machine.presenter.press("prev")
    with pytest.raises(ApiRefusedError) as caught:
        device.trigger(before_s=1)
    assert "space" in f"{caught.value.message} {caught.value.remedy}"
    # Recording is not touched by it.
    lab.ports[0].send_all(series(1000, number=1))
    device.wait_recorded(recorded + 1000)
    assert device.get("/ring")["write_errors"] == 0
    # With space again it works again.
    lab.machine.run("rm /data/fill /data/fill2")
    assert device.wait_job(device.trigger(before_s=60)["id"])["state"] == "complete"
    assert lab.machine.sound_file is not None
    wait_tones(lab.machine.sound_file, 6)
    time.sleep(3)  # and no more
    lab.machine.quit()
    tones = tones_in(lab.machine.sound_file)
    low = [tone for tone in tones if tone.frequency < 500 and tone.duration > 0.5]
    # Refused three times; at the end one was accepted and became complete.
    assert len(low) == 3, tones
    assert len(tones) == 6, tones
