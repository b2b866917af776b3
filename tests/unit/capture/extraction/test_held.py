from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.capture import status
from allegro.capture.extraction.coverage import RING, Findings
from allegro.capture.extraction.held import Held
from allegro.capture.ring import segments
from allegro.capture.ring.reader import RingReader
from tests.unit.capture.devices import Device
from tests.unit.capture.rings import RUN, Ring


@pytest.mark.spec("R10", "T3")
def test_a_run_that_is_overwritten_while_it_is_read_was_there(tmp_path: Path) -> None:
    device = Device(Ring(tmp_path / "ring"))
    device.start(RUN)
    device.record(2)
    device.begin_run()
    device.record(2)
    with RingReader(device.ring.directory) as reader:
        held = Held(device.press(60), reader)
        before = held.ring(Findings()).up
        device.record(1)
        segments.write_runs(device.ring.directory, device.runs[1:], sync=False)
        first, second = held.ring(Findings()).up
    assert [first, second.start_ns] == [before[0], before[1].start_ns]
    assert second.alive_ns == device.wall_ns, "what is known by now counts"


@pytest.mark.spec("R8", "R10", "T6")
def test_a_ring_that_the_recorder_has_left_is_told(tmp_path: Path) -> None:
    device = Device(Ring(tmp_path / "ring"))
    device.start(RUN)
    device.record(2)
    run = device.runs[-1]
    said = status.RecorderStatus(pid=os.getpid(), run_id=run.run, ring_directory="/run/ring")
    status.write(said, tmp_path / "status.json")
    request = replace(device.press(60), status_file=tmp_path / "status.json")
    found = Findings()
    with RingReader(device.ring.directory) as reader:
        (up,) = Held(request, reader).ring(found).up
    assert not up.running
    ((what, since_ns, until_ns),) = ((away.what, away.start_ns, away.end_ns) for away in found.away)
    assert (what, until_ns) == (RING, None)
    assert since_ns == device.runs[-1].alive_ns
