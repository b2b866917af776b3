"""The real recorder in trouble: packets sent - packets in the file = packets that the file says are missing.

Faults x traffic x windows: each recording is cut with the fault in the window, before it and after it.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.system import boottime
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for
from tests.host.recording import MIB, Recording, add_port
from tests.host.truth import Bench


@pytest.fixture
def bench(tmp_path: Path, worker_id: str) -> Iterator[Bench]:
    namespace = Namespace(f"truth-{worker_id}")
    bench = Bench(Recording(namespace, tmp_path), tmp_path / "stall")
    try:
        add_port(namespace, 1)
        bench.start()
        yield bench
        bench.stall.unlink(missing_ok=True)
        bench.recording.stop()
    finally:
        bench.stall.unlink(missing_ok=True)
        if bench.recording.process is not None and bench.recording.process.poll() is None:
            bench.recording.process.kill()
        namespace.close()


def none(bench: Bench) -> None:
    bench.send_for(0.5)


def stall(bench: Bench) -> None:
    """More comes in than fits into memory while the disk stands still."""
    bench.pause_s = 0.0
    bench.stall.touch()
    bench.send_for(1.5)
    bench.stall.unlink()
    bench.pause_s = 0.005


def killed(bench: Bench) -> None:
    with bench.sending():
        time.sleep(0.3)
        bench.recording.kill()
        time.sleep(0.3)
        bench.start()


def killed_behind_a_stalled_disk(bench: Bench) -> None:
    with bench.sending():
        bench.stall.touch()
        time.sleep(2)
        bench.recording.kill()
        bench.stall.unlink()
        bench.start()


def restarted(bench: Bench) -> None:
    with bench.sending():
        bench.recording.signal(signal.SIGTERM)
        assert bench.recording.process is not None
        bench.recording.process.wait(30)
        bench.start()


def port_gone(bench: Bench) -> None:
    bench.recording.namespace.ip("link", "del", "port1")
    time.sleep(2)
    add_port(bench.recording.namespace, 1)
    bench.recording.wait_for_ports("port1")


def disk_refuses(bench: Bench) -> None:
    """More comes in than fits into memory while the disk takes nothing, with an error each time; what is in
    the ring stays there."""
    assert bench.recording.process is not None
    limit = ["prlimit", "--pid", str(bench.recording.process.pid)]
    subprocess.run([*limit, "--fsize=4096:unlimited"], check=True)
    bench.pause_s = 0.0
    bench.send_for(1.5)
    bench.pause_s = 0.005
    subprocess.run([*limit, "--fsize=unlimited:unlimited"], check=True)


def ring_resized(bench: Bench) -> None:
    """Larger, then smaller than before, while packets come in: none of them is among those that go."""
    with bench.sending():
        for size in (96 * MIB, 32 * MIB):
            bench.recording.resize(size)


FAULTS = {
    fault.__name__: fault
    for fault in (
        none,
        stall,
        killed,
        killed_behind_a_stalled_disk,
        restarted,
        port_gone,
        disk_refuses,
        ring_resized,
    )
}


@pytest.mark.spec("R5", "R10", "T6")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("afterwards", ["traffic", "silence"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_file_says_exactly_what_is_missing(bench: Bench, fault: str, afterwards: str) -> None:
    bench.send_for(1.5)
    before_ns = boottime.now_ns()
    bench.on_record()
    FAULTS[fault](bench)
    bench.complete()
    after_ns = boottime.now_ns()
    if afterwards == "traffic":
        bench.burst(300)
        bench.send_for(0.5)
    else:
        time.sleep(1)
    end_ns = boottime.now_ns()
    bench.complete()
    begin_ns = bench.sent[0]

    for start_ns, stop_ns in ((begin_ns, end_ns), (begin_ns, before_ns), (after_ns, end_ns)):
        missing, result = bench.check(start_ns, stop_ns)
        cut_off = fault.startswith("killed") and start_ns < before_ns < stop_ns
        assert any("had not written yet" in note for note in result.notes) == cut_off, result.notes
        if (start_ns, stop_ns) != (begin_ns, end_ns):
            assert missing == []
            assert [note for note in result.notes if "No packet is in" not in note] == []
    if fault in ("none", "stall", "disk_refuses", "ring_resized"):
        lost = bench.check_sums(begin_ns, end_ns)
        assert bool(lost) == (fault in ("stall", "disk_refuses"))


def test_the_recorder_says_when_it_needs_its_disk(bench: Bench) -> None:
    bench.pause_s = 0.0
    bench.stall.touch()
    bench.send_for(1)
    wait_for(lambda: bench.recording.status().fullest > 0.1, "memory that fills", 20)
    bench.stall.unlink()
    wait_for(lambda: bench.recording.status().slowest_write_s > 0.1, "a write that took long", 20)
    after = bench.recording.status()
    assert max(port.recent_fullest for port in after.ports) > 0.1
    assert after.recent_slowest_write_s > 0.1
