import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from allegro.capture.status import PortStatus, RecorderStatus, RingStatus
from allegro.metrics.exposition import Family, Sample, text
from allegro.metrics.families import Facts, families
from allegro.system.health import Problem

MANUAL = Path(__file__).resolve().parents[3] / "docs/manual/metrics.md"

PORT = PortStatus(
    name="port1",
    index=1,
    link_up=True,
    packets=1000,
    bytes=1 << 52,
    drops=60,
    unwritten=10,
    unrecorded=20,
    nic_missed=9,
    nic_fifo=2,
    nic_over=3,
    nic_dropped=7,
    refused_crc=5,
    refused_length=6,
    discarded=11,
    freezes=8,
    recent_fullest=0.75,
)
RECORDER = RecorderStatus(
    run_id=1_795_271_405_000_000_000,
    state="recording",
    time_boot_ns=100_500_000_000,
    complete_through_boot_ns=100_000_000_000,
    ring=RingStatus(size=1 << 30, target=2 << 30, used=1 << 20, oldest_ns=10**18, newest_ns=None, packets=7),
    ports=(PORT, PortStatus(name="port2")),
    packets=1234,
    bytes=5678,
    drops=60,
    nic_missed=9,
    write_errors=4,
    reach_back_s=60.5,
    recent_slowest_write_s=0.25,
    recent_slowest_sync_s=1.5,
    clock_steps=3,
)
FACTS = Facts(
    name='a "device"\\',
    system_id="5764fb6b",
    firmware="1.2.3",
    up_s=7.5,
    recorder=RECORDER,
    storage_size=1 << 40,
    storage_free=1 << 30,
    captures={"accepted": 0, "waiting": 2, "cutting": 1},
    uploads_waiting=5,
    problems=(Problem("no-link", "warning", "No link.", ""), Problem("no-link", "warning", "No link.", "")),
)

Samples = dict[tuple[str, ...], float]


def read(facts: Facts) -> Samples:
    """Name and values of labels of each sample, as a Prometheus server reads them."""
    found: Samples = {}
    for family in text_string_to_metric_families(text(families(facts))):
        assert family.documentation
        assert family.type in ("counter", "gauge")
        for sample in family.samples:
            assert (sample.name.endswith("_total")) == (family.type == "counter"), sample.name
            key = (sample.name, *sample.labels.values())
            assert key not in found, key
            found[key] = sample.value
    return found


@pytest.mark.spec("R6", "R12")
def test_every_port_tells_what_came_in_and_each_kind_of_loss_once() -> None:
    samples = read(FACTS)
    port1 = {key[0]: value for key, value in samples.items() if key[1:] == ("port1",)}
    assert port1 == {
        "allegro_port_link_up": 1,
        "allegro_port_received_packets_total": 1000,
        "allegro_port_received_bytes_total": 1 << 52,
        "allegro_port_discarded_packets_total": 11,
        "allegro_port_driver_dropped_total": 7,
        "allegro_port_memory_full_total": 8,
        "allegro_port_memory_fullest_ratio": 0.75,
    }
    lost = {key[2]: value for key, value in samples.items() if key[:2] == (LOST, "port1")}
    assert lost == {
        "memory": 30,
        "disk": 10,
        "no-ring": 20,
        "card-missed": 4,
        "card-fifo": 2,
        "card-over": 3,
    }
    assert sum(lost.values()) == PORT.drops + PORT.nic_missed
    refused = "allegro_port_refused_frames_total"
    assert (samples[refused, "port1", "crc"], samples[refused, "port1", "length"]) == (5, 6)
    assert samples[LOST, "port2", "memory"] == 0


LOST = "allegro_port_lost_packets_total"


@pytest.mark.spec("R6")
def test_the_recorder_tells_what_foretells_losses() -> None:
    samples = read(FACTS)
    assert samples["allegro_recorder_lag_seconds",] == 0.5
    assert samples["allegro_ring_write_slowest_seconds",] == 0.25
    assert samples["allegro_ring_sync_slowest_seconds",] == 1.5
    assert samples["allegro_clock_steps_total",] == 3
    assert samples["allegro_ring_reach_back_seconds",] == 60.5
    assert samples["allegro_ring_in_memory",] == 0
    assert samples["allegro_ring_oldest_time_seconds",] == 10**9
    assert ("allegro_ring_newest_time_seconds",) not in samples
    assert samples["allegro_recorder_start_time_seconds",] == 1_795_271_405
    assert samples["allegro_recorder_lost_packets_total", "system"] == 60
    assert samples["allegro_captures_waiting", "waiting"] == 2
    assert samples["allegro_problem", "no-link", "warning"] == 1
    assert samples["allegro_problems", "warning"] == 2
    assert samples["allegro_problems", "error"] == 0
    assert samples["allegro_info", 'a "device"\\', "5764fb6b", "1.2.3"] == 1


def test_what_is_not_known_is_not_told() -> None:
    samples = read(
        replace(
            FACTS,
            recorder=None,
            captures=None,
            storage_size=None,
            storage_free=None,
            uploads_waiting=None,
            problems=(),
        )
    )
    states = {key[1]: value for key, value in samples.items() if key[0] == "allegro_recorder_state"}
    assert states == {"recording": 0, "starting": 0, "no-ring": 0, "silent": 1}
    assert {key[0] for key in samples} == {
        *("allegro_info", "allegro_uptime_seconds", "allegro_problems", "allegro_recorder_state")
    }


def test_a_recorder_without_a_ring_has_nothing_complete() -> None:
    samples = read(replace(FACTS, recorder=RecorderStatus(state="no-ring", packets=5)))
    assert samples["allegro_recorder_state", "no-ring"] == 1
    assert samples["allegro_recorder_received_packets_total",] == 5
    assert not any(key[0] in ("allegro_recorder_lag_seconds", "allegro_ring_size_bytes") for key in samples)


def test_the_manual_lists_exactly_what_is_told() -> None:
    ring = replace(RECORDER.ring or RingStatus(), newest_ns=10**18)
    told = {family.name for family in families(replace(FACTS, recorder=replace(RECORDER, ring=ring)))}
    assert set(re.findall(r"`(allegro_\w+)`", MANUAL.read_text())) == told


def test_texts_cannot_pose_as_lines_or_labels() -> None:
    family = Family("x", "gauge", "first\nsecond \\", (Sample(1.5, {"label": 'a"b\\\nc'}),))
    assert text([family]).count("\n") == 3
    (read_back,) = text_string_to_metric_families(text([family]))
    assert read_back.documentation == "first\nsecond \\"
    assert (read_back.samples[0].labels, read_back.samples[0].value) == ({"label": 'a"b\\\nc'}, 1.5)
