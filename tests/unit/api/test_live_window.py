"""Which windows of the ring are streamed, and which are refused."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from allegro.words import SECOND_NS, utc
from tests.unit.api.bench import Bench, make_bench

NOW_NS = time.time_ns()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    yield made
    made.jobs.close()


@pytest.mark.spec("R8", "W4")
@pytest.mark.parametrize(
    ("start_s", "end_s", "place"),
    [
        (-2, -1, ""),
        (-1, 60, ""),
        (-1, None, "end"),
        (None, -1, "start"),
        (-1, -1, "end"),
        (-60, 8 * 86400, "start"),
        (-40 * 365 * 86400, -40 * 365 * 86400 + 60, "start"),  # the device was not on
        (-40 * 365 * 86400, -40 * 365 * 86400 + 7 * 86400, "start"),
    ],
)
def test_a_window_has_two_ends_that_make_sense(
    bench: Bench, start_s: int | None, end_s: int | None, place: str
) -> None:
    moments = (("start", start_s), ("end", end_s))
    asked = {name: utc(NOW_NS + at * SECOND_NS) for name, at in moments if at is not None}
    path = f"/live?{urlencode(asked)}"
    if place:
        assert bench.refused(422, "GET", path)["place"] == place
    else:
        assert bench.call("HEAD", path).status_code == 200
