"""GET /ring/timeline over a ring as the recorder leaves it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.words import utc
from tests.unit.api.bench import Bench, make_bench
from tests.unit.capture.blocks import NS
from tests.unit.capture.devices import Device
from tests.unit.capture.rings import RUN, Ring


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    yield made
    made.jobs.close()


@pytest.mark.spec("W4", "W6")
def test_the_time_line_of_the_ring(bench: Bench) -> None:
    assert bench.get("/ring/timeline")["ports"] == []
    recorded = Device(Ring(bench.paths.ring))
    recorded.start(RUN - NS)
    recorded.pass_time(NS)
    recorded.record(20)
    whole = bench.get("/ring/timeline?steps=4")
    assert whole["oldest_time"] == whole["start_time"] == utc(RUN)
    assert [port["name"] for port in whole["ports"]] == ["port1", "port2"]
    assert sum(sum(port["packets"]) for port in whole["ports"]) == pytest.approx(2000, abs=1)
    part = bench.get(f"/ring/timeline?start={utc(RUN + 5 * NS)}&end={utc(RUN + 10 * NS)}&steps=5")
    assert part["step_s"] == 1
    assert sum(sum(port["packets"]) for port in part["ports"]) == pytest.approx(500, rel=0.05)


@pytest.mark.spec("W4", "W6")
@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("start=soon", "start"),
        ("end=later", "end"),
        ("start=2026-11-21T14:30:05Z&end=2026-11-21T14:30:05Z", "end"),
        ("steps=0", "steps"),
        ("steps=2001", "steps"),
        ("start=1969-01-01T00:00:00Z&end=1969-01-02T00:00:00Z", ""),
        ("start=9999-01-01T00:00:00Z", ""),
    ],
)
def test_bad_questions_are_answered_with_their_place(bench: Bench, query: str, place: str) -> None:
    if place:
        assert bench.refused(422, "GET", f"/ring/timeline?{query}")["place"] == place
    else:
        assert bench.get(f"/ring/timeline?{query}")["ports"] == []
