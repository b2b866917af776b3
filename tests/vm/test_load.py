"""Extraction yields to recording: it adds no loss at the highest rate that the bench reaches."""

import time
from pathlib import Path

import pytest

from tests.conftest import Lab
from tests.harness.frames import number_of, series
from tests.harness.waiting import PATIENCE

_SECONDS = 15  # of load; extraction may rest while the recorder is busy, so it need not be done by then
_LONGEST = _SECONDS + 60 * PATIENCE  # on a busy host it may begin later


@pytest.mark.spec("R5", "R7")
def test_extraction_while_recording_at_full_rate_loses_nothing(lab: Lab, tmp_path: Path) -> None:
    device, left = lab.device, lab.ports[0]
    first = list(series(20_000, size=512))
    left.send_all(first)
    device.wait_recorded(len(first))
    before = device.get("/ring")

    jobs = [device.trigger(before_s=600)["id"] for _ in range(2)]
    sent = 0
    progress = 0.0
    began = time.monotonic()
    # As fast as the emulated network card takes it, and until an extraction was under way meanwhile.
    while (elapsed := time.monotonic() - began) < _SECONDS or (not progress and elapsed < _LONGEST):
        sent += left.send_all(series(2000, size=512, number=1 + sent // 2000))
        progress = max(progress, *(device.get(f"/jobs/{job}")["progress"] for job in jobs))
    assert progress > 0, "no extraction was under way while frames came in"
    device.wait_recorded(before["packets"] + sent)
    after = device.get("/ring")
    assert after["drops"] == before["drops"]
    assert after["nic_missed"] == before["nic_missed"]
    assert after["write_errors"] == 0
    assert after["packets"] - before["packets"] == sent
    for number in jobs:
        capture = device.fetch_checked(device.wait_job(number, timeout=300), tmp_path)
        found = [number_of(packet.data) for packet in capture.packets][: len(first)]
        assert found == [(0, frame) for frame in range(len(first))]
