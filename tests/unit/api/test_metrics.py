from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from allegro.system.health import Problem
from tests.unit.api.bench import Bench, make_bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    yield made
    made.jobs.close()


def value(bench: Bench, name: str, **labels: str) -> float:
    answer = bench.call("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    (found,) = (
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    )
    return found


@pytest.mark.spec("R6", "W6")
def test_metrics_tell_how_the_device_is(bench: Bench) -> None:
    bench.problems.append(Problem("no-link", "warning", "No link.", "Plug in the cable."))
    bench.call("POST", "/trigger")
    (bench.paths.upload / "a.pcapng").write_bytes(b"x")
    assert value(bench, "allegro_recorder_state", state="recording") == 1
    assert value(bench, "allegro_port_received_packets_total", port="port1") == 7
    assert value(bench, "allegro_captures_waiting", state="accepted") == 1
    assert value(bench, "allegro_captures_waiting", state="cutting") == 0
    assert value(bench, "allegro_uploads_waiting") == 1
    assert value(bench, "allegro_problem", id="no-link", severity="warning") == 1
    assert value(bench, "allegro_storage_size_bytes") >= value(bench, "allegro_storage_free_bytes") > 0
    assert value(bench, "allegro_uptime_seconds") > 0


def test_metrics_of_a_device_whose_recorder_and_list_of_captures_are_silent(bench: Bench) -> None:
    bench.recorder = None
    bench.jobs.close()
    assert value(bench, "allegro_recorder_state", state="silent") == 1
    assert "allegro_captures_waiting" not in bench.call("GET", "/metrics").text
