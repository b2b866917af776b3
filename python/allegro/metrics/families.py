"""What of the device is told as metrics, by names that stay: docs/manual/metrics.md lists them. No I/O.

What is not known has no sample, rather than one that is not true: a recorder that is silent counts nothing.
Counters begin at 0 with the recorder's start, which whoever reads them takes into account.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from allegro.capture.status import PortStatus, RecorderStatus
from allegro.metrics.exposition import Family, Kind, Sample
from allegro.system.health import Problem

NS = 1_000_000_000
SILENT = "silent"
RECORDER_STATES = ("recording", "starting", "no-ring", SILENT)


@dataclass(frozen=True)
class Facts:
    """What is known of the device. `recorder` is None if it is silent, sizes of the storage device are in
    bytes and None without one, `captures` says how many are in each state that is not an end, None if their
    list cannot be read."""

    name: str
    system_id: str
    firmware: str
    up_s: float
    recorder: RecorderStatus | None
    storage_size: int | None
    storage_free: int | None
    captures: Mapping[str, int] | None
    uploads_waiting: int | None
    problems: Sequence[Problem]


def families(facts: Facts) -> list[Family]:
    """All metrics of the device."""
    return [*_device(facts), *_recorder(facts.recorder), *_ports(facts.recorder), *_work(facts)]


def _device(facts: Facts) -> Iterable[Family]:
    who = {"name": facts.name, "system_id": facts.system_id, "firmware": facts.firmware}
    yield _gauge("allegro_info", "Name, system id and firmware of the device; always 1", 1, who)
    yield _gauge("allegro_uptime_seconds", "Time since the start of the device", facts.up_s)
    told = tuple(Sample(1, {"id": each, "severity": severity}) for each, severity in _kinds(facts.problems))
    yield Family("allegro_problem", "gauge", "A problem that the status tells; 1 while there is one", told)
    counts = Counter(problem.severity for problem in facts.problems)
    numbers = tuple(Sample(counts[each], {"severity": each}) for each in ("error", "warning"))
    yield Family("allegro_problems", "gauge", "How many problems the status tells", numbers)
    state = facts.recorder.state if facts.recorder else SILENT
    states = tuple(Sample(int(each == state), {"state": each}) for each in RECORDER_STATES)
    yield Family("allegro_recorder_state", "gauge", "1 for the state that the recorder is in", states)


def _kinds(problems: Sequence[Problem]) -> list[tuple[str, str]]:
    return sorted({(problem.id, problem.severity) for problem in problems})


def _recorder(said: RecorderStatus | None) -> Iterable[Family]:
    if said is None:
        return
    yield _gauge(
        "allegro_recorder_start_time_seconds", "When the recorder was started, since 1970", said.run_id / NS
    )
    if said.complete_through_boot_ns:
        lag_s = max(said.time_boot_ns - said.complete_through_boot_ns, 0) / NS
        yield _gauge(
            "allegro_recorder_lag_seconds", "How long ago what came in is not surely in the ring yet", lag_s
        )
    yield _counter(
        "allegro_recorder_received_packets_total", "Packets that came in on all ports", said.packets
    )
    yield _counter("allegro_recorder_received_bytes_total", "Bytes that came in on all ports", said.bytes)
    lost = (Sample(said.drops, {"where": "system"}), Sample(said.nic_missed, {"where": "card"}))
    yield Family("allegro_recorder_lost_packets_total", "counter", "Packets lost on all ports", lost)
    yield _counter("allegro_clock_steps_total", "How often the device's clock was set", said.clock_steps)
    yield _counter(
        "allegro_ring_write_errors_total", "Writes that the ring's disk refused", said.write_errors
    )
    yield _gauge(
        "allegro_ring_write_slowest_seconds",
        "The longest time that one write took within the last minute",
        said.recent_slowest_write_s,
    )
    yield _gauge(
        "allegro_ring_sync_slowest_seconds",
        "The longest time that making it safe on the disk took within the last minute",
        said.recent_slowest_sync_s,
    )
    yield from _ring(said)


def _ring(said: RecorderStatus) -> Iterable[Family]:
    ring = said.ring
    if ring is None:
        return
    yield _gauge(
        "allegro_ring_in_memory",
        "1 while the ring is one in memory, as its disk cannot be used",
        bool(said.in_memory_since_ns),
    )
    yield _gauge("allegro_ring_size_bytes", "What is reserved for the ring on its disk", ring.size)
    yield _gauge("allegro_ring_target_bytes", "What the ring is set to", ring.target)
    yield _gauge("allegro_ring_used_bytes", "What of it packets take", ring.used)
    yield _gauge("allegro_ring_packets", "Packets in the ring", ring.packets)
    yield _gauge(
        "allegro_ring_reach_back_seconds", "How far back in time the ring reaches", said.reach_back_s
    )
    if ring.oldest_ns is not None:
        yield _gauge(
            "allegro_ring_oldest_time_seconds", "Time of the oldest packet, since 1970", ring.oldest_ns / NS
        )
    if ring.newest_ns is not None:
        yield _gauge(
            "allegro_ring_newest_time_seconds", "Time of the newest packet, since 1970", ring.newest_ns / NS
        )


_LOST: dict[str, Callable[[PortStatus], int]] = {
    "memory": lambda port: max(port.drops - port.unwritten - port.unrecorded, 0),
    "disk": lambda port: port.unwritten,
    "no-ring": lambda port: port.unrecorded,
    "card-missed": lambda port: max(port.nic_missed - port.nic_fifo - port.nic_over, 0),
    "card-fifo": lambda port: port.nic_fifo,
    "card-over": lambda port: port.nic_over,
}
"""Kinds of loss, none of which is part of another one."""

_REFUSED: dict[str, Callable[[PortStatus], int]] = {
    "crc": lambda port: port.refused_crc,
    "length": lambda port: port.refused_length,
}


def _ports(said: RecorderStatus | None) -> Iterable[Family]:
    ports = said.ports if said else ()

    def each(name: str, kind: Kind, text: str, value: Callable[[PortStatus], float]) -> Family:
        return Family(name, kind, text, tuple(Sample(value(port), {"port": port.name}) for port in ports))

    def kinds(name: str, text: str, of: Mapping[str, Callable[[PortStatus], int]]) -> Family:
        samples = (
            Sample(count(port), {"port": port.name, "kind": kind})
            for port in ports
            for kind, count in of.items()
        )
        return Family(name, "counter", text, tuple(samples))

    yield each("allegro_port_link_up", "gauge", "1 if the port has a link", lambda port: port.link_up)
    yield each(
        "allegro_port_received_packets_total",
        "counter",
        "Packets that came in, with those lost after the network card",
        lambda port: port.packets,
    )
    yield each("allegro_port_received_bytes_total", "counter", "Bytes that came in", lambda port: port.bytes)
    yield kinds("allegro_port_lost_packets_total", "Packets that are not in the ring, by kind of loss", _LOST)
    yield each(
        "allegro_port_discarded_packets_total",
        "counter",
        "About how many packets a slicing rule discarded; none of them is lost",
        lambda port: port.discarded,
    )
    yield kinds(
        "allegro_port_refused_frames_total", "Frames that the network card refused as damaged", _REFUSED
    )
    yield each(
        "allegro_port_driver_dropped_total",
        "counter",
        "What driver or kernel count as dropped: lost, or recorded and not wanted by anybody else",
        lambda port: port.nic_dropped,
    )
    yield each(
        "allegro_port_memory_full_total",
        "counter",
        "How often the port's memory was full",
        lambda port: port.freezes,
    )
    yield each(
        "allegro_port_memory_fullest_ratio",
        "gauge",
        "The largest part of the port's memory that was in use within the last minute, 0 to 1",
        lambda port: port.recent_fullest,
    )


def _work(facts: Facts) -> Iterable[Family]:
    if facts.captures is not None:
        waiting = tuple(Sample(count, {"state": state}) for state, count in facts.captures.items())
        yield Family("allegro_captures_waiting", "gauge", "Captures that have not ended, by state", waiting)
    if facts.uploads_waiting is not None:
        yield _gauge("allegro_uploads_waiting", "Files that wait for upload", facts.uploads_waiting)
    if facts.storage_size is not None:
        yield _gauge("allegro_storage_size_bytes", "Size of the storage device", facts.storage_size)
    if facts.storage_free is not None:
        yield _gauge("allegro_storage_free_bytes", "Free space of the storage device", facts.storage_free)


def _gauge(name: str, text: str, value: float, labels: Mapping[str, str] | None = None) -> Family:
    return Family(name, "gauge", text, (Sample(value, labels or {}),))


def _counter(name: str, text: str, value: float) -> Family:
    return Family(name, "counter", text, (Sample(value),))
