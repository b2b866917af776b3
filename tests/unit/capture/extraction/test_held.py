from __future__ import annotations

from pathlib import Path

import pytest

from allegro.capture.extraction.coverage import Findings
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
