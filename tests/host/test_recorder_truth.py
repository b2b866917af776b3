"""What the recorder loses stands in the ring, to the packet, also when no further packet comes."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.capture import status
from allegro.capture.ring import segments
from allegro.capture.ring.news import (
    LinkDown,
    LinkUp,
    PortClosed,
    PortOpened,
    PortRenamed,
    RingClosed,
    RingOpened,
)
from allegro.system import boottime
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for
from tests.host.recording import Recording, add_port, contents, frame, send

STANDING_DISK = """
import pathlib, time
from allegro.capture.recorder import write_pool
write = write_pool.WriteJob._write_all
def stand(job):
    while pathlib.Path({flag!r}).exists():
        time.sleep(0.01)
    return write(job)
write_pool.WriteJob._write_all = stand
"""

SLOW_OPENING = """
import pathlib, time
from allegro.capture.ring import recovery
recover = recovery.recover
def slow(directory):
    while pathlib.Path({flag!r}).exists():
        time.sleep(0.01)
    return recover(directory)
recovery.recover = slow
"""


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """While this file exists, the changed part of the recorder stands still."""
    return tmp_path / "flag"


def burst(namespace: Namespace, count: int, start: int = 0, size: int = 1000) -> int:
    return send(namespace, "gen1", (frame(1, start + number, size) for number in range(count)))


def paced(namespace: Namespace, count: int, start: int = 0, pause: float = 0.005) -> int:
    def frames() -> Iterator[bytes]:
        for number in range(count):
            yield frame(1, start + number, 200)
            time.sleep(pause)

    return send(namespace, "gen1", frames())


def check_sum(recording: Recording, sent: int) -> None:
    """Sent packets are in the ring, once and in their order, or told as lost there."""
    numbers = [seen.number for seen in contents(recording.ring)]
    assert numbers == sorted(set(numbers))
    assert sent - len(numbers) == recording.losses().system == recording.status().drops


@pytest.mark.spec("R4", "R5", "R10")
def test_a_loss_before_a_silence_is_in_the_ring(
    namespace: Namespace, recording: Recording, flag: Path
) -> None:
    """The disk stands still under a burst, then the cable is pulled: no record comes to tell the loss."""
    add_port(namespace, 1)
    recording.changed = STANDING_DISK.format(flag=str(flag))
    recording.configure(block_size=1 << 18, blocks_per_port=8)
    recording.start_with_ports("port1")
    flag.touch()
    sent = burst(namespace, 20_000)
    flag.unlink()
    report = recording.wait_until_complete()
    assert report.drops > 0
    check_sum(recording, sent)
    recording.stop()
    check_sum(recording, sent)


@pytest.mark.spec("R5", "R10")
def test_what_comes_while_the_ring_is_being_opened_waits_for_it(
    namespace: Namespace, recording: Recording, flag: Path
) -> None:
    add_port(namespace, 1)
    recording.changed = SLOW_OPENING.format(flag=str(flag))
    flag.touch()
    recording.start_early()
    recording.wait_for_ports("port1")
    sent = paced(namespace, 200)
    assert recording.status().state == status.STARTING
    flag.unlink()
    recording.wait_until_complete()
    recording.stop()
    assert [seen.number for seen in contents(recording.ring)] == list(range(sent))
    assert recording.losses().system == 0
    told = [type(item) for item in recording.news()]
    assert told == [PortOpened, RingOpened, RingClosed]


@pytest.mark.spec("R5", "R10")
def test_what_does_not_fit_into_memory_while_the_ring_is_being_opened_is_counted(
    namespace: Namespace, recording: Recording, flag: Path
) -> None:
    add_port(namespace, 1)
    recording.changed = SLOW_OPENING.format(flag=str(flag))
    recording.configure(block_size=1 << 16, blocks_per_port=4)
    flag.touch()
    recording.start_early()
    recording.wait_for_ports("port1")
    sent = burst(namespace, 3000)
    flag.unlink()
    recording.wait_until_complete()
    recording.stop()
    assert recording.losses().drops > 0
    check_sum(recording, sent)


@pytest.mark.spec("R5", "R10")
@pytest.mark.timeout(120)
def test_a_disk_that_refuses_for_long_leaves_a_true_gap(namespace: Namespace, recording: Recording) -> None:
    """After ten seconds the ring is given up, and opened anew when the disk takes it."""
    add_port(namespace, 1)
    recording.start_with_ports("port1")
    assert recording.process is not None
    limit = ["prlimit", "--pid", str(recording.process.pid)]
    sent = paced(namespace, 100)
    subprocess.run([*limit, "--fsize=4096:unlimited"], check=True)
    end = time.monotonic() + 60
    while recording.status().state != status.NO_RING and time.monotonic() < end:
        sent += paced(namespace, 50, sent, 0.01)
    sent += paced(namespace, 50, sent)
    subprocess.run([*limit, "--fsize=unlimited:unlimited"], check=True)
    while recording.status().state != status.RECORDING and time.monotonic() < end:
        sent += paced(namespace, 50, sent, 0.01)
    sent += paced(namespace, 50, sent)
    recording.wait_until_complete()
    recording.stop()
    losses = recording.losses()
    assert losses.unwritten > 0
    assert losses.unrecorded > 0
    check_sum(recording, sent)
    opened = [item for item in recording.news() if isinstance(item, RingOpened)]
    assert [bool(item.since_boot_ns) for item in opened] == [False, True]
    assert "does not take packets" in opened[1].reason or "cannot be used" in opened[1].reason


@pytest.mark.spec("R2", "R5", "R10")
def test_alive_reaches_only_as_far_as_the_ring_is_complete(
    namespace: Namespace, recording: Recording, flag: Path
) -> None:
    """The disk stands still, packets wait in memory, the recorder is killed: they are in no file."""
    add_port(namespace, 1)
    recording.changed = STANDING_DISK.format(flag=str(flag))
    recording.start_with_ports("port1")
    sent = paced(namespace, 200)
    flag.touch()
    stood_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    paced(namespace, 500, sent)
    recording.kill()
    flag.unlink()
    recording.changed = ""
    recording.start_with_ports("port1")
    recording.wait_until_complete()
    recording.stop()
    last = max(record.last_boot_ns for record in recording.records() if record.run == recording.run_ids()[0])
    first = recording.runs()[0]
    alive_ns = first["alive_boot_ns"]
    assert isinstance(alive_ns, int)
    assert first["boot_id"] == recording.status().boot_id
    assert last - 1_500_000_000 < alive_ns <= max(last, stood_ns)


@pytest.mark.spec("R5", "R10")
def test_a_port_that_was_away_is_told_and_opened_at_once(namespace: Namespace, recording: Recording) -> None:
    add_port(namespace, 1)
    recording.start_with_ports("port1")
    sent = burst(namespace, 50)
    wait_for(lambda: recording.status().packets == sent, "the packets", 10)
    namespace.ip("link", "del", "port1")
    wait_for(lambda: not recording.status().ports, "the end of the port", 10)
    add_port(namespace, 1)
    sent += burst(namespace, 500, sent)
    recording.wait_for_ports("port1")
    sent += burst(namespace, 50, sent)
    recording.wait_until_complete()
    recording.stop()
    check_sum(recording, sent)
    told = [type(item) for item in recording.news() if isinstance(item, PortOpened | PortClosed)]
    assert told == [PortOpened, PortClosed, PortOpened]


@pytest.mark.spec("R10")
def test_links_and_names_are_told(namespace: Namespace, recording: Recording) -> None:
    add_port(namespace, 1)
    recording.start_with_ports("port1")
    namespace.ip("link", "set", "gen1", "down")
    wait_for(lambda: not recording.status().ports[0].link_up, "link down", 10)
    namespace.ip("link", "set", "gen1", "up")
    wait_for(lambda: recording.status().ports[0].link_up, "link up", 10)
    namespace.ip("link", "set", "port1", "name", "port7")
    recording.wait_for_ports("port7")
    recording.wait_until_complete()
    recording.stop()
    told = recording.news()
    boots = [item.boot_ns for item in told]
    assert boots == sorted(boots)
    assert [type(item) for item in told if isinstance(item, LinkDown | LinkUp)][:2] == [LinkDown, LinkUp]
    (renamed,) = [item for item in told if isinstance(item, PortRenamed)]
    assert (renamed.port, renamed.new_name) == ("port1", "port7")


@pytest.mark.spec("R5")
def test_a_quiet_link_survives_a_disk_that_stands_still(
    namespace: Namespace, recording: Recording, flag: Path
) -> None:
    """Each block of the kernel holds a packet: more of them than there are wait for the disk."""
    add_port(namespace, 1)
    recording.changed = STANDING_DISK.format(flag=str(flag))
    recording.configure(blocks_per_port=16, retire_ms=10)
    recording.start_with_ports("port1")
    flag.touch()
    sent = paced(namespace, 300, pause=0.02)
    flag.unlink()
    recording.wait_until_complete()
    recording.stop()
    assert len([record for record in recording.records() if record.packets]) > 100
    assert [seen.number for seen in contents(recording.ring)] == list(range(sent))
    assert recording.losses().system == 0


@pytest.mark.spec("R4", "R5")
def test_complete_waits_for_the_news_of_a_loss(
    namespace: Namespace, recording: Recording, flag: Path
) -> None:
    """Whenever the status says that all is complete up to a time, the losses before it are in the ring."""
    add_port(namespace, 1)
    recording.changed = STANDING_DISK.format(flag=str(flag))
    recording.configure(block_size=1 << 16, blocks_per_port=4)
    recording.start_with_ports("port1")
    sent = 0
    for _ in range(5):
        flag.touch()
        sent += burst(namespace, 1000, sent)
        threading.Timer(0.3, flag.unlink).start()
        recording.wait_until_complete()
        check_sum(recording, sent)
    recording.signal(signal.SIGTERM)


@pytest.mark.spec("R5", "R10")
def test_a_stop_for_which_the_disk_is_too_slow_claims_nothing(
    namespace: Namespace, recording: Recording, flag: Path
) -> None:
    add_port(namespace, 1)
    recording.changed = STANDING_DISK.format(flag=str(flag))
    recording.start_with_ports("port1")
    paced(namespace, 50)
    on_disk_ns = recording.wait_until_complete().complete_through_boot_ns
    recording.stop()
    assert segments.read_runs(recording.ring)[-1].ended
    recording.start_with_ports("port1")
    flag.touch()
    paced(namespace, 50, start=50)
    assert recording.process is not None
    recording.process.terminate()
    assert recording.process.wait(60) == 0, recording.log.read_text()
    flag.unlink()
    before, last = segments.read_runs(recording.ring)
    assert before.ended
    assert before.alive_boot_ns > on_disk_ns
    assert not last.ended
    assert last.alive_boot_ns < boottime.now_ns() - 10_000_000_000
    assert [seen.number for seen in contents(recording.ring)] == list(range(50))
