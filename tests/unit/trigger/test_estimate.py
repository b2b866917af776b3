from __future__ import annotations

from pathlib import Path

import pytest

from allegro.capture.extraction.contract import Request
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.trigger.estimate import ring_estimate
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.rings import RUN, Ring


def full_ring(directory: Path, *, segments: int, finished: bool) -> Ring:
    """Segments of 8 records each, one record a second, 100 packets each."""
    ring = Ring(directory)
    for number in range(segments * 8):
        if number % 8 == 0:
            ring.new_segment()
        at = RUN + number * NS
        ring.add(1, [Frame(at + one * 1000, bytes(1000)) for one in range(100)])
    if finished:
        ring.finish()
    return ring


@pytest.mark.spec("R11", "T10")
@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("window", [(0, 100), (3, 5), (3, 20), (11, 29), (60, 70), (0, 0)])
def test_no_file_gets_larger_and_none_is_much_smaller(
    tmp_path: Path, window: tuple[int, int], finished: bool
) -> None:
    ring = full_ring(tmp_path / "ring", segments=4, finished=finished)
    start_ns, end_ns = RUN + window[0] * NS, RUN + window[1] * NS + NS // 2
    estimate = ring_estimate(ring.directory)(start_ns, end_ns)
    request = Request(ring.directory, start_ns, end_ns, tmp_path / "out.pcapng")
    result = extract(request, lambda *_: None, Courtesy(None))
    packets = result.file_size - 17_000
    assert packets <= estimate <= max(packets, 0) * 1.1 + 20_000


@pytest.mark.spec("R11", "T10")
def test_records_within_the_window_are_not_looked_at(tmp_path: Path) -> None:
    """So that neither time nor memory grows with the window: their lists are gone, and nothing is missed."""
    ring = full_ring(tmp_path / "ring", segments=4, finished=True)
    whole = ring_estimate(ring.directory)(RUN - NS, RUN + 100 * NS)
    for path in ring.directory.glob("*.blocks"):
        path.write_bytes(b"")
    assert ring_estimate(ring.directory)(RUN - NS, RUN + 100 * NS) == whole > 0
