"""The recorder on a real kernel: veth pairs and bridges in namespaces of our own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.capture import status
from allegro.capture.ring import index, segments
from allegro.capture.ring.reader import RecordDamaged, RecordGone, RingReader
from allegro.capture.ring.record import PACKET_SLACK_NS
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for
from tests.host.recording import MIB, Load, Recording, add_port, contents, frame, packets, send
from tests.unit.capture.blocks import is_sound


@pytest.mark.spec("R1", "R4", "R6")
def test_every_packet_of_every_port_once_with_its_time(namespace: Namespace, recording: Recording) -> None:
    for port in (1, 2, 3):
        add_port(namespace, port)
    recording.start_with_ports("port1", "port2", "port3")
    begin = time.time_ns()
    for port in (1, 2, 3):
        send(namespace, f"gen{port}", (frame(port, number, 60 + number % 1400) for number in range(5000)))
    end = time.time_ns()
    report = recording.wait_until_complete()
    found = contents(recording.ring)
    for port in (1, 2, 3):
        mine = [seen for seen in found if seen.sender == port]
        assert [seen.number for seen in mine] == list(range(5000))
        assert {seen.port for seen in mine} == {f"port{port}"}
        assert [seen.length for seen in mine] == [60 + number % 1400 for number in range(5000)]
        times = [seen.time_ns for seen in mine]
        assert begin <= times[0] <= times[-1] <= end
        assert times == sorted(times)
        assert any(time_ns % 1000 for time_ns in times)
    assert report.state == status.RECORDING
    assert [port.packets for port in report.ports] == [5000] * 3
    assert report.packets == 15000
    assert report.drops == report.write_errors == 0
    assert report.ring is not None
    assert report.ring.packets == 15000
    assert report.ring.oldest_ns is not None
    assert report.ring.oldest_ns <= found[0].time_ns  # that the port was opened is news, and older
    assert 0 < report.reach_back_s < 60
    recording.stop()
    assert contents(recording.ring) == found


@pytest.mark.spec("R1")
def test_what_the_host_sends_is_not_recorded(namespace: Namespace, recording: Recording) -> None:
    add_port(namespace, 1)
    recording.start_with_ports("port1")
    send(namespace, "port1", (frame(9, number) for number in range(100)))
    send(namespace, "gen1", (frame(1, number) for number in range(100)))
    recording.wait_until_complete()
    recording.stop()
    assert [seen.sender for seen in contents(recording.ring)] == [1] * 100


@pytest.mark.spec("R1")
def test_a_bridged_packet_is_recorded_once_at_the_port_where_it_came_in(
    namespace: Namespace, recording: Recording
) -> None:
    for port in (1, 2):
        add_port(namespace, port)
    namespace.ip("link", "add", "bridge", "type", "bridge")
    for port in (1, 2):
        namespace.ip("link", "set", f"port{port}", "master", "bridge")
    namespace.ip("link", "set", "bridge", "up")
    recording.start_with_ports("port1", "port2")
    wait_for(
        lambda: "forwarding" in namespace.run(["bridge", "link", "show", "dev", "port2"]).stdout, "bridge", 10
    )
    send(namespace, "gen1", (frame(1, number) for number in range(300)))
    send(namespace, "gen2", (frame(2, number) for number in range(300)))
    recording.wait_until_complete()
    recording.stop()
    found = contents(recording.ring)
    assert sorted((seen.port, seen.sender, seen.number) for seen in found) == sorted(
        (f"port{port}", port, number) for port in (1, 2) for number in range(300)
    )


@pytest.mark.spec("R1")
def test_vlan_tags_are_kept(namespace: Namespace, recording: Recording) -> None:
    add_port(namespace, 1)
    recording.start_with_ports("port1")
    one = struct.pack(">HH", 0x8100, 0x6123)
    two = struct.pack(">HH", 0x88A8, 0x0456) + one
    send(namespace, "gen1", [frame(1, 0), frame(1, 1, tag=one), frame(1, 2, tag=two)])
    recording.wait_until_complete()
    recording.stop()
    found = contents(recording.ring)
    assert [(seen.number, seen.tci) for seen in found] == [(0, None), (1, 0x6123), (2, 0x0456)]
    # The stripped tag is 4 bytes, the inner one still stands in the frame.
    assert [seen.length for seen in found] == [64, 60, 60]


@pytest.mark.spec("R2")
@pytest.mark.timeout(240)
def test_kill_at_random_moments_under_load(namespace: Namespace, recording: Recording) -> None:
    add_port(namespace, 1)
    recording.ring_size = 256 * MIB
    rng = random.Random(4)
    load = Load(namespace, "gen1")
    judged = 0  # a single moment may find the sender without a turn
    try:
        for _ in range(10):
            recording.start_with_ports("port1")
            begin_ns = time.time_ns()
            recording.wait_until_complete()
            time.sleep(rng.uniform(0.1, 1.2))
            complete = recording.status()
            recording.kill()
            found = {seen.number: seen.time_ns for seen in contents(recording.ring)}
            # What it had said to be complete is there: no hole since it recorded the port.
            inside = sorted(
                number
                for number, time_ns in found.items()
                if begin_ns < time_ns < complete.complete_through_ns
            )
            judged += len(inside)
            assert inside == list(range(inside[0], inside[-1] + 1)) != []
            self_made = [
                (path, index.read(index.index_path(path))) for path in segments.list_segments(recording.ring)
            ]
            bare = recording.directory / "bare"
            bare.mkdir()
            for path in (*recording.ring.glob("*.blocks"), recording.ring / segments.RING_FILE):
                (bare / path.name).hardlink_to(path)
            with RingReader(bare) as reader:
                by_walk = {(ref.segment.path.name, ref.offset): ref for ref in reader.records(0, 1 << 62)}
            for path, entries in self_made:
                for entry in entries:
                    ref = by_walk[path.name, entry.offset]
                    assert (ref.sequence, ref.first_ns, ref.last_ns) == (
                        entry.sequence,
                        entry.first_ns,
                        entry.last_ns,
                    )
            shutil.rmtree(bare)
    finally:
        load.stop()
    assert judged > 1000
    recording.start_with_ports("port1")
    recording.stop()
    with RingReader(recording.ring) as reader:
        refs = reader.records(0, 1 << 62)
        assert len({ref.run for ref in refs}) >= 2
        assert len({ref.sequence for ref in refs}) == len(refs)
        assert len(reader.runs()) >= len({ref.run for ref in refs})
    numbers = [seen.number for seen in contents(recording.ring)]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.spec("R2")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("attempt", range(5))
def test_power_cut_at_random_moments(namespace: Namespace, recording: Recording, attempt: int) -> None:
    """A power cut as a file system may leave it: what was not synced is torn, indexes lose their end."""
    add_port(namespace, 1)
    rng = random.Random(attempt)
    recording.ring_size = 512 * MIB
    recording.start_with_ports("port1")
    load = Load(namespace, "gen1")
    time.sleep(rng.uniform(1.5, 3))
    cut_ns = time.time_ns()
    recording.signal(signal.SIGSTOP)
    load.stop()
    recording.kill()
    tear(recording.ring, rng, since_ns=cut_ns - 1_000_000_000)
    recording.start_with_ports("port1")
    recording.stop()
    found = readable(recording.ring)
    # All but the last second is there, and in one piece.
    kept = [number for number, time_ns in found if time_ns < cut_ns - 1_000_000_000]
    assert kept
    assert kept == list(range(len(kept)))


def tear(ring: Path, rng: random.Random, since_ns: int) -> None:
    """Records younger than `since_ns` lose random pages; indexes that are not finished lose their end.

    What is not written holds what lay there before: nothing, or another record if the ring has gone round.
    """
    for path in segments.list_segments(ring):
        listing = index.index_path(path)
        known = index.read(listing)
        if index.read_summary(listing) is None and listing.exists():
            listing.write_bytes(listing.read_bytes()[: rng.randrange(listing.stat().st_size + 1)])
        with path.open("r+b") as file:
            before = [entry for entry in known if entry.last_ns < since_ns - 2 * PACKET_SLACK_NS]
            for entry in known:
                if entry.last_ns < since_ns:
                    continue
                older = [one for one in before if one.length >= entry.length]
                for page in range(entry.length // 4096):
                    if rng.random() < 0.01:
                        content = bytes(4096)
                        if older and page and rng.random() < 0.7:
                            content = os.pread(file.fileno(), 4096, rng.choice(older).offset + page * 4096)
                        os.pwrite(file.fileno(), content, entry.offset + page * 4096)


def readable(ring: Path) -> list[tuple[int, int]]:
    """Number and time of all packets of records that can be read, in the order of their times."""
    found = []
    with RingReader(ring) as reader:
        for ref in reader.records(0, 1 << 62):
            try:
                block = reader.read(ref)
            except RecordDamaged:
                continue
            bounds = ref.first_ns - PACKET_SLACK_NS, ref.last_ns + PACKET_SLACK_NS
            if not is_sound(memoryview(block)[: ref.used], *bounds):
                continue
            found += [(seen.number, seen.time_ns) for seen in packets(block, ref)]
    return sorted(found, key=lambda item: item[1])


@pytest.mark.spec("R1", "R7")
@pytest.mark.timeout(240)
def test_reading_while_a_small_ring_is_overwritten(namespace: Namespace, recording: Recording) -> None:
    add_port(namespace, 1)
    recording.ring_size = 16 * MIB
    recording.take_any_load()
    recording.start_with_ports("port1")
    load = Load(namespace, "gen1", size=1514)
    read = gone = 0
    last = -1
    try:
        end = time.monotonic() + 60
        while (gone == 0 or read < 200) and time.monotonic() < end:
            with RingReader(recording.ring) as reader:
                for ref in reader.records(0, 1 << 62):
                    if ref.is_news:
                        continue
                    try:
                        block = reader.read(ref)
                    except RecordGone:
                        gone += 1
                        continue
                    numbers = [seen.number for seen in packets(block, ref)]
                    assert numbers == sorted(numbers)
                    assert len(numbers) == ref.packets
                    last = max(last, numbers[-1])
                    read += 1
    finally:
        sent = load.stop()
    assert gone
    assert last > 0
    report = recording.wait_until_complete()
    assert report.ring is not None
    assert report.ring.size == 16 * MIB
    assert report.packets == sent
    assert report.drops == 0
    recording.stop()
    numbers = [seen.number for seen in contents(recording.ring)]
    assert numbers == list(range(numbers[0], sent))


@pytest.mark.spec("R5")
def test_loss_is_counted_to_the_packet(namespace: Namespace, recording: Recording) -> None:
    add_port(namespace, 1)
    recording.configure(block_size=1 << 16, blocks_per_port=4)
    recording.start_with_ports("port1")
    recording.signal(signal.SIGSTOP)
    sent = send(namespace, "gen1", (frame(1, number, 1000) for number in range(2000)))
    recording.signal(signal.SIGCONT)
    wait_for(lambda: recording.status().packets == sent, "the count", 10)
    # The next record tells the loss.
    sent += send(namespace, "gen1", [frame(1, 5000)])
    report = wait_for(lambda: recording.wait_until_complete(), "completeness", 10)
    recording.stop()
    found = contents(recording.ring)
    assert 0 < len(found) < sent
    assert report.packets == sent
    assert report.drops == sent - len(found)
    assert report.ports[0].freezes >= 1
    with RingReader(recording.ring) as reader:
        assert sum(ref.drops for ref in reader.records(0, 1 << 62)) == report.drops


@pytest.mark.spec("R1")
def test_the_ring_is_resized_while_it_records(namespace: Namespace, recording: Recording) -> None:
    add_port(namespace, 1)
    recording.ring_size = 16 * MIB
    recording.take_any_load()
    recording.start_with_ports("port1")
    load = Load(namespace, "gen1", size=1514)

    try:
        recording.resize(48 * MIB)
        recording.resize(20 * MIB)
        (recording.directory / "recorder.json").write_text("{")
        recording.signal(signal.SIGHUP)
        wait_for(lambda: "not taken over" in recording.status().message, "the complaint", 10)
    finally:
        sent = load.stop()
    recording.wait_until_complete()
    recording.stop()
    assert recording.status().drops == 0
    numbers = [seen.number for seen in contents(recording.ring)]
    assert numbers == list(range(numbers[0], sent))


@pytest.mark.spec("R1", "R5")
def test_an_interface_that_vanishes_and_returns(namespace: Namespace, recording: Recording) -> None:
    recording.start()
    assert recording.status().ports == ()
    add_port(namespace, 1)
    recording.wait_for_ports("port1")
    send(namespace, "gen1", (frame(1, number) for number in range(100)))
    namespace.ip("link", "del", "port1")
    recording.wait_for_ports()
    assert recording.status().packets == 100
    add_port(namespace, 1)
    recording.wait_for_ports("port1")
    namespace.ip("link", "set", "port1", "down")
    wait_for(lambda: not recording.status().ports[0].link_up, "link down", 10)
    namespace.ip("link", "set", "port1", "up")
    wait_for(lambda: recording.status().ports[0].link_up, "link up", 10)
    send(namespace, "gen1", (frame(1, number) for number in range(100, 200)))
    wait_for(lambda: recording.status().packets == 200, "the count", 10)
    recording.stop()
    assert [seen.number for seen in contents(recording.ring)] == list(range(200))


@pytest.mark.spec("R1")
def test_what_came_in_before_the_end_is_written(namespace: Namespace, recording: Recording) -> None:
    add_port(namespace, 1)
    for attempt in range(5):
        recording.start_with_ports("port1")
        send(namespace, "gen1", (frame(1, number + attempt * 1000) for number in range(1000)))
        recording.stop()
    assert [seen.number for seen in contents(recording.ring)] == list(range(5000))
    assert len(recording.runs()) == 5


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "allegro-test", str(mounted)], check=True)
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


@pytest.mark.spec("R1", "R5")
def test_a_small_disk_gives_a_smaller_ring(namespace: Namespace, tmp_path: Path, small_disk: Path) -> None:
    add_port(namespace, 1)
    recording = Recording(namespace, small_disk, ring_size=1024 * MIB)
    recording.take_any_load()
    recording.start_with_ports("port1")
    wait_for(lambda: "instead of 1024 MiB" in recording.status().message, "the message", 20)
    sent = send(namespace, "gen1", (frame(1, number, 1514) for number in range(60_000)))
    report = recording.wait_until_complete()
    assert report.ring is not None
    assert 16 * MIB <= report.ring.size < 64 * MIB
    assert report.drops == report.write_errors == 0
    recording.stop()
    numbers = [seen.number for seen in contents(recording.ring)]
    assert numbers == list(range(numbers[0], sent))


@pytest.mark.spec("R1", "R5", "R8")
@pytest.mark.timeout(90)
def test_no_ring_is_told_and_one_is_opened_when_it_can(
    namespace: Namespace, tmp_path: Path, small_disk: Path
) -> None:
    add_port(namespace, 1)
    hog = small_disk / "hog"
    with hog.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 50 * MIB)
    recording = Recording(namespace, small_disk, ring_size=32 * MIB)
    recording.start_with_ports("port1")
    report = recording.status()
    assert report.state == status.NO_RING
    assert "no more room" in report.message
    assert "Delete captures" in report.message
    send(namespace, "gen1", (frame(1, number) for number in range(100)))
    wait_for(lambda: recording.status().packets == 100, "counting without a ring", 10)
    hog.unlink()
    wait_for(lambda: recording.status().state == status.RECORDING, "a ring", 30)
    send(namespace, "gen1", (frame(1, number) for number in range(100, 200)))
    recording.wait_until_complete()
    recording.stop()
    assert [seen.number for seen in contents(recording.ring)] == list(range(100, 200))


@pytest.mark.spec("R5")
def test_write_errors_are_counted_and_recording_goes_on(namespace: Namespace, recording: Recording) -> None:
    """A file size limit makes writes beyond it fail, as a bad disk does."""
    add_port(namespace, 1)
    recording.start_with_ports("port1")
    assert recording.process is not None
    pid = str(recording.process.pid)
    subprocess.run(["prlimit", "--pid", pid, "--fsize=4096:unlimited"], check=True)
    first = send(namespace, "gen1", (frame(1, number, 1514) for number in range(2000)))
    wait_for(lambda: recording.status().write_errors > 0, "errors", 10)
    wait_for(lambda: recording.status().drops > 0, "losses", 10)
    report = recording.status()
    assert "refuses" in report.message
    # A loss that is not in the ring yet holds back what is called complete.
    assert report.complete_through_boot_ns < time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 200_000_000
    subprocess.run(["prlimit", "--pid", pid, "--fsize=unlimited:unlimited"], check=True)
    second = send(namespace, "gen1", (frame(2, number) for number in range(1000)))
    recording.wait_until_complete()
    wait_for(lambda: not recording.status().message, "no message", 10)
    recording.stop()
    found = contents(recording.ring)
    assert [seen.number for seen in found if seen.sender == 2] == list(range(second))
    assert recording.status().drops == first - sum(seen.sender == 1 for seen in found)
    with RingReader(recording.ring) as reader:
        assert sum(ref.drops for ref in reader.records(0, 1 << 62)) == recording.status().drops
